"""The data directory: makes it, and says what is wrong with one that cannot be used."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import psutil

from core import free_space, private_files
from core.errors import DataFolderError
from core.settings import settings

#: Bytes of the longest path: SQLite opens files whose paths have 512 at most.
LONGEST = 480
#: File systems of other machines, on which SQLite's locks cannot be relied on.
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs")


def make() -> bool:
    """Make the data directory of the settings; whether it is closed to other accounts now.

    Raises `DataFolderError`.
    """
    folder = settings().transcribe_data_dir
    if obstacle := find_obstacle(folder):
        raise DataFolderError(obstacle)
    try:
        is_closed = private_files.make_data_dir(folder)
        _try_to_write(folder)
    except OSError as error:
        raise DataFolderError(_describe(folder, error)) from None
    return is_closed


def find_obstacle(folder: Path) -> str | None:
    """Why nothing can be kept in *folder*, be it there or not; None: it can. Nothing is made."""
    try:
        _look(folder)
    except OSError as error:
        return _describe(folder, error)
    return None


def describe_disk(folder: Path) -> str:
    """On what the folder is, or will be, such as ``ext4 at /home``."""
    kind, mounted = _find_mount(folder)
    return f"{kind} at {mounted}"


def find_doubt(folder: Path) -> str | None:
    """What speaks against the disk of the folder although it can be written to."""
    kind, mounted = _find_mount(folder)
    if kind not in _REMOTE or settings().database_url is not None:
        return None
    return (
        f"{folder} is on {kind} at {mounted}, where SQLite's locks cannot be relied on: set "
        "TRANSCRIBE_DATA_DIR to a disk of this machine, or DATABASE_URL to a PostgreSQL"
    )


def _try_to_write(folder: Path) -> None:
    """Make a file without a name, whatever the modes say. Raises `OSError`."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        # A full disk may have room in a moment, and `core.free_space` tells of it.
        if not free_space.is_for_want_of_room(error):
            raise


def _look(folder: Path) -> None:
    """Raise the `OSError` that making the folder, or a file in it, would raise."""
    if len(os.fsencode(folder)) > LONGEST:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    nearest = _find_nearest(folder)
    if not nearest.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(nearest, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(nearest).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(number, os.strerror(number))


def _find_nearest(folder: Path) -> Path:
    """The folder, or what is there of those above it. Raises `OSError`."""
    for path in (folder, *folder.parents):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return path
    return Path(folder.anchor)


def _describe(folder: Path, error: OSError) -> str:
    return f"the data directory {folder} cannot be used: {_explain(folder, error)}"


def _explain(folder: Path, error: OSError) -> str:
    other = "set TRANSCRIBE_DATA_DIR (or --data-dir) to a folder of yours"
    if error.errno == errno.ENAMETOOLONG:
        length = len(os.fsencode(folder))
        return (
            f"its path has {length} bytes, and {LONGEST} are allowed, 255 of them for each name; "
            "set TRANSCRIBE_DATA_DIR (or --data-dir) to a shorter one"
        )
    if free_space.is_for_want_of_room(error):
        return f"its disk has no room for another file; make some, or {other}"
    if error.errno == errno.ENOTDIR:
        return f"{_find_nearest(folder)} is a file; {other}"
    if error.errno == errno.EROFS:
        return f"{_find_nearest(folder)} is on a file system that is read-only; {other}"
    if error.errno in (errno.EACCES, errno.EPERM):
        place = error.filename or _find_nearest(folder)
        return f"this account may not write to {place}; have it allowed, or {other}"
    return f"{error.strerror}; {other}"


def _find_mount(folder: Path) -> tuple[str, str]:
    """Kind and place of the file system that the folder is on."""
    mounts = {one.mountpoint: one.fstype for one in psutil.disk_partitions(all=True)}
    for path in (folder, *folder.parents):
        if str(path) in mounts:
            return mounts[str(path)], str(path)
    return "a disk", folder.anchor
