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

from transcripts.types import Span, Turn, Voices

#: Cosine distance up to which two voices are one. Between the usual distance of one voice heard
#: twice (0.2 to 0.4) and that of two people (0.7 and more) with neural speaker embeddings.
SAME_VOICE = 0.5
#: Who speaks less than this in a recording of several shards is taken for a mistake of the
#: diarizer (seconds).
LEAST_SPEECH = 2.0
#: Turns of one speaker this near touch: about one frame of a diarizer (seconds).
TOUCHING = 0.05

#: The greatest cosine distance; also the one to a voice of which nothing is known.
_UNLIKE = 2.0

#: Distance of two people and their numbers, so that of equal distances the first to speak win.
_Likeness = tuple[float, int, int]


@dataclass(frozen=True, slots=True)
class Shard:
    """A stretch of the recording that was diarized by itself."""

    span: Span
    #: Times count from the start of the span.
    voices: Voices


@dataclass(frozen=True, slots=True)
class _Person:
    """One or more local speakers that are held for the same."""

    #: Number of the shard, number of the speaker in it.
    locals: tuple[tuple[int, int], ...]
    #: When, in recording time.
    speech: tuple[Span, ...]
    #: Seconds of those whose voice is known.
    weight: float = 0.0
    #: Sum of the unit vectors of the voices, each times its seconds; empty if none is known.
    voice: tuple[float, ...] = ()

    @property
    def shards(self) -> set[int]:
        return {shard for shard, _ in self.locals}

    @property
    def seconds(self) -> float:
        return sum(span.duration for span in self.speech)


def link(
    shards: Sequence[Shard], *, threshold: float = SAME_VOICE, max_speakers: int | None = None
) -> tuple[Turn, ...]:
    """Turns over the whole recording, by start; speakers count from 0 by first appearance.

    Voices up to *threshold* (cosine distance) apart are one speaker. If that leaves more than
    *max_speakers*, the most alike are joined, as a last resort also two of one shard.

    A speaker without embedding stays a speaker of his own. Among several shards, one with less
    than `LEAST_SPEECH` in all becomes part of the most similar voice, or where none is known, of
    whoever speaks nearest to him in time. A single shard keeps all of its speakers.
    """
    shards = sorted(shards, key=lambda shard: shard.span.start)
    people = [person for at, shard in enumerate(shards) for person in _speakers(at, shard)]
    people = _join(people, within=threshold)
    if len(shards) > 1:
        people = _without_strays(people)
    if max_speakers is not None:
        people = _join(people, down_to=max_speakers)
        people = _join(people, down_to=max_speakers, cannot_link=False)

    identity = {local: who for who, person in enumerate(people) for local in person.locals}
    return _by_appearance(_joined(_in_recording(shards, identity)))


def _speakers(at: int, shard: Shard) -> Iterator[_Person]:
    """The local speakers of a shard, each by himself."""
    spoken: dict[int, list[Span]] = {}
    for turn in shard.voices.turns:
        span = Span(shard.span.start + turn.start, shard.span.start + turn.end)
        spoken.setdefault(turn.speaker, []).append(span)
    for number, spans in sorted(spoken.items()):
        weight = max(TOUCHING, sum(span.duration for span in spans))
        voice = _unit(shard.voices.embeddings.get(number, ()))
        yield _Person(
            locals=((at, number),),
            speech=tuple(spans),
            weight=weight if voice else 0.0,
            voice=tuple(weight * value for value in voice),
        )


def _unit(vector: Iterable[float]) -> tuple[float, ...]:
    """The vector at length 1; nothing for zeros and NaN, which diarizers give for "unknown"."""
    vector = tuple(vector)
    length = math.sqrt(sum(map(mul, vector, vector)))
    return tuple(value / length for value in vector) if 0 < length < math.inf else ()


def _distance(one: _Person, other: _Person) -> float:
    """Mean cosine distance of the voices of two people, weighted by how long each was heard."""
    if not one.voice or not other.voice:
        return _UNLIKE
    return 1 - sum(map(mul, one.voice, other.voice)) / (one.weight * other.weight)


def _union(one: _Person, other: _Person) -> _Person:
    voices = [person.voice for person in (one, other) if person.voice]
    return _Person(
        locals=one.locals + other.locals,
        speech=one.speech + other.speech,
        weight=one.weight + other.weight,
        voice=tuple(map(sum, zip(*voices, strict=True))),
    )


def _join(
    people: Iterable[_Person],
    *,
    within: float = _UNLIKE,
    down_to: int = 1,
    cannot_link: bool = True,
) -> list[_Person]:
    """Join the two most alike, again and again, until none are near enough or *down_to* remain."""
    remaining: dict[int, _Person] = {}
    near: list[_Likeness] = []
    for number, person in enumerate(people):
        near.extend(_likenesses(number, person, remaining, within, cannot_link))
        remaining[number] = person

    heapify(near)
    new = count(len(remaining))
    while near and len(remaining) > down_to:
        _, one, other = heappop(near)
        if one in remaining and other in remaining:
            number, person = next(new), _union(remaining.pop(one), remaining.pop(other))
            for likeness in _likenesses(number, person, remaining, within, cannot_link):
                heappush(near, likeness)
            remaining[number] = person
    return list(remaining.values())


def _likenesses(
    number: int, person: _Person, others: Mapping[int, _Person], within: float, cannot_link: bool
) -> Iterator[_Likeness]:
    """How far *person* is from each of the others that it may be joined with."""
    for other_number, other in others.items():
        if cannot_link and not person.shards.isdisjoint(other.shards):
            continue
        distance = _distance(person, other)
        if distance <= within:
            yield distance, other_number, number


def _without_strays(people: list[_Person]) -> list[_Person]:
    """Give away those who hardly speak; everybody stays if nobody speaks more."""
    known = [person for person in people if person.seconds >= LEAST_SPEECH]
    if not known:
        return people
    for stray in people:
        if stray.seconds < LEAST_SPEECH:
            host = _host(stray, known)
            known[host] = _union(known[host], stray)
    return known


def _host(stray: _Person, known: Sequence[_Person]) -> int:
    """Index of the most similar voice; of those that are equally so, the nearest in time."""
    distances = [_distance(stray, person) for person in known]
    alike = [who for who, distance in enumerate(distances) if distance == min(distances)]
    return min(alike, key=lambda who: _gap(stray.speech, known[who].speech))


def _gap(some: Sequence[Span], others: Sequence[Span]) -> float:
    """Seconds between the nearest two spans, 0 if any overlap."""
    return min(max(0.0, a.start - b.end, b.start - a.end) for a in some for b in others)


def _in_recording(
    shards: Sequence[Shard], identity: Mapping[tuple[int, int], int]
) -> Iterator[Turn]:
    """The turns of every shard, as far as it is the one that answers for that time."""
    for at, (shard, ground) in enumerate(zip(shards, _grounds(shards), strict=True)):
        for turn in shard.voices.turns:
            start = max(ground.start, shard.span.start + turn.start)
            end = min(ground.end, shard.span.start + turn.end)
            if start < end:
                yield Turn(start, end, identity[at, turn.speaker])


def _grounds(shards: Sequence[Shard]) -> list[Span]:
    """The spans of the shards, cut in the middle of where they overlap."""
    starts = [shard.span.start for shard in shards]
    ends = [shard.span.end for shard in shards]
    for at in range(1, len(shards)):
        if starts[at] < ends[at - 1]:
            starts[at] = ends[at - 1] = (starts[at] + ends[at - 1]) / 2
    return [Span(start, end) for start, end in zip(starts, ends, strict=True)]


def _joined(turns: Iterable[Turn]) -> list[Turn]:
    """By start; what one speaker says without a gap is one turn."""
    whole: list[Turn] = []
    for turn in sorted(turns, key=lambda turn: (turn.speaker, turn.start, turn.end)):
        last = whole[-1] if whole else None
        if last and last.speaker == turn.speaker and turn.start - last.end <= TOUCHING:
            whole[-1] = Turn(last.start, max(last.end, turn.end), turn.speaker)
        else:
            whole.append(turn)
    return sorted(whole, key=lambda turn: (turn.start, turn.end, turn.speaker))


def _by_appearance(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    numbers: dict[int, int] = {}
    for turn in turns:
        numbers.setdefault(turn.speaker, len(numbers))
    return tuple(replace(turn, speaker=numbers[turn.speaker]) for turn in turns)
