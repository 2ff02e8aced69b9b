"""What a measurement found: rows of the table that `python -m bench` writes, and curves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.table import show


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing that was measured, against its goal."""

    what: str
    goal: str
    found: str
    #: Whether the goal was reached.
    holds: bool
    #: Against its floor, or a peer, measured in the same run; what that is, `against` says.
    ratio: float | None = None
    against: str = ""


@dataclass(frozen=True, slots=True)
class Curve:
    """How one thing grows with another."""

    name: str
    x: str
    y: str
    points: Sequence[tuple[float, float]]
    #: The same without any loss, where that is known.
    ideal: Sequence[tuple[float, float]] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """What one module of this package found."""

    figures: Sequence[Figure]
    curves: Sequence[Curve] = ()

    @property
    def holds(self) -> bool:
        return all(one.holds for one in self.figures)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def together(found: Iterable[Measured]) -> Measured:
    """The rows and curves of several."""
    each = list(found)
    return Measured(
        [figure for one in each for figure in one.figures],
        [curve for one in each for curve in one.curves],
    )


HEADS = ("what", "goal", "found", "reached", "ratio", "against")


def tell(title: str, found: Measured) -> int:
    """Print the rows; gives the exit code, 1 when a goal was missed."""
    show(title, HEADS, [row(one) for one in found.figures])
    return 0 if found.holds else 1


def row(one: Figure) -> tuple[str, ...]:
    """As text, in the order of `HEADS`."""
    reached = "yes" if one.holds else "**no**"
    ratio = "" if one.ratio is None else f"{one.ratio:.2f}"
    return one.what, one.goal, one.found, reached, ratio, one.against
