"""The lock of a data directory, held by a running stack or a restore.

The kernel releases it when the process ends in any way.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from core.errors import TranscribeError
from core.filesystem import private_files

NAME = "stack.lock"


class DataDirectoryInUse(TranscribeError):
    """Another stack uses the data directory."""

    code = "data_dir_in_use"


def acquire_lock(data_dir: Path) -> IO[str]:
    """Take the lock until the file is closed. Raises `DataDirectoryInUse`."""
    file = private_files.open_file(data_dir / NAME, "w")
    if not _try_lock(file, fcntl.LOCK_EX):
        file.close()
        raise DataDirectoryInUse(
            f"a stack is running in {data_dir}; choose another directory with --data-dir"
        )
    return file


def is_locked(data_dir: Path) -> bool:
    """Return whether the lock is held now."""
    try:
        with (data_dir / NAME).open() as file:
            return not _try_lock(file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return False


def _try_lock(file: IO[str], operation: int) -> bool:
    try:
        fcntl.flock(file, operation | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
