"""Times for the output formats: rounded, never truncated, never NaN."""

from __future__ import annotations

import math


def round_seconds(value: float) -> float:
    """Round seconds to the millisecond; 0 for NaN and infinity."""
    return round(value, 3) + 0.0 if math.isfinite(value) else 0.0


def to_milliseconds(value: float) -> int:
    """Return whole milliseconds, halves rounded up; 0 for NaN, infinity and negative values."""
    return max(0, math.floor(value * 1000 + 0.5)) if math.isfinite(value) else 0


def format_timestamp(time: int, separator: str) -> str:
    """Return milliseconds as ``HH:MM:SS.mmm``; hours do not wrap at 24 and may have more digits."""
    rest, thousandths = divmod(time, 1000)
    minutes, secs = divmod(rest, 60)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{secs:02d}{separator}{thousandths:03d}"
