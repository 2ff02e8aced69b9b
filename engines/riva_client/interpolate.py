"""Times for words that have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def spread_evenly(
    texts: Sequence[str], start: float, end: float
) -> Iterator[tuple[str, float, float]]:
    """Yield each text with its start and end; they share *start* to *end* (seconds) evenly."""
    step = (end - start) / len(texts) if texts else 0.0
    for index, text in enumerate(texts):
        begin = start + index * step
        yield text, begin, begin + step
