"""Free space of the data directory's file system: how much is kept in reserve, and what lacks."""

from __future__ import annotations

import errno
import shutil
from dataclasses import dataclass
from pathlib import Path

from core.errors import StorageFull, Unavailable
from core.settings import settings

MIB = 1024 * 1024
#: Bytes and share of the file system that stay free unless `MIN_FREE_BYTES` names a figure.
DEFAULT_RESERVE = 512 * MIB
DEFAULT_SHARE = 0.02
#: Bytes without which nothing can be relied on to be written, whatever the reserve: a page of the
#: database, some lines of logs, what the queue keeps.
LEAST = MIB
#: Bytes of a file between two looks at the free space.
LOOK_EVERY = 16 * MIB

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a file system."""

    total: int
    free: int


def measure(folder: Path) -> Space:
    """The space of the file system that *folder* is on, or will be. Raises `OSError`."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    usage = shutil.disk_usage(existing)
    return Space(usage.total, usage.free)


def compute_reserve(total: int) -> int:
    """Bytes that must stay free on a file system of *total* bytes."""
    least = settings().min_free_bytes
    return max(DEFAULT_RESERVE, int(DEFAULT_SHARE * total)) if least is None else least


def find_shortage(more: int = 0) -> str | None:
    """What lacks before *more* bytes can be written, as a sentence; None if there is room."""
    folder = settings().transcribe_data_dir
    try:
        space = measure(folder)
    except OSError:  # whoever writes there says better what is wrong
        return None
    reserve = compute_reserve(space.total)
    if space.free - more >= max(reserve, 1):
        return None
    wanted = f" after {_in_mib(more)} more are written" if more else ""
    return (
        f"the disk of {folder} is full: {_in_mib(space.free)} are free, and "
        f"{_in_mib(reserve)} must stay free{wanted} (MIN_FREE_BYTES)"
    )


def find_lack(least: int = LEAST) -> str | None:
    """What lacks where not even *least* bytes are free, as a sentence; None if they are."""
    folder = settings().transcribe_data_dir
    try:
        free = measure(folder).free
    except OSError:
        return None
    if free >= least:
        return None
    return (
        f"the disk of {folder} is full: {_in_mib(free)} are free, and {_in_mib(least)} are needed "
        "to go on; make room"
    )


def require_least(least: int) -> None:
    """Raise `StorageFull`, for operators alone, where not even *least* bytes are free."""
    if lack := find_lack(least):
        raise StorageFull(lack)


def is_for_want_of_room(error: OSError) -> bool:
    """Whether the disk, or what an account may have of it, is full."""
    return error.errno in _NO_ROOM


def explain(error: OSError, what: str) -> Unavailable:
    """What is raised instead of an *error* of writing: `StorageFull` if there is no room.

    *what*: the beginning of the sentence, for callers.
    """
    kind = StorageFull if is_for_want_of_room(error) else Unavailable
    return kind(f"{what}: {error.strerror}")


def require(more: int = 0) -> None:
    """Raise `StorageFull` unless *more* bytes can be written and the reserve stays free."""
    if shortage := find_shortage(more):
        raise StorageFull(without_folder(shortage))


class Lookout:
    """Looks at the free space again and again while a file is written: others write, too."""

    def __init__(self) -> None:
        self._next = LOOK_EVERY

    def look(self, size: int) -> None:
        """Call it with the bytes that were written until now. Raises `StorageFull`."""
        if size >= self._next:
            require()
            self._next = size + LOOK_EVERY


def without_folder(shortage: str) -> str:
    """The sentence as callers are shown it: paths of the machine are none of their business."""
    return shortage.replace(f"of {settings().transcribe_data_dir} ", "of the service ", 1)


def _in_mib(count: int) -> str:
    return f"{count / MIB:.1f} MiB"
