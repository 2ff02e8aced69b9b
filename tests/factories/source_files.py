"""Files of the repository that rules of the house are about."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import ROOT

PACKAGES = (
    "transcribe_api", "tasks", "engines", "chunking", "core", "transcripts", "riva_sim",
)  # fmt: skip


def list_sources() -> list[Path]:
    """List the modules of all packages."""
    return [path for name in PACKAGES for path in sorted((ROOT / name).rglob("*.py"))]
