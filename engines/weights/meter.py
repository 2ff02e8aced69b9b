"""How far a pull has come, for whoever shows it."""

from __future__ import annotations

from pathlib import Path


class Meter:
    """Counts the bytes in a folder, whoever writes them there: also other programs do."""

    def __init__(self) -> None:
        #: Where the bytes come from.
        self.source = ""
        #: Bytes that are there when it is done; None while nobody knows.
        self.total: int | None = None
        self._folder: Path | None = None

    def begin(self, source: str, folder: Path, total: int | None) -> None:
        """From now on this folder is filled."""
        self.source, self.total, self._folder = source, total, folder

    @property
    def done(self) -> int:
        paths = self._folder.rglob("*") if self._folder else ()
        found = sum(_size(path) for path in paths)
        # pip has a file twice for a moment, while it copies it to its place.
        return found if self.total is None else min(found, self.total)


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() else 0
    except OSError:  # it was moved meanwhile
        return 0
