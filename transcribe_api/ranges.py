"""Numbers that mostly follow each other, kept and written as ranges: ``0-41,43``."""

from __future__ import annotations

import re
from bisect import bisect_right

_WRITTEN = re.compile(r"\d{1,9}(-\d{1,9})?(,\d{1,9}(-\d{1,9})?)*", re.ASCII)


class Ranges:
    """A set that only grows. However large it is, it takes the memory of its gaps."""

    def __init__(self) -> None:
        # The first number of each range and the last one, in order; no two ranges touch.
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    @classmethod
    def read(cls, text: str) -> Ranges:
        """What `written` wrote; empty when the text is anything else."""
        made = cls()
        for part in text.split(",") if _WRITTEN.fullmatch(text) else ():
            first, _, last = part.partition("-")
            made._firsts.append(int(first))
            made._lasts.append(int(last or first))
        return made if made._is_in_order() else cls()

    def _is_in_order(self) -> bool:
        apart = zip(self._lasts, self._firsts[1:], strict=False)
        within = zip(self._firsts, self._lasts, strict=True)
        return all(one <= other for one, other in within) and all(
            one + 1 < other for one, other in apart
        )

    def written(self, longest: int) -> str:
        """All of it, or as many ranges as fit into so many characters."""
        text = ",".join(
            str(first) if first == last else f"{first}-{last}"
            for first, last in zip(self._firsts, self._lasts, strict=True)
        )
        return text if len(text) <= longest else text[: longest + 1].rpartition(",")[0]

    def add(self, number: int) -> None:
        at = bisect_right(self._firsts, number)
        if at and number <= self._lasts[at - 1]:
            return
        self._firsts.insert(at, number)
        self._lasts.insert(at, number)
        self._join(at + 1)
        self._join(at)

    def _join(self, at: int) -> None:
        """Make one of the range at this place and the one before it, if they touch."""
        if 0 < at < len(self._firsts) and self._firsts[at] == self._lasts[at - 1] + 1:
            del self._firsts[at], self._lasts[at - 1]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number)
        return at > 0 and number <= self._lasts[at - 1]

    def __len__(self) -> int:
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)
