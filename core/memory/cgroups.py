"""Memory available to this process: a container has less than its machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_MIB = 1024**2

#: Where the kernel shows control groups, and the names of the limit's file in versions 1 and 2.
_ROOT = Path("/sys/fs/cgroup")
_V1, _V2 = "memory.limit_in_bytes", "memory.max"


def memory_mb(root: Path = _ROOT, membership_file: Path = Path("/proc/self/cgroup")) -> float:
    """Return the available memory in MiB: the machine's, or the lowest control group limit."""
    machine = float(psutil.virtual_memory().total / _MIB)
    return min([machine, *_read_limits(root, membership_file)])


def _read_limits(root: Path, membership_file: Path) -> Iterator[float]:
    for file in _list_limit_files(root, membership_file):
        # Without a limit, version 2 has "max", and version 1 a number beyond any machine.
        with suppress(OSError, ValueError):
            yield int(file.read_text()) / _MIB


def _list_limit_files(root: Path, membership_file: Path) -> Iterator[Path]:
    """Yield the files with the limits of all control groups of this process."""
    for line in _read_lines(membership_file):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = (root / "memory", _V1) if controllers else (root, _V2)
        # In a container the path may be the host's, and only the top group is visible.
        group = Path(path.lstrip("/"))
        yield from (top / folder / name for folder in (group, *group.parents))


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # not Linux
        return []
