"""Objects as files in a directory, for one machine."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from core import scratch
from core.errors import NotFound, Unavailable
from core.filesystem import free_space, private_files

BLOCK_BYTES = 1024 * 1024
#: Number of names per page.
PAGE_SIZE = 1000


class DirectoryStorage:
    """Stores each object as a file under *root*; unfinished files are in a separate folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._root_prefix = f"{root.resolve()}/"
        self._unfinished = root / ".unfinished"

    def put_file(self, key: str, path: Path) -> None:
        with self._open_unfinished(key) as unfinished:
            shutil.copyfile(path, unfinished)

    def move_file(self, key: str, path: Path) -> None:
        try:
            path.chmod(private_files.FILE_MODE)
            _move(path, self._path(key))
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise _write_error(error) from error
            self.put_file(key, path)  # it is on another disk

    def put_bytes(self, key: str, data: bytes) -> None:
        with self._open_unfinished(key) as unfinished:
            unfinished.write_bytes(data)

    def get_bytes(self, key: str) -> bytes:
        with self.open_local(key) as path:
            return path.read_bytes()

    @contextmanager
    def open_local(self, key: str) -> Iterator[Path]:
        path = self._path(key)
        if not _is_file(path):
            raise NotFound(f"there is no object {key}")
        yield path

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        with self.open_local(key) as path, path.open("rb") as file:
            file.seek(start)
            remaining = path.stat().st_size - start if stop is None else stop - start
            while block := file.read(max(0, min(BLOCK_BYTES, remaining))):
                remaining -= len(block)
                yield block

    def get_size(self, key: str) -> int:
        with self.open_local(key) as path:
            return path.stat().st_size

    def copy(self, source: str, target: str) -> None:
        with self.open_local(source) as path:
            self.put_file(target, path)

    def list_keys(self, prefix: str) -> list[str]:
        folder = self._root / prefix.rpartition("/")[0]
        names = (path.relative_to(self._root).as_posix() for path in folder.rglob("*"))
        return sorted(
            key for key in names if key.startswith(prefix) and (self._root / key).is_file()
        )

    def list_folders(self, prefix: str) -> Iterator[list[str]]:
        with suppress(FileNotFoundError), os.scandir(self._root / prefix) as entries:
            names = (entry.name for entry in entries if entry.is_dir())
            while page := list(islice(names, PAGE_SIZE)):
                yield page

    def get_modified_at(self, key: str) -> datetime:
        with self.open_local(key) as path:
            return datetime.fromtimestamp(path.stat().st_mtime, UTC)

    def delete(self, prefix: str) -> None:
        if prefix.endswith("/"):
            shutil.rmtree(self._path(prefix.rstrip("/")), ignore_errors=True)
            return
        for key in self.list_keys(prefix):
            self._path(key).unlink(missing_ok=True)

    def presign_url(self, key: str, *, seconds: int) -> str | None:  # noqa: ARG002
        return None

    def ping(self) -> None:
        # This writes nothing, because any caller may trigger it at any rate.
        try:
            private_files.make_folder(self._root)
            disk = os.statvfs(self._root)
        except OSError as error:
            raise _write_error(error) from error
        if not os.access(self._root, os.W_OK | os.X_OK):
            raise _write_error(OSError(errno.EACCES, os.strerror(errno.EACCES)))
        if disk.f_bavail == 0 or (disk.f_files and disk.f_favail == 0):
            raise _write_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    def remove_unfinished(self) -> None:
        """Do nothing: `core.scratch` removes such files together with its own."""

    @contextmanager
    def _open_unfinished(self, key: str) -> Iterator[Path]:
        target = self._path(key)
        try:
            with scratch.temporary_file("object-", self._unfinished) as unfinished:
                yield unfinished
                _move(unfinished, target)
        except OSError as error:
            raise _write_error(error) from error

    def _path(self, key: str) -> Path:
        path = self._root / key
        if not f"{os.path.realpath(path)}/".startswith(self._root_prefix):
            raise NotFound(f"there is no object {key}")
        return path


def _write_error(error: OSError) -> Unavailable:
    return free_space.convert_error(error, "the object store cannot be written")


def _move(file: Path, target: Path) -> None:
    try:
        file.replace(target)
    except FileNotFoundError:  # the folder's first file; a check beforehand would slow every write
        private_files.make_folder(target.parent)
        file.replace(target)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False
