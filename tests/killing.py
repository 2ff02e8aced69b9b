"""Kills processes as a power cut does: which of them still live at that moment is not asked."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import psutil


def kill_processes(processes: Iterable[psutil.Process]) -> None:
    """Send SIGKILL to each. Some may end by themselves, or with their parent, before it comes."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
