"""What memory this process may use: a container has less than its machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_MIB = 1024**2

#: Where the kernel shows control groups, and what it calls their limit in versions 1 and 2.
_ROOT = Path("/sys/fs/cgroup")
_V1, _V2 = "memory.limit_in_bytes", "memory.max"


def memory_mb(root: Path = _ROOT, membership_file: Path = Path("/proc/self/cgroup")) -> float:
    """MiB of memory that there are: of the machine, or of the control group that allows least."""
    machine = float(psutil.virtual_memory().total / _MIB)
    return min([machine, *_read_limits(root, membership_file)])


def _read_limits(root: Path, membership_file: Path) -> Iterator[float]:
    for file in _list_limit_files(root, membership_file):
        # Without a limit version 2 says "max", and version 1 a number beyond any machine.
        with suppress(OSError, ValueError):
            yield int(file.read_text()) / _MIB


def _list_limit_files(root: Path, membership_file: Path) -> Iterator[Path]:
    """Where the limits of every group are told that this process is in."""
    for line in _read_lines(membership_file):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = (root / "memory", _V1) if controllers else (root, _V2)
        # Within a container the path may be the host's, and only the top is shown.
        group = Path(path.lstrip("/"))
        yield from (top / folder / name for folder in (group, *group.parents))


def _read_lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # no Linux
        return []
