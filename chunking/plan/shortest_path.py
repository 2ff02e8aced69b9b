"""The cheapest path through places to cut, computed while they arrive."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cut:
    """A place where one window may end and the next one begin."""

    #: Where the speech of the window before ends, and where that of the next one begins (seconds).
    ends: float
    begins: float
    #: Longest silence (seconds) that the windows may include beyond these points.
    edge: float
    price: float

    @property
    def overlap(self) -> float:
        """Return the seconds that both windows share."""
        return max(0.0, self.ends - self.begins)


class ShortestPath:
    """The cheapest choice of cuts from the first one to each of the others (dynamic programming).

    *longest*: maximum seconds of a window. *price*: function of a window's seconds.

    Every cheapest path continues from one of the cuts that the longest window still reaches. If all
    of these have a common predecessor, the path to that one is final, whatever follows (as in
    Viterbi decoding, where the surviving paths have a common past).
    """

    def __init__(self, first: Cut, longest: float, price: Callable[[float], float]) -> None:
        self._longest = longest
        self._price = price
        self._cuts = [first]
        self._prices = [0.0]
        self._predecessors = [0]
        #: Index of the last cut whose window was popped.
        self._last_popped = 0

    def add(self, cut: Cut) -> None:
        """Add the next place to cut, in the order of the recording."""
        best, predecessor = math.inf, 0
        for previous in self._find_reachable(cut.ends):
            length = cut.ends - self._cuts[previous].begins
            price = self._prices[previous] + cut.price + self._price(length)
            # Among equal prices take the longer window, so that there are fewer.
            if length > 0 and price <= best:
                best, predecessor = price, previous
        self._cuts.append(cut)
        self._prices.append(best)
        self._predecessors.append(predecessor)

    def pop_settled(self) -> list[tuple[Cut, Cut]]:
        """Return the windows that are final and were not popped before, as pairs of cuts."""
        last = len(self._cuts) - 1
        alive = {last, *self._find_reachable(self._cuts[last].ends)}
        while len(alive) > 1:
            newest = max(alive)
            alive.remove(newest)
            alive.add(self._predecessors[newest])
        return self._pop_windows(alive.pop())

    def finish(self) -> list[tuple[Cut, Cut]]:
        """Return the windows up to the last cut that were not popped before."""
        return self._pop_windows(len(self._cuts) - 1)

    def _find_reachable(self, ends: float) -> Iterator[int]:
        """Yield the cuts at which a window that ends at *ends* may begin, the latest first."""
        for index in range(len(self._cuts) - 1, -1, -1):
            if ends - self._cuts[index].begins > self._longest:
                return
            yield index

    def _pop_windows(self, last: int) -> list[tuple[Cut, Cut]]:
        path = [last]
        while path[-1] > self._last_popped:
            path.append(self._predecessors[path[-1]])
        self._last_popped = max(self._last_popped, last)
        cuts = [self._cuts[index] for index in reversed(path)]
        return list(itertools.pairwise(cuts))
