"""Puts a transcript together in which each channel of the recording is a speaker."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from transcripts.coverage import union
from transcripts.segments import segment
from transcripts.stitch import HeardChunk, stitch
from transcripts.types import Segment, Span, Turn, Word

#: A word of which so much lies where a channel only hears another is none of its own.
MOST = 0.6
#: Times of one word in two channels differ by less than this (seconds).
NEAR = 0.3

_INSTANT = 0.01


def by_channel(
    heard: Mapping[int, Sequence[HeardChunk]],
    bleed: Mapping[int, Sequence[Span]] = MappingProxyType({}),
) -> tuple[Segment, ...]:
    """The segments of all channels by start; the number of the channel is that of the speaker.

    A sentence stays whole when somebody speaks into it: the other's segment comes after it and
    begins before its end. In its *bleed* a channel only hears another: words there are left out,
    if another channel has words at that time.
    """
    words = {channel: stitch(chunks) for channel, chunks in heard.items()}
    segments: list[Segment] = []
    for channel, said in words.items():
        others = [span for other in words if other != channel for span in _spans(words[other])]
        own = _own(said, bleed.get(channel, ()), others)
        segments += segment([replace(word, speaker=channel) for word in own])
    return tuple(sorted(segments, key=lambda one: (one.start, one.end, one.speaker)))


def turns(segments: Sequence[Segment]) -> tuple[Turn, ...]:
    """Who speaks when, as far as words say so."""
    return tuple(
        Turn(one.start, one.end, one.speaker) for one in segments if one.speaker is not None
    )


def _own(words: Sequence[Word], bleed: Sequence[Span], others: Sequence[Span]) -> list[Word]:
    """The words but those that are another channel's."""
    if not bleed:
        return list(words)
    bled, told = _Covered(bleed), _Covered(others)
    return [
        word
        for word, place in zip(words, _spans(words), strict=True)
        if bled.seconds(place.start, place.end) < MOST * place.duration
        or not told.seconds(place.start - NEAR, place.end + NEAR)
    ]


def _spans(words: Sequence[Word]) -> list[Span]:
    return [Span(word.start, max(word.end, word.start + _INSTANT)) for word in words]


class _Covered:
    """Tells how much of a stretch lies in any of some spans."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = union(spans)
        self._ends = [span.end for span in self._spans]

    def seconds(self, start: float, end: float) -> float:
        covered = 0.0
        at = bisect_right(self._ends, start)
        while at < len(self._spans) and self._spans[at].start < end:
            span, at = self._spans[at], at + 1
            covered += min(end, span.end) - max(start, span.start)
        return covered
