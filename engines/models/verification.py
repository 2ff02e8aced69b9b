"""Reject files that differ from their makers' files, from any source."""

from __future__ import annotations

from pathlib import Path

from core.errors import EngineError
from engines.models import model_manifest
from engines.models.model_manifest import FileDigest


class WrongBytes(EngineError):
    """A source delivered other bytes than the makers'."""


def verify_file(path: Path, expected: FileDigest, source: str) -> None:
    """Remove the file and raise `WrongBytes` if it is not as expected."""
    actual = model_manifest.digest_file(path)
    if actual == expected:
        return
    path.unlink()
    raise WrongBytes(describe_difference(path.name, expected, actual, source))


def describe_difference(name: str, expected: FileDigest, actual: FileDigest, source: str) -> str:
    """Return the error message."""
    return (
        f"{name} from {source} was rejected: it has {actual.size} bytes with "
        f"SHA-256 {actual.sha256}, expected {expected.size} bytes with {expected.sha256}"
    )
