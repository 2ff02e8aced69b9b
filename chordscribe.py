"""Module with a unique name: it checks that the packages beside it belong to Chordscribe.

Names such as `core` and `tasks` are common. If another distribution has a package of the same name,
Python imports one of the two, or a mixture, and the resulting errors do not show the cause.
"""

from __future__ import annotations

import base64
import hashlib
import sys
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("transcribe_api", "tasks", "engines", "chunking", "core", "transcripts")

_REMEDY = "Install Chordscribe in a separate virtual environment."


class ForeignPackage(ImportError):
    """A package with the name of one of Chordscribe's belongs to another distribution."""


@cache  # both `transcribe_api` and `tasks` call it in one process
def require_own_packages() -> None:
    """Raise `ForeignPackage` if one of the `PACKAGES` is hidden or overwritten by another one."""
    home = Path(__file__).resolve().parent
    hashes = _read_recorded_hashes()
    for name in PACKAGES:
        file, imported = home / name / "__init__.py", _find_package_file(name)
        if imported not in (None, file):
            raise ForeignPackage(
                f"Python finds a package {name!r} of another program at {imported}, ahead of "
                f"Chordscribe's at {file}. {_REMEDY}"
            )
        if hashes.get(f"{name}/__init__.py") not in (None, _hash_file(file)):
            raise ForeignPackage(
                f"another program has overwritten Chordscribe's package {name!r} at {file}. "
                f"{_REMEDY}"
            )


def main() -> None:
    """Run the command ``transcribe``; exit with 3 and a message if a package is foreign."""
    try:
        from transcribe_api.cli.command import main as run_command
    except ForeignPackage as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(3)
    run_command()


def _find_package_file(name: str) -> Path | None:
    """Return the file that an import of the package would run; None if it is not installed."""
    try:
        spec = find_spec(name)
    except ImportError:
        return None
    return Path(spec.origin).resolve() if spec and spec.origin else None


def _read_recorded_hashes() -> dict[str, str]:
    """Return the installed SHA-256 hashes of Chordscribe's files by path; empty for a checkout."""
    try:
        files = metadata.distribution("chordscribe").files or ()
    except metadata.PackageNotFoundError:
        return {}
    return {file.as_posix(): file.hash.value for file in files if file.hash}


def _hash_file(file: Path) -> str:
    """Return the SHA-256 of a file, encoded as wheels record it."""
    digest = hashlib.sha256(file.read_bytes()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
