"""Metric files that are safe on a full disk.

The library maps files whose blocks are not allocated yet. If the disk has no blocks left, the first
write into such a page kills the process by SIGBUS, which cannot be caught.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

#: Bytes of a new file: enough for a worker's metrics, so that few files grow.
INITIAL_BYTES = 256 * 1024


class AllocatedDict(MmapedDict):
    """Values in a file whose blocks are allocated before they are mapped.

    While the disk is full, a new file is in memory, and its values are lost with the process.
    """

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if read_mode or _allocate_file(Path(filename)):
            super().__init__(filename, read_mode)
            return
        descriptor = os.memfd_create("metrics")
        try:
            os.ftruncate(descriptor, INITIAL_BYTES)
            super().__init__(f"/proc/self/fd/{descriptor}")
        finally:
            os.close(descriptor)  # the library has its own descriptor

    def _init_value(self, key: str) -> None:
        # An entry has the key, its length and two numbers, with padding.
        while self._used + len(key.encode()) + 32 > os.fstat(self._f.fileno()).st_size:
            self._f.write(bytes(self._capacity))
            self._f.flush()
        super()._init_value(key)


def use_allocated_files() -> None:
    """Make the library use such files from now on."""
    values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]  # it offers no other way


def _allocate_file(path: Path) -> bool:
    """Fill a new file with zeros; return False if there is no space for it."""
    try:
        with path.open("ab") as file:
            if file.tell() == 0:
                file.write(bytes(INITIAL_BYTES))
    except OSError:
        path.unlink(missing_ok=True)  # a truncated file cannot be read
        return False
    return True
