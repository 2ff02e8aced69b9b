"""Temporary folders and files, and the removal of those that killed processes left behind.

The owner holds a lock on its folder or file. The kernel releases the lock however the process ends.
So leftovers can be recognized at once, also by a process in another container.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.util import Finalize
from pathlib import Path

from core import clock
from core.filesystem import private_files
from core.settings import settings

#: Hours after which the writer of a file is assumed to be gone, where files cannot be locked.
EXPIRES_AFTER_HOURS = 24.0

#: Suffix of the names of locked files and folders.
_LOCK_SUFFIX = ".locked"


class ScratchFolder:
    """An empty folder for this process alone. Raises `OSError` if it cannot be created."""

    def __init__(self, parent: Path, prefix: str) -> None:
        private_files.make_folder(parent)
        self._lock: int | None
        self.path, self._lock = _make_locked(lambda: _make_folder(parent, prefix))

    def remove(self) -> None:
        """Remove the folder with its content. Safe to run twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """Yield a folder, in *parent* or the scratch folder, that is removed after the block."""
    scratch_folder = ScratchFolder(parent or settings().scratch_dir, prefix)
    try:
        yield scratch_folder.path
    finally:
        scratch_folder.remove()


@contextmanager
def temporary_file(prefix: str, parent: Path) -> Iterator[Path]:
    """Yield an empty file in *parent*, which is removed after the block unless it was renamed.

    Raises `OSError`.
    """
    path, lock = _make_locked(lambda: _make_file(parent, prefix))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def use_own_tempdir() -> None:
    """Put the temporary files of this process and its libraries into a scratch folder.

    It is removed at exit, or by `remove_leftovers` if the process was killed. Python's default
    folder is never cleared on many machines.
    """
    scratch_folder = ScratchFolder(_temporary_dir(), f"{os.getpid()}-")
    tempfile.tempdir = str(scratch_folder.path)
    # The pool's folder in there must go first: `multiprocessing` removes it at priority -100.
    Finalize(None, scratch_folder.remove, exitpriority=-200)


def remove_leftovers() -> int:
    """Remove what killed processes left on this machine; return the number. Safe to run twice."""
    parents = (settings().scratch_dir, settings().objects_dir / ".unfinished", _temporary_dir())
    return sum(map(_remove_leftover, [path for parent in parents for path in parent.glob("*")]))


def _temporary_dir() -> Path:
    return settings().transcribe_data_dir / "tmp"


def _make_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, suffix=_LOCK_SUFFIX, dir=parent))
        with suppress(FileNotFoundError):  # a sweep took it for a leftover of a killed process
            return path, os.open(path, os.O_RDONLY)


def _make_file(parent: Path, prefix: str) -> tuple[Path, int]:
    path = parent / f"{prefix}{uuid.uuid4().hex}{_LOCK_SUFFIX}"
    create = partial(os.open, path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        return path, create()
    except FileNotFoundError:  # rare, and a check beforehand would cost time for every file
        private_files.make_folder(parent)
        return path, create()


def _make_locked(make: Callable[[], tuple[Path, int]]) -> tuple[Path, int]:
    """Create a file or folder; return it and a descriptor that holds its lock."""
    while True:
        path, lock = make()
        with suppress(OSError):  # some file systems have no locks: there, the age decides
            fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path, lock
        os.close(lock)


def _remove_leftover(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY)
        try:
            # It is removed under the lock, so a process that has just created it notices that it is
            # gone.
            if not (_is_abandoned(path, lock) or _is_old(lock)):
                return False
            _remove(path)
            return True
        finally:
            os.close(lock)
    except FileNotFoundError:  # its owner removed it first
        return False


def _is_abandoned(path: Path, lock: int) -> bool:
    if path.suffix != _LOCK_SUFFIX:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_old(descriptor: int) -> bool:
    return os.fstat(descriptor).st_mtime < clock.now() - EXPIRES_AFTER_HOURS * 3600


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
