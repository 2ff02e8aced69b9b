"""Numbers that mostly follow each other, kept and written as ranges: ``0-41,43``."""

from __future__ import annotations

import re
from bisect import bisect_right

_PATTERN = re.compile(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*", re.ASCII)


class Ranges:
    """A set that only grows. However large it is, it takes the memory of its gaps."""

    def __init__(self) -> None:
        # The first number of each range and the last one, in order; no two ranges touch.
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @classmethod
    def parse(cls, text: str) -> Ranges:
        """What `render` wrote; empty when the text is anything else."""
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
        """All of it, or as many ranges as fit into so many characters."""
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
        """Make one of the range at this place and the one before it, if they touch."""
        if 0 < index < len(self._firsts) and self._firsts[index] == self._lasts[index - 1] + 1:
            del self._firsts[index], self._lasts[index - 1]

    def __contains__(self, number: int) -> bool:
        index = bisect_right(self._firsts, number)
        return index > 0 and number <= self._lasts[index - 1]

    def __len__(self) -> int:
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)
