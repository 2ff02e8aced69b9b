"""Folders and files that no other account of this machine can read: 0700 and 0600, whatever the
umask.

Recordings, the table of secrets and the queue's own file lie in the data directory. The mask of a
process is left alone: results that callers want in a folder of theirs follow it.
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
#: What lies at the top of a data directory.
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
    """Make a folder, with those above it that are missing. What is there keeps its mode."""
    if path.is_dir():
        return
    if path.parent != path:
        make_folder(path.parent)
    path.mkdir(mode=FOLDER_MODE, exist_ok=True)


def open_file(path: Path, mode: str) -> IO[Any]:
    """As `open`; a file that is made by it is private."""
    return open(path, mode, opener=_open_privately)


def write_text(path: Path, text: str) -> None:
    """Write a private file."""
    with open_file(path, "w") as file:
        file.write(text)


def make_file(path: Path) -> None:
    """Make an empty private file, where there is none. Raises `OSError`."""
    os.close(_open_privately(str(path), os.O_RDWR | os.O_CREAT))


def _open_privately(path: str, flags: int) -> int:
    return os.open(path, flags, FILE_MODE)


def is_open_to_others(path: Path) -> bool:
    """Whether other accounts of this machine may read, write or enter it."""
    return bool(stat.S_IMODE(path.stat().st_mode) & _OTHERS_MASK)


def make_data_dir(path: Path) -> bool:
    """Make the data directory, and close one that was open; whether it is closed now.

    Once it is, nobody gets to what lies below. What the service keeps at its top is closed as well:
    earlier versions left it open, and a folder can be opened again by hand. Some file systems know
    no modes, and folders that are shared, or belong to others, keep theirs.
    """
    make_folder(path)
    if is_open_to_others(path) and _is_unshared(path):
        # From the inside out: while a file is open to others, its folder does not yet look closed.
        for inner in (*_list_data_files(path), path):
            _remove_access(inner)
    return not is_open_to_others(path)


def _is_unshared(folder: Path) -> bool:
    """Whether it is this account's, and nobody else can mean to use it.

    Others may mean to use /tmp or a home.
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
    with suppress(OSError):  # it is gone, or belongs to somebody else
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~_OTHERS_MASK)
