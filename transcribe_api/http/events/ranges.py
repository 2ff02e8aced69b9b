"""Mostly consecutive numbers, stored and written as ranges: ``0-41,43``."""

from __future__ import annotations

import re
from bisect import bisect_right

_PATTERN = re.compile(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*", re.ASCII)


class Ranges:
    """A set of numbers that only grows. Its memory depends on its gaps, not on its size."""

    def __init__(self) -> None:
        # First and last number of each range, in order; ranges never touch.
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @classmethod
    def parse(cls, text: str) -> Ranges:
        """Parse the output of `render`; any other text gives an empty set."""
        ranges = cls()
        for range_text in text.split(",") if _PATTERN.fullmatch(text) else ():
            first, _, last = range_text.partition("-")
            ranges._firsts.append(int(first))
            ranges._lasts.append(int(last or first))
        return ranges if ranges._is_in_order() else cls()

    def _is_in_order(self) -> bool:
        gaps = zip(self._lasts, self._firsts[1:], strict=False)
        ranges = zip(self._firsts, self._lasts, strict=True)
        return all(low <= high for low, high in ranges) and all(
            low + 1 < high for low, high in gaps
        )

    def render(self, max_length: int) -> str:
        """Return the ranges, as many as fit into *max_length* characters."""
        text = ",".join(
            str(first) if first == last else f"{first}-{last}"
            for first, last in zip(self._firsts, self._lasts, strict=True)
        )
        return text if len(text) <= max_length else text[: max_length + 1].rpartition(",")[0]

    def add(self, number: int) -> None:
        index = bisect_right(self._firsts, number)
        if index and number <= self._lasts[index - 1]:
            return
        self._firsts.insert(index, number)
        self._lasts.insert(index, number)
        self._merge_touching(index + 1)
        self._merge_touching(index)

    def _merge_touching(self, index: int) -> None:
        """Merge the range at *index* with the one before it, if they touch."""
        if 0 < index < len(self._firsts) and self._firsts[index] == self._lasts[index - 1] + 1:
            del self._firsts[index], self._lasts[index - 1]

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._firsts, number)
        return index > 0 and number <= self._lasts[index - 1]

    def __len__(self) -> int:
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)
