"""Merge a transcript in which each channel of the recording is a speaker."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from transcripts.intervals import merge_intervals
from transcripts.segments import segment
from transcripts.stitch import TranscribedChunk, stitch
from transcripts.types import Interval, Segment, Turn, Word

#: A word with at least this share in bleed from another channel is dropped.
MAX_BLEED_SHARE = 0.6
#: The times of one word in two channels differ by less than this (seconds).
NEAR_SECONDS = 0.3

_INSTANT = 0.01


def merge_channels(
    chunks_by_channel: Mapping[int, Sequence[TranscribedChunk]],
    bleed: Mapping[int, Sequence[Interval]] = MappingProxyType({}),
) -> tuple[Segment, ...]:
    """Return the segments of all channels by start; the speaker number is the channel number.

    A sentence stays whole if another speaker interrupts it: the other's segment comes after it and
    begins before its end. *bleed* maps a channel to intervals in which it only carries another
    channel's audio. Words there are dropped if another channel has words at that time.
    """
    words = {channel: stitch(chunks) for channel, chunks in chunks_by_channel.items()}
    segments: list[Segment] = []
    for channel, channel_words in words.items():
        other_intervals = [
            interval
            for other in words
            if other != channel
            for interval in _build_intervals(words[other])
        ]
        own_words = _drop_bleed(channel_words, bleed.get(channel, ()), other_intervals)
        segments += segment([replace(word, speaker=channel) for word in own_words])
    return tuple(
        sorted(
            segments,
            key=lambda channel_segment: (
                channel_segment.start,
                channel_segment.end,
                channel_segment.speaker,
            ),
        )
    )


def build_turns(segments: Sequence[Segment]) -> tuple[Turn, ...]:
    """Return the segments that have a speaker as turns."""
    return tuple(
        Turn(channel_segment.start, channel_segment.end, channel_segment.speaker)
        for channel_segment in segments
        if channel_segment.speaker is not None
    )


def _drop_bleed(
    words: Sequence[Word], bleed: Sequence[Interval], other_intervals: Sequence[Interval]
) -> list[Word]:
    """Return the words without those that belong to another channel."""
    if not bleed:
        return list(words)
    bleed_coverage, other_coverage = _IntervalCoverage(bleed), _IntervalCoverage(other_intervals)
    return [
        word
        for word, interval in zip(words, _build_intervals(words), strict=True)
        if bleed_coverage.measure_overlap(interval.start, interval.end)
        < MAX_BLEED_SHARE * interval.duration
        or not other_coverage.measure_overlap(
            interval.start - NEAR_SECONDS, interval.end + NEAR_SECONDS
        )
    ]


def _build_intervals(words: Sequence[Word]) -> list[Interval]:
    return [Interval(word.start, max(word.end, word.start + _INSTANT)) for word in words]


class _IntervalCoverage:
    """Measures how much of an interval a set of other intervals covers."""

    def __init__(self, intervals: Sequence[Interval]) -> None:
        self._intervals = merge_intervals(intervals)
        self._ends = [interval.end for interval in self._intervals]

    def measure_overlap(self, start: float, end: float) -> float:
        covered = 0.0
        index = bisect_right(self._ends, start)
        while index < len(self._intervals) and self._intervals[index].start < end:
            interval, index = self._intervals[index], index + 1
            covered += min(end, interval.end) - max(start, interval.start)
        return covered
