"""Draws the curves as SVG, with matplotlib of the extra ``bench``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.figures import Curve


def draw(curves: Sequence[Curve], folder: Path) -> list[Path]:
    """A file for each curve; none where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return []
    # No window, and the same file for the same points.
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "bench"
    # Letters, not their outlines: a tenth of the size.
    matplotlib.rcParams["svg.fonttype"] = "none"
    return [_drawn(curve, folder) for curve in curves]


def _drawn(curve: Curve, folder: Path) -> Path:
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5, 3.5), layout="constrained")
    axes.plot(*zip(*curve.points, strict=True), marker="o", label="measured")
    if curve.ideal:
        axes.plot(*zip(*curve.ideal, strict=True), linestyle="--", color="grey", label="ideal")
        axes.legend(frameon=False)
    axes.set(title=curve.name, xlabel=curve.x, ylabel=curve.y, xlim=(0, None), ylim=(0, None))
    path = folder / f"{curve.name.replace(' ', '-')}.svg"
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
    return path
