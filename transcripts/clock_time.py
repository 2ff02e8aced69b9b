"""Times as players write them."""

from __future__ import annotations


def format_clock_time(seconds: float) -> str:
    """A time as 52:30, or as 1:02:03 after an hour; what is left of a second is dropped."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
