"""Files that processes count in, which a full disk does not turn into their death.

The library maps files whose blocks are not allocated yet. Where the disk has none left, the first
write into such a page ends the process by SIGBUS, which nothing can catch.
"""

from __future__ import annotations

import os
from pathlib import Path

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

#: Bytes of a new file: enough for what a worker counts, so that few grow.
INITIAL_BYTES = 256 * 1024


class AllocatedDict(MmapedDict):
    """Values in a file whose blocks are on the disk before they are mapped.

    While the disk is full, a new one is in memory, and what it counts is lost with its process.
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
            os.close(descriptor)  # the library has opened it once more

    def _init_value(self, key: str) -> None:
        # An entry has the key, its length and two numbers, with padding.
        while self._used + len(key.encode()) + 32 > os.fstat(self._f.fileno()).st_size:
            self._f.write(bytes(self._capacity))
            self._f.flush()
        super()._init_value(key)


def use_allocated_files() -> None:
    """Have the library count in such files from now on."""
    values.MmapedDict = AllocatedDict  # type: ignore[attr-defined]  # it offers no other way


def _allocate_file(path: Path) -> bool:
    """Write a new file to its end, once. False where there is no room for it."""
    try:
        with path.open("ab") as file:
            if file.tell() == 0:
                file.write(bytes(INITIAL_BYTES))
    except OSError:
        path.unlink(missing_ok=True)  # one that is cut off cannot be read
        return False
    return True
