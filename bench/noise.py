"""Error rates over many recordings or utterances, and how much of a difference could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

DRAWS = 10_000
#: That many at a time, so that memory does not grow with them.
AT_ONCE = 100
#: Percentiles between which 95 of 100 draws lie.
_ENDS = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Errors:
    """Of one recording or utterance: words or seconds that are wrong, of as many as there are."""

    size: float
    #: By what ours is held against.
    floor: float
    ours: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Rates of all of them together, and the ends of the interval of their difference."""

    floor: float
    ours: float
    low: float
    high: float

    @property
    def points(self) -> str:
        """The difference and its interval, in points of a hundred."""
        difference = 100 * (self.ours - self.floor)
        return f"{difference:+.2f} points, 95 %: {100 * self.low:+.2f} to {100 * self.high:+.2f}"

    def within(self, allowed: float) -> bool:
        """Whether ours is worse by no more than *allowed*, as far as can be told from chance."""
        return self.low <= allowed


def compared(found: Sequence[Errors], seed: int = 1) -> Difference:
    """All errors by all sizes, so a long recording counts for more than a short one.

    The interval is that of the bootstrap: they are drawn again and again, with the ones that there
    are in the place of all there could be. Of a single one it has no width.
    """
    table = np.array([(one.size, one.floor, one.ours) for one in found])
    chance = np.random.default_rng(seed)
    some = (
        chance.integers(len(table), size=(AT_ONCE, len(table))) for _ in range(DRAWS // AT_ONCE)
    )
    sizes, floors, ours = np.concatenate([table[drawn].sum(axis=1) for drawn in some]).T
    low, high = np.percentile((ours - floors) / sizes, _ENDS)
    size, floor, our = table.sum(axis=0)
    return Difference(floor / size, our / size, float(low), float(high))
