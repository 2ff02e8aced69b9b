"""Stop processes: gracefully first, whole trees, and leftovers of a killed stack."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

#: Environment variable that every process of a stack inherits: the stack's data directory.
MARK_VARIABLE = "TRANSCRIBE_STACK"

#: Seconds for a process to end before a stronger signal.
STOP_SECONDS = 8

#: The same for leftovers, which serve nobody any more.
LEFTOVER_SECONDS = 1

_HELD_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGQUIT)
#: Searches for leftovers: one may just be starting another process.
_LEFTOVER_ROUNDS = 3


def end_processes(processes: Sequence[psutil.Process], seconds: float = STOP_SECONDS) -> None:
    """Send SIGTERM, then SIGQUIT, then SIGKILL to all descendants as well.

    *seconds*: time to end after the first signal. The first two signals go only to the given
    processes: a pool hangs if its members get a signal together with its main process.
    """
    all_processes = [
        *processes,
        *(child for process in processes for child in _find_descendants(process)),
    ]
    for signal_number, timeout in zip(_STOP_SIGNALS, (seconds, STOP_SECONDS), strict=True):
        _send_signal(processes, signal_number)
        if not psutil.wait_procs(all_processes, timeout=timeout)[1]:
            return
    _send_signal(all_processes, signal.SIGKILL)
    psutil.wait_procs(all_processes, timeout=STOP_SECONDS)


def end_leftovers(data_dir: Path) -> None:
    """Stop the leftovers of a killed stack with this data directory.

    They get little time: their work is repeated, as after any kill, and Redis needs only a moment
    to write its last data.
    """
    leftovers = {process.pid: process for process in _find_marked(data_dir)}
    _send_signal(
        [
            leftover
            for leftover in leftovers.values()
            if _find_parent_pid(leftover) not in leftovers
        ],
        signal.SIGTERM,
    )
    psutil.wait_procs(list(leftovers.values()), timeout=LEFTOVER_SECONDS)
    for _ in range(_LEFTOVER_ROUNDS):
        if not (survivors := list(_find_marked(data_dir))):
            return
        _send_signal(survivors, signal.SIGKILL)
        psutil.wait_procs(survivors, timeout=STOP_SECONDS)


@contextmanager
def hold_signals() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM to the end of the block, so that it is not interrupted."""
    received: list[int] = []
    try:
        previous = [
            signal.signal(kind, lambda kind, _: received.append(kind)) for kind in _HELD_SIGNALS
        ]
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        for kind, handler in zip(_HELD_SIGNALS, previous, strict=True):
            signal.signal(kind, handler)
        for number in received[:1]:
            signal.raise_signal(number)


def count_usable_cores() -> int:
    """Return the cores that this process may use, fewer in a container than on the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _find_marked(data_dir: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK_VARIABLE) == str(data_dir) and process.pid != os.getpid():
                yield process


def _find_parent_pid(process: psutil.Process) -> int | None:
    with suppress(psutil.Error):
        return int(process.ppid())
    return None


def _send_signal(processes: Sequence[psutil.Process], signal_number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error, OSError):
            process.send_signal(signal_number)


def _find_descendants(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(process.children(recursive=True))
    return []
