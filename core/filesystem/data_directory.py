"""The data directory: creation, and reasons why one cannot be used."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import psutil

from core.errors import DataDirectoryError
from core.filesystem import free_space, private_files
from core.settings import settings

#: Maximum bytes of its path: SQLite opens files with paths of up to 512 bytes.
MAX_PATH_BYTES = 480
#: Network file systems, on which SQLite's locks are not reliable.
_REMOTE = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "afs")


def create_directory() -> bool:
    """Create the data directory of the settings; return whether it is closed to other accounts.

    Raises `DataDirectoryError`.
    """
    folder = settings().transcribe_data_dir
    if obstacle := find_obstacle(folder):
        raise DataDirectoryError(obstacle)
    try:
        is_closed = private_files.make_data_dir(folder)
        _try_to_write(folder)
    except OSError as error:
        raise DataDirectoryError(_describe_error(folder, error)) from None
    return is_closed


def find_obstacle(folder: Path) -> str | None:
    """Return why *folder*, existing or not, cannot be used; None if it can. Creates nothing."""
    try:
        _check_access(folder)
    except OSError as error:
        return _describe_error(folder, error)
    return None


def describe_disk(folder: Path) -> str:
    """Return the file system of the folder, existing or not, such as ``ext4 at /home``."""
    filesystem, mount_point = _find_mount(folder)
    return f"{filesystem} at {mount_point}"


def find_risk(folder: Path) -> str | None:
    """Return why the disk of a writable folder is not suitable, or None."""
    filesystem, mount_point = _find_mount(folder)
    if filesystem not in _REMOTE or settings().database_url is not None:
        return None
    return (
        f"{folder} is on {filesystem} at {mount_point}, where SQLite's locks are not reliable: "
        "set TRANSCRIBE_DATA_DIR to a local disk, or DATABASE_URL to a PostgreSQL database"
    )


def _try_to_write(folder: Path) -> None:
    """Create an unnamed file, independent of file modes. Raises `OSError`."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        # A full disk may soon have space; `core.filesystem.free_space` reports it.
        if not free_space.is_disk_full(error):
            raise


def _check_access(folder: Path) -> None:
    """Raise the `OSError` that creating the folder, or a file in it, would raise."""
    if len(os.fsencode(folder)) > MAX_PATH_BYTES:
        raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    existing = _find_existing(folder)
    if not existing.is_dir():
        raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    if not os.access(existing, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(existing).f_flag & os.ST_RDONLY
        error_number = errno.EROFS if is_read_only else errno.EACCES
        raise OSError(error_number, os.strerror(error_number))


def _find_existing(folder: Path) -> Path:
    """Return the folder, or its nearest existing parent. Raises `OSError`."""
    for path in (folder, *folder.parents):
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            continue
        return path
    return Path(folder.anchor)


def _describe_error(folder: Path, error: OSError) -> str:
    return f"the data directory {folder} cannot be used: {_explain_error(folder, error)}"


def _explain_error(folder: Path, error: OSError) -> str:
    advice = "set TRANSCRIBE_DATA_DIR (or --data-dir) to a writable folder"
    if error.errno == errno.ENAMETOOLONG:
        length = len(os.fsencode(folder))
        return (
            f"its path has {length} bytes, but at most {MAX_PATH_BYTES} are allowed, and 255 per "
            "name; set TRANSCRIBE_DATA_DIR (or --data-dir) to a shorter path"
        )
    if free_space.is_disk_full(error):
        return f"its disk has no space for another file; free some, or {advice}"
    if error.errno == errno.ENOTDIR:
        return f"{_find_existing(folder)} is a file; {advice}"
    if error.errno == errno.EROFS:
        return f"{_find_existing(folder)} is on a file system that is read-only; {advice}"
    if error.errno in (errno.EACCES, errno.EPERM):
        path = error.filename or _find_existing(folder)
        return f"this account has no permission to write to {path}; grant it, or {advice}"
    return f"{error.strerror}; {advice}"


def _find_mount(folder: Path) -> tuple[str, str]:
    """Return type and mount point of the folder's file system."""
    mounts = {
        partition.mountpoint: partition.fstype for partition in psutil.disk_partitions(all=True)
    }
    for path in (folder, *folder.parents):
        if str(path) in mounts:
            return mounts[str(path)], str(path)
    return "a disk", folder.anchor
