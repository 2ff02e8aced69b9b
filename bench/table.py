"""Markdown tables."""

from __future__ import annotations

from collections.abc import Sequence


def show(title: str, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print one."""
    print(f"\n### {title}\n\n{markdown(heads, rows)}")


def markdown(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A line for the heads, one that divides, and one for each row."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
