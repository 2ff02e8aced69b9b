"""Link the speakers of shards that were diarized independently.

Every shard numbers its own speakers. Local speakers are joined by the similarity of their voices:
agglomerative clustering with average linkage, weighted by the seconds that each speaker talks. The
diarizer already separated the speakers within one shard, so these are not joined, with two
exceptions: speakers with very little speech, and as a last resort a maximum number of speakers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import count
from operator import mul

from transcripts.types import Diarization, Interval, Turn

#: Cosine distance up to which two voices are the same. With neural speaker embeddings, two samples
#: of one voice are usually 0.2 to 0.4 apart, and two people 0.7 or more.
SAME_VOICE_DISTANCE = 0.5
#: In a recording of several shards, a speaker with less speech than this is an error of the
#: diarizer (seconds).
MIN_SPEECH_SECONDS = 2.0
#: Turns of one speaker this near touch: about one frame of a diarizer (seconds).
TOUCHING_SECONDS = 0.05

#: The greatest cosine distance; also the distance to an unknown voice.
_MAX_DISTANCE = 2.0

#: Distance and numbers of two people; at equal distance, the lower numbers are joined first.
_PairDistance = tuple[float, int, int]


@dataclass(frozen=True, slots=True)
class Shard:
    """An interval of the recording that was diarized independently."""

    interval: Interval
    #: Times are seconds from the start of the interval.
    diarization: Diarization


@dataclass(frozen=True, slots=True)
class _Person:
    """One or more local speakers that count as the same person."""

    #: Pairs of shard index and speaker number in that shard.
    locals: tuple[tuple[int, int], ...]
    #: Intervals of speech in recording time.
    speech: tuple[Interval, ...]
    #: Seconds of speech of the local speakers with a known voice.
    weight: float = 0.0
    #: Sum of the voices' unit vectors, each multiplied by its seconds; empty if no voice is known.
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
    """Return the turns of the whole recording by start, with speakers numbered by first appearance.

    Voices up to *threshold* (cosine distance) apart are one speaker. If more than *max_speakers*
    remain, the most similar ones are joined, as a last resort also two of one shard.

    A speaker without embedding remains a separate speaker. If there are several shards, a speaker
    with less than `MIN_SPEECH_SECONDS` in total is merged into the most similar voice. If no voice
    is known, he is merged into the speaker nearest in time. A single shard keeps all of its
    speakers.
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
    """Yield the local speakers of a shard, each as a separate person."""
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
    """Return the vector at length 1; empty for zeros and NaN, which mean "unknown" in diarizers."""
    vector = tuple(vector)
    length = math.sqrt(sum(map(mul, vector, vector)))
    return tuple(value / length for value in vector) if 0 < length < math.inf else ()


def _measure_distance(first: _Person, second: _Person) -> float:
    """Return the mean cosine distance of two voices, weighted by their seconds of speech."""
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
    """Join the two nearest people until none are within *within* or *down_to* people remain."""
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
    """Yield the distance of *person* to each of the others that it may be joined with."""
    for other_number, other in others.items():
        if cannot_link and not person.shards.isdisjoint(other.shards):
            continue
        distance = _measure_distance(person, other)
        if distance <= within:
            yield distance, other_number, number


def _absorb_minor_speakers(people: list[_Person]) -> list[_Person]:
    """Merge speakers with little speech into others; return all people if nobody speaks more."""
    main_speakers = [person for person in people if person.seconds >= MIN_SPEECH_SECONDS]
    if not main_speakers:
        return people
    for stray in people:
        if stray.seconds < MIN_SPEECH_SECONDS:
            host = _find_host(stray, main_speakers)
            main_speakers[host] = _merge_people(main_speakers[host], stray)
    return main_speakers


def _find_host(stray: _Person, main_speakers: Sequence[_Person]) -> int:
    """Return the index of the most similar voice; among equals, of the nearest in time."""
    distances = [_measure_distance(stray, person) for person in main_speakers]
    closest = [index for index, distance in enumerate(distances) if distance == min(distances)]
    return min(
        closest, key=lambda index: _measure_time_distance(stray.speech, main_speakers[index].speech)
    )


def _measure_time_distance(first: Sequence[Interval], second: Sequence[Interval]) -> float:
    """Return the seconds between the two nearest intervals; 0 if any overlap."""
    return min(max(0.0, a.start - b.end, b.start - a.end) for a in first for b in second)


def _place_turns(
    shards: Sequence[Shard], identity: Mapping[tuple[int, int], int]
) -> Iterator[Turn]:
    """Yield the turns of every shard in recording time, cut to the shard's share of an overlap."""
    for index, (shard, interval) in enumerate(zip(shards, _split_overlaps(shards), strict=True)):
        for turn in shard.diarization.turns:
            start = max(interval.start, shard.interval.start + turn.start)
            end = min(interval.end, shard.interval.start + turn.end)
            if start < end:
                yield Turn(start, end, identity[index, turn.speaker])


def _split_overlaps(shards: Sequence[Shard]) -> list[Interval]:
    """Return the intervals of the shards, split in the middle of their overlaps."""
    starts = [shard.interval.start for shard in shards]
    ends = [shard.interval.end for shard in shards]
    for index in range(1, len(shards)):
        if starts[index] < ends[index - 1]:
            starts[index] = ends[index - 1] = (starts[index] + ends[index - 1]) / 2
    return [Interval(start, end) for start, end in zip(starts, ends, strict=True)]


def _merge_turns(turns: Iterable[Turn]) -> list[Turn]:
    """Return the turns by start; touching turns of one speaker are merged."""
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
