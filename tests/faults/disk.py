"""A disk of its own that is small enough to be filled."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ENOSPC
from pathlib import Path


@dataclass(frozen=True)
class Disk:
    """A folder, and whether it is a disk that can be filled."""

    folder: Path
    can_be_filled: bool

    @contextmanager
    def full(self) -> Iterator[None]:
        """Without a free byte for as long as the block lasts."""
        assert self.can_be_filled, "it is the machine's own"
        filler = self.folder / "filler"
        try:
            with filler.open("wb", buffering=0) as file:
                _fill(file.fileno())
            yield
        finally:
            filler.unlink(missing_ok=True)


@contextmanager
def small(folder: Path, *, megabytes: int) -> Iterator[Disk]:
    """The folder on a disk in memory, where this process may mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    try:
        yield Disk(folder, mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(file: int) -> None:
    block = 1024 * 1024
    while block:
        try:
            os.write(file, bytes(block))
        except OSError as error:
            if error.errno != ENOSPC:
                raise
            block //= 2
