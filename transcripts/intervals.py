"""Sets of intervals: put together, and cut to what lies in another one."""

from __future__ import annotations

from collections.abc import Iterable

from transcripts.types import Interval


def merge_intervals(intervals: Iterable[Interval]) -> list[Interval]:
    """The same time, in order, each of it once: windows that overlap tell of it twice."""
    merged: list[Interval] = []
    for interval in sorted(intervals, key=lambda interval: interval.start):
        if merged and interval.start <= merged[-1].end:
            merged[-1] = Interval(merged[-1].start, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return merged


def clip_intervals(intervals: Iterable[Interval], start: float, end: float) -> tuple[Interval, ...]:
    """What of each lies between *start* and *end*, in seconds; without those that do not."""
    overlaps = (
        Interval(max(interval.start, start), min(interval.end, end)) for interval in intervals
    )
    return tuple(overlap for overlap in overlaps if overlap.start < overlap.end)
