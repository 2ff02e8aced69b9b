"""Folders and files that are used for a while, and what killed processes have left of them.

Whoever uses one holds a lock on it, which the kernel takes back when the process ends, however it
ends. So what a killed process left can be told at once from what is in use, also by a process in
another container.
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

#: Hours after which whoever wrote a file is gone, where nothing is locked.
EXPIRES_AFTER_HOURS = 24.0

#: The end of the names of what is locked by whoever uses it.
_LOCK_SUFFIX = ".locked"


class ScratchFolder:
    """An empty folder of this process alone. Raises `OSError` when there is no room for one."""

    def __init__(self, parent: Path, prefix: str) -> None:
        private_files.make_folder(parent)
        self._lock: int | None
        self.path, self._lock = _make_locked(lambda: _make_folder(parent, prefix))

    def remove(self) -> None:
        """Remove it with all that is in it. Safe to run twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


@contextmanager
def temporary_folder(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A folder for as long as the block lasts, in *parent* or among all scratch files."""
    scratch_folder = ScratchFolder(parent or settings().scratch_dir, prefix)
    try:
        yield scratch_folder.path
    finally:
        scratch_folder.remove()


@contextmanager
def temporary_file(prefix: str, parent: Path) -> Iterator[Path]:
    """An empty file in *parent* for as long as the block lasts, unless that gives it another name.

    Raises `OSError`.
    """
    path, lock = _make_locked(lambda: _make_file(parent, prefix))
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def use_own_tempdir() -> None:
    """Have the temporary files of this process and its libraries go with it, however it ends.

    Python's own place for them is never cleared on many machines.
    """
    scratch_folder = ScratchFolder(_temporary_dir(), f"{os.getpid()}-")
    tempfile.tempdir = str(scratch_folder.path)
    # The pool has a folder in there, which goes first: `multiprocessing` removes that at -100.
    Finalize(None, scratch_folder.remove, exitpriority=-200)


def remove_leftovers() -> int:
    """Remove what killed processes left on this machine; returns how much. Safe to run twice."""
    parents = (settings().scratch_dir, settings().objects_dir / ".unfinished", _temporary_dir())
    return sum(map(_remove_leftover, [path for parent in parents for path in parent.glob("*")]))


def _temporary_dir() -> Path:
    return settings().transcribe_data_dir / "tmp"


def _make_folder(parent: Path, prefix: str) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=prefix, suffix=_LOCK_SUFFIX, dir=parent))
        with suppress(FileNotFoundError):  # a sweep took it for what a killed process has left
            return path, os.open(path, os.O_RDONLY)


def _make_file(parent: Path, prefix: str) -> tuple[Path, int]:
    path = parent / f"{prefix}{uuid.uuid4().hex}{_LOCK_SUFFIX}"
    create = partial(os.open, path, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        return path, create()
    except FileNotFoundError:  # rare, and to look beforehand would cost every file
        private_files.make_folder(parent)
        return path, create()


def _make_locked(make: Callable[[], tuple[Path, int]]) -> tuple[Path, int]:
    """What was made, and a descriptor that holds the lock."""
    while True:
        path, lock = make()
        with suppress(OSError):  # some file systems know no locks: there, age tells
            fcntl.flock(lock, fcntl.LOCK_EX)
        if path.exists():
            return path, lock
        os.close(lock)


def _remove_leftover(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDONLY)
        try:
            # It is removed while it is locked, so whoever has just made it sees that it is gone.
            if not (_is_abandoned(path, lock) or _is_old(lock)):
                return False
            _remove(path)
            return True
        finally:
            os.close(lock)
    except FileNotFoundError:  # its owner was faster
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
