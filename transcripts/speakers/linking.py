"""Finds one speaker's identity over shards that were diarized apart from one another.

Every shard numbers its speakers by itself. They are joined by the likeness of their voices:
agglomerative clustering with average linkage, in which a speaker weighs as much as he speaks.
The diarizer has told the speakers of one shard apart, so these are never joined.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import count
from operator import mul

from transcripts.types import Diarization, Interval, Turn

#: Cosine distance up to which two voices are one. Between the usual distance of one voice heard
#: twice (0.2 to 0.4) and that of two people (0.7 and more) with neural speaker embeddings.
SAME_VOICE_DISTANCE = 0.5
#: Who speaks less than this in a recording of several shards is taken for a mistake of the
#: diarizer (seconds).
MIN_SPEECH_SECONDS = 2.0
#: Turns of one speaker this near touch: about one frame of a diarizer (seconds).
TOUCHING_SECONDS = 0.05

#: The greatest cosine distance; also the one to a voice of which nothing is known.
_MAX_DISTANCE = 2.0

#: Distance of two people and their numbers, so that of equal distances the first to speak win.
_PairDistance = tuple[float, int, int]


@dataclass(frozen=True, slots=True)
class Shard:
    """An interval of the recording that was diarized by itself."""

    interval: Interval
    #: Times count from the start of the interval.
    diarization: Diarization


@dataclass(frozen=True, slots=True)
class _Person:
    """One or more local speakers that are held for the same."""

    #: Number of the shard, number of the speaker in it.
    locals: tuple[tuple[int, int], ...]
    #: When, in recording time.
    speech: tuple[Interval, ...]
    #: Seconds of those whose voice is known.
    weight: float = 0.0
    #: Sum of the unit vectors of the voices, each times its seconds; empty if none is known.
    voice: tuple[float, ...] = ()

    @property
    def shards(self) -> set[int]:
        return {shard for shard, _ in self.locals}

    @property
    def seconds(self) -> float:
        return sum(interval.duration for interval in self.speech)


def link_speakers(
    shards: Sequence[Shard],
    *,
    threshold: float = SAME_VOICE_DISTANCE,
    max_speakers: int | None = None,
) -> tuple[Turn, ...]:
    """Turns over the whole recording, by start; speakers count from 0 by first appearance.

    Voices up to *threshold* (cosine distance) apart are one speaker. If that leaves more than
    *max_speakers*, the most alike are joined, as a last resort also two of one shard.

    A speaker without embedding stays a speaker of his own. Among several shards, one with less
    than `MIN_SPEECH_SECONDS` in all becomes part of the most similar voice, or where none is
    known, of whoever speaks nearest to him in time. A single shard keeps all of its speakers.
    """
    shards = sorted(shards, key=lambda shard: shard.interval.start)
    people = [
        person
        for index, shard in enumerate(shards)
        for person in _list_local_speakers(index, shard)
    ]
    people = _cluster_people(people, within=threshold)
    if len(shards) > 1:
        people = _absorb_minor_speakers(people)
    if max_speakers is not None:
        people = _cluster_people(people, down_to=max_speakers)
        people = _cluster_people(people, down_to=max_speakers, cannot_link=False)

    identity = {local: number for number, person in enumerate(people) for local in person.locals}
    return _renumber_speakers(_merge_turns(_place_turns(shards, identity)))


def _list_local_speakers(shard_index: int, shard: Shard) -> Iterator[_Person]:
    """The local speakers of a shard, each by himself."""
    intervals_by_speaker: dict[int, list[Interval]] = {}
    for turn in shard.diarization.turns:
        interval = Interval(shard.interval.start + turn.start, shard.interval.start + turn.end)
        intervals_by_speaker.setdefault(turn.speaker, []).append(interval)
    for number, intervals in sorted(intervals_by_speaker.items()):
        weight = max(TOUCHING_SECONDS, sum(interval.duration for interval in intervals))
        voice = _normalize_vector(shard.diarization.embeddings.get(number, ()))
        yield _Person(
            locals=((shard_index, number),),
            speech=tuple(intervals),
            weight=weight if voice else 0.0,
            voice=tuple(weight * value for value in voice),
        )


def _normalize_vector(vector: Iterable[float]) -> tuple[float, ...]:
    """The vector at length 1; nothing for zeros and NaN, which diarizers give for "unknown"."""
    vector = tuple(vector)
    length = math.sqrt(sum(map(mul, vector, vector)))
    return tuple(value / length for value in vector) if 0 < length < math.inf else ()


def _measure_distance(first: _Person, second: _Person) -> float:
    """Mean cosine distance of the voices of two people, weighted by how long each was heard."""
    if not first.voice or not second.voice:
        return _MAX_DISTANCE
    similarity: float = sum(map(mul, first.voice, second.voice))
    return 1 - similarity / (first.weight * second.weight)


def _merge_people(first: _Person, second: _Person) -> _Person:
    voices = [person.voice for person in (first, second) if person.voice]
    return _Person(
        locals=first.locals + second.locals,
        speech=first.speech + second.speech,
        weight=first.weight + second.weight,
        voice=tuple(map(sum, zip(*voices, strict=True))),
    )


def _cluster_people(
    people: Iterable[_Person],
    *,
    within: float = _MAX_DISTANCE,
    down_to: int = 1,
    cannot_link: bool = True,
) -> list[_Person]:
    """Join the two most alike, again and again, until none are near enough or *down_to* remain."""
    remaining: dict[int, _Person] = {}
    candidates: list[_PairDistance] = []
    for number, person in enumerate(people):
        candidates.extend(_find_candidates(number, person, remaining, within, cannot_link))
        remaining[number] = person

    heapify(candidates)
    numbers = count(len(remaining))
    while candidates and len(remaining) > down_to:
        _, first, second = heappop(candidates)
        if first in remaining and second in remaining:
            number, person = (
                next(numbers),
                _merge_people(remaining.pop(first), remaining.pop(second)),
            )
            for candidate in _find_candidates(number, person, remaining, within, cannot_link):
                heappush(candidates, candidate)
            remaining[number] = person
    return list(remaining.values())


def _find_candidates(
    number: int, person: _Person, others: Mapping[int, _Person], within: float, cannot_link: bool
) -> Iterator[_PairDistance]:
    """How far *person* is from each of the others that it may be joined with."""
    for other_number, other in others.items():
        if cannot_link and not person.shards.isdisjoint(other.shards):
            continue
        distance = _measure_distance(person, other)
        if distance <= within:
            yield distance, other_number, number


def _absorb_minor_speakers(people: list[_Person]) -> list[_Person]:
    """Give away those who hardly speak; everybody stays if nobody speaks more."""
    main_speakers = [person for person in people if person.seconds >= MIN_SPEECH_SECONDS]
    if not main_speakers:
        return people
    for stray in people:
        if stray.seconds < MIN_SPEECH_SECONDS:
            host = _find_host(stray, main_speakers)
            main_speakers[host] = _merge_people(main_speakers[host], stray)
    return main_speakers


def _find_host(stray: _Person, main_speakers: Sequence[_Person]) -> int:
    """Index of the most similar voice; of those that are equally so, the nearest in time."""
    distances = [_measure_distance(stray, person) for person in main_speakers]
    closest = [index for index, distance in enumerate(distances) if distance == min(distances)]
    return min(
        closest, key=lambda index: _measure_time_distance(stray.speech, main_speakers[index].speech)
    )


def _measure_time_distance(first: Sequence[Interval], second: Sequence[Interval]) -> float:
    """Seconds between the nearest two intervals, 0 if any overlap."""
    return min(max(0.0, a.start - b.end, b.start - a.end) for a in first for b in second)


def _place_turns(
    shards: Sequence[Shard], identity: Mapping[tuple[int, int], int]
) -> Iterator[Turn]:
    """The turns of every shard, as far as it is the one that answers for that time."""
    for index, (shard, interval) in enumerate(zip(shards, _split_overlaps(shards), strict=True)):
        for turn in shard.diarization.turns:
            start = max(interval.start, shard.interval.start + turn.start)
            end = min(interval.end, shard.interval.start + turn.end)
            if start < end:
                yield Turn(start, end, identity[index, turn.speaker])


def _split_overlaps(shards: Sequence[Shard]) -> list[Interval]:
    """The intervals of the shards, cut in the middle of where they overlap."""
    starts = [shard.interval.start for shard in shards]
    ends = [shard.interval.end for shard in shards]
    for index in range(1, len(shards)):
        if starts[index] < ends[index - 1]:
            starts[index] = ends[index - 1] = (starts[index] + ends[index - 1]) / 2
    return [Interval(start, end) for start, end in zip(starts, ends, strict=True)]


def _merge_turns(turns: Iterable[Turn]) -> list[Turn]:
    """By start; what one speaker says without a gap is one turn."""
    merged: list[Turn] = []
    for turn in sorted(turns, key=lambda turn: (turn.speaker, turn.start, turn.end)):
        last = merged[-1] if merged else None
        if last and last.speaker == turn.speaker and turn.start - last.end <= TOUCHING_SECONDS:
            merged[-1] = Turn(last.start, max(last.end, turn.end), turn.speaker)
        else:
            merged.append(turn)
    return sorted(merged, key=lambda turn: (turn.start, turn.end, turn.speaker))


def _renumber_speakers(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    numbers: dict[int, int] = {}
    for turn in turns:
        numbers.setdefault(turn.speaker, len(numbers))
    return tuple(replace(turn, speaker=numbers[turn.speaker]) for turn in turns)
