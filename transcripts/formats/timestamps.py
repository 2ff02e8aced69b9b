"""Times as formats write them: rounded, never truncated, never NaN."""

from __future__ import annotations

import math


def round_seconds(value: float) -> float:
    """Seconds to the millisecond; what is no number is 0."""
    return round(value, 3) + 0.0 if math.isfinite(value) else 0.0


def to_milliseconds(value: float) -> int:
    """Whole milliseconds, halves up; what is no number, or before the start, is 0."""
    return max(0, math.floor(value * 1000 + 0.5)) if math.isfinite(value) else 0


def format_timestamp(time: int, separator: str) -> str:
    """``HH:MM:SS.mmm`` of milliseconds; the hours go on after 23, and after 99 with more digits."""
    rest, thousandths = divmod(time, 1000)
    minutes, secs = divmod(rest, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{secs:02d}{separator}{thousandths:03d}"
