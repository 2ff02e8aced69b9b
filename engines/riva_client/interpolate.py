"""Times for words that come without them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def spread_evenly(
    texts: Sequence[str], start: float, end: float
) -> Iterator[tuple[str, float, float]]:
    """Each text with its start and end: they share the time from *start* to *end* (seconds)."""
    step = (end - start) / len(texts) if texts else 0.0
    for index, text in enumerate(texts):
        begin = start + index * step
        yield text, begin, begin + step
