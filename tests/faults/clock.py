"""The clock of the service's processes, which can be set without that of the machine."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

_SOURCE = Path(__file__).with_name("clock.c")


@dataclass
class Clock:
    """Works where there is a C compiler. With libfaketime 0.9.10, Python 3.11 cannot sleep."""

    folder: Path
    #: The environment of processes that go by this clock; empty where it does not work.
    environment: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        library, self._offset = self.folder / "clock.so", self.folder / "clock"
        self.set(0)
        compiler = shutil.which("cc")
        if compiler:
            command = [compiler, "-shared", "-fPIC", "-O2", "-o", library, _SOURCE]
            subprocess.run(command, check=True)
        self.environment = (
            {"LD_PRELOAD": str(library), "CLOCK_IS_OFF_BY": str(self._offset)} if compiler else {}
        )

    @property
    def can_be_set(self) -> bool:
        return bool(self.environment)

    def set(self, seconds: int) -> None:
        """Let it be off by so much, at once and for everybody."""
        # In place: the processes have this file in their memory.
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))
