"""Clock times in the notation of media players."""

from __future__ import annotations


def format_clock_time(seconds: float) -> str:
    """Return a time in seconds as 52:30, or as 1:02:03 from one hour on; fractions are dropped."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
