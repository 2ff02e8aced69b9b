"""Display width of text: a full-width character takes two columns, a combining mark none."""

from __future__ import annotations

from wcwidth import wcswidth


def measure_width(text: str) -> int:
    """Return the columns of a line, by the East Asian widths of Unicode (UAX #11)."""
    if text.isascii():
        return len(text)
    width: int = wcswidth(text)
    return len(text) if width < 0 else width  # below 0: it has control characters
