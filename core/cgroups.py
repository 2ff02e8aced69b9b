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


def memory_mb(root: Path = _ROOT, own: Path = Path("/proc/self/cgroup")) -> float:
    """MiB of memory that there are: of the machine, or of the control group that allows least."""
    return min([psutil.virtual_memory().total / _MIB, *_limits(root, own)])


def _limits(root: Path, own: Path) -> Iterator[float]:
    for file in _files(root, own):
        # Without a limit version 2 says "max", and version 1 a number beyond any machine.
        with suppress(OSError, ValueError):
            yield int(file.read_text()) / _MIB


def _files(root: Path, own: Path) -> Iterator[Path]:
    """Where the limits of every group are told that this process is in."""
    for line in _lines(own):
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = (root / "memory", _V1) if controllers else (root, _V2)
        # Within a container the path may be the host's, and only the top is shown.
        group = Path(path.lstrip("/"))
        yield from (top / part / name for part in (group, *group.parents))


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text().splitlines()
    except OSError:  # no Linux
        return []
