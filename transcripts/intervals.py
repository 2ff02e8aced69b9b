"""Operations on sets of intervals: merge and clip."""

from __future__ import annotations

from collections.abc import Iterable

from transcripts.types import Interval


def merge_intervals(intervals: Iterable[Interval]) -> list[Interval]:
    """Return the union of the intervals by start, with overlapping and touching ones merged."""
    merged: list[Interval] = []
    for interval in sorted(intervals, key=lambda interval: interval.start):
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return merged


def clip_intervals(intervals: Iterable[Interval], start: float, end: float) -> tuple[Interval, ...]:
    """Return the part of each interval between *start* and *end* (seconds), without empty ones."""
    overlaps = (
        Interval(max(interval.start, start), min(interval.end, end)) for interval in intervals
    )
    return tuple(overlap for overlap in overlaps if overlap.start < overlap.end)
