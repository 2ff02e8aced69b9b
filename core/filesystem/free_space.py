"""Free space of the data directory's file system: reserve and shortage."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import StorageFull, Unavailable
from core.settings import settings

MIB = 1024 * 1024
#: Bytes and share of the file system that stay free unless `MIN_FREE_BYTES` is set.
DEFAULT_RESERVE = 512 * MIB
DEFAULT_SHARE = 0.02
#: Bytes without which no write is reliable, whatever the reserve: a database page, some log lines,
#: the queue's data.
ESSENTIAL_BYTES = MIB
#: Bytes of a file between two checks of the free space.
CHECK_EVERY_BYTES = 16 * MIB

_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a file system."""

    total: int
    free: int


def measure_space(folder: Path) -> Space:
    """Return the space of the file system of *folder*, existing or not. Raises `OSError`."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    usage = shutil.disk_usage(existing)
    return Space(usage.total, usage.free)


def compute_reserve(total: int) -> int:
    """Return the bytes that must stay free on a file system of *total* bytes."""
    minimum = settings().min_free_bytes
    return max(DEFAULT_RESERVE, int(DEFAULT_SHARE * total)) if minimum is None else minimum


def find_shortage(extra: int = 0) -> str | None:
    """Return the shortage for writing *extra* bytes, as a sentence; None if there is space."""
    folder = settings().transcribe_data_dir
    try:
        space = measure_space(folder)
    except OSError:  # the write itself reports the problem better
        return None
    reserve = compute_reserve(space.total)
    if space.free - extra >= max(reserve, 1):
        return None
    suffix = f" after {_format_mib(extra)} more are written" if extra else ""
    return (
        f"the disk of {folder} is full: {_format_mib(space.free)} are free, and "
        f"{_format_mib(reserve)} must stay free{suffix} (MIN_FREE_BYTES)"
    )


def find_minimum_shortage(minimum: int = ESSENTIAL_BYTES) -> str | None:
    """Return the shortage of *minimum* bytes, as a sentence; None if they are free."""
    folder = settings().transcribe_data_dir
    try:
        free = measure_space(folder).free
    except OSError:
        return None
    if free >= minimum:
        return None
    return (
        f"the disk of {folder} is full: {_format_mib(free)} are free, and {_format_mib(minimum)} "
        "are needed to continue; free some space"
    )


def require_minimum(minimum: int) -> None:
    """Raise `StorageFull`, only for operators, unless *minimum* bytes are free."""
    if shortage := find_minimum_shortage(minimum):
        raise StorageFull(shortage)


def is_disk_full(error: OSError) -> bool:
    """Return whether the disk, or the account's quota, is full."""
    return error.errno in _DISK_FULL_ERRNOS


def convert_error(error: OSError, summary: str) -> Unavailable:
    """Convert a write error: `StorageFull` if there is no space, else `Unavailable`.

    *summary*: the beginning of the message, for callers.
    """
    error_class = StorageFull if is_disk_full(error) else Unavailable
    return error_class(f"{summary}: {error.strerror}")


def require_space(extra: int = 0) -> None:
    """Raise `StorageFull` unless *extra* bytes can be written and the reserve stays free."""
    if shortage := find_shortage(extra):
        raise StorageFull(hide_folder(shortage))


class FreeSpaceMonitor:
    """Checks the free space regularly while a file is written, since others write, too."""

    def __init__(self) -> None:
        self._next_check = CHECK_EVERY_BYTES

    def check(self, size: int) -> None:
        """Check the space; *size*: bytes written so far. Raises `StorageFull`."""
        if size >= self._next_check:
            require_space()
            self._next_check = size + CHECK_EVERY_BYTES


def hide_folder(shortage: str) -> str:
    """Return the sentence for callers, who must not see paths of the machine."""
    return shortage.replace(f"of {settings().transcribe_data_dir} ", "of the service ", 1)


def _format_mib(count: int) -> str:
    return f"{count / MIB:.1f} MiB"
