"""Progress of a model download."""

from __future__ import annotations

from pathlib import Path


class DownloadMeter:
    """Counts the bytes in a folder, including those that other programs write."""

    def __init__(self) -> None:
        #: Name of the source.
        self.source = ""
        #: Bytes of the complete download; None if unknown.
        self.total: int | None = None
        self._folder: Path | None = None

    def start(self, source: str, folder: Path, total: int | None) -> None:
        """Count the bytes in *folder* from now on."""
        self.source, self.total, self._folder = source, total, folder

    @property
    def downloaded_bytes(self) -> int:
        paths = self._folder.rglob("*") if self._folder else ()
        size = sum(_file_size(path) for path in paths)
        # pip briefly has a file twice, while it copies it to its place.
        return size if self.total is None else min(size, self.total)


def _file_size(path: Path) -> int:
    try:
        return path.lstat().st_size if path.is_file() else 0
    except OSError:  # the file was moved meanwhile
        return 0
