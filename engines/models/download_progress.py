"""How far a pull has come, for whoever shows it."""

from __future__ import annotations

from pathlib import Path


class DownloadMeter:
    """Counts the bytes in a folder, whoever writes them there: also other programs do."""

    def __init__(self) -> None:
        #: Where the bytes come from.
        self.source = ""
        #: Bytes that are there when it is done; None while nobody knows.
        self.total: int | None = None
        self._folder: Path | None = None

    def start(self, source: str, folder: Path, total: int | None) -> None:
        """From now on this folder is filled."""
        self.source, self.total, self._folder = source, total, folder

    @property
    def downloaded_bytes(self) -> int:
        paths = self._folder.rglob("*") if self._folder else ()
        size = sum(_file_size(path) for path in paths)
        # pip has a file twice for a moment, while it copies it to its place.
        return size if self.total is None else min(size, self.total)


def _file_size(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() else 0
    except OSError:  # it was moved meanwhile
        return 0
