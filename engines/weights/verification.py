"""Refuses bytes that are not those of the makers, wherever they come from."""

from __future__ import annotations

from pathlib import Path

from core.errors import EngineError
from engines import manifest
from engines.manifest import File


class WrongBytes(EngineError):
    """A source gave other bytes than the makers'."""


def check(path: Path, expected: File, source: str) -> None:
    """Raise `WrongBytes`, and remove the file, unless it is what is expected."""
    found = manifest.describe_file(path)
    if found == expected:
        return
    path.unlink()
    raise WrongBytes(describe_difference(path.name, expected, found, source))


def describe_difference(name: str, expected: File, found: File, source: str) -> str:
    """The sentence that is shown."""
    return (
        f"{name} from {source} is not the makers' and was refused: it has {found.size} bytes with "
        f"SHA-256 {found.sha256}, expected are {expected.size} bytes with {expected.sha256}"
    )
