"""Somebody else's installed package: what brings an engine, as far as the catalog can tell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ENGINES = "transcribe.engines"


def install(folder: Path, name: str, code: str, points: Mapping[str, str], group: str) -> None:
    """Put a package of one module into the folder. *points*: its entry points in the group."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {value}\n" for point, value in points.items()]
    (info / "entry_points.txt").write_text(f"[{group}]\n{''.join(lines)}")


def path_with(*folders: Path) -> str:
    """A ``PYTHONPATH`` by which these are found before all that is found already."""
    before = os.environ.get("PYTHONPATH")
    return os.pathsep.join([*map(str, folders), *([before] if before else [])])
