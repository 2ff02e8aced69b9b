"""Folders and files that only this account can read: modes 0700 and 0600, whatever the umask.

The data directory contains recordings, the table of secrets and the queue's file. The umask of the
process is not changed: it applies to results in folders of callers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

FOLDER_MODE, FILE_MODE = 0o700, 0o600
#: For processes of other programs that write into the data directory.
UMASK = 0o077
_OTHERS_MASK = 0o077
#: Top-level names of a data directory.
_DATA_NAMES = (
    *("transcribe.db", "transcribe.db-wal", "transcribe.db-shm", "token", "beat"),
    *(
        "beat-schedule",
        "stack.json",
        "stack.lock",
        "objects",
        "redis",
        "logs",
        "scratch",
        "tmp",
        "memory",
    ),
)


def make_folder(path: Path) -> None:
    """Create a folder with its missing parents. Existing folders keep their mode."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)


def open_file(path: Path, mode: str) -> IO[Any]:
    """Open a file as `open` does; a new file is private."""
    return open(path, mode, opener=_open_privately)


def write_text(path: Path, text: str) -> None:
    """Write a private file."""
    with open_file(path, "w") as file:
        file.write(text)


def make_file(path: Path) -> None:
    """Create an empty private file unless it exists. Raises `OSError`."""
    os.close(_open_privately(str(path), os.O_RDWR | os.O_CREAT))


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def is_open_to_others(path: Path) -> bool:
    """Return whether other accounts may read, write or enter it."""
    return bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS_MASK)


def make_data_dir(path: Path) -> bool:
    """Create the data directory, or close an open one; return whether it is closed.

    Once it is closed, no other account can access its content. Its top-level files are closed as
    well: earlier versions left them open, and a folder can be opened again by hand. Some file
    systems have no modes. Folders that are shared, or belong to others, keep theirs.
    """
    make_folder(path)
    if is_open_to_others(path) and _is_unshared(path):
        # Files first: the folder must not look closed while a file in it is open.
        for inner in (*_list_data_files(path), path):
            _remove_access(inner)
    return not is_open_to_others(path)


def _is_unshared(folder: Path) -> bool:
    """Return whether the folder belongs to this account and is not for shared use.

    Other users may need /tmp or a home.
    """
    folder_stat = folder.stat()
    is_shared = folder_stat.st_mode & stat.S_ISVTX or folder in (Path.home(), Path(folder.anchor))
    return folder_stat.st_uid == os.getuid() and not is_shared


def _list_data_files(folder: Path) -> Iterator[Path]:
    for path in (folder / name for name in _DATA_NAMES):
        if path.exists() and not path.is_symlink():
            yield path
    for path in (folder / name for name in ("redis", "logs")):
        with suppress(OSError):
            yield from (child for child in path.iterdir() if not child.is_symlink())


def _remove_access(path: Path) -> None:
    with suppress(OSError):  # gone, or another account's
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS_MASK)
