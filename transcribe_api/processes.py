"""Ends processes: gently first, whole trees, and those that a killed stack left behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

#: Environment variable that every process of a stack inherits: the stack's data directory.
MARK = "TRANSCRIBE_STACK"

#: Seconds that a process is given to end by itself, before it is told harder.
STOP_SECONDS = 8

#: The same, where nobody is left whom it could serve.
LEFTOVER_SECONDS = 1

_ENDING = (signal.SIGINT, signal.SIGTERM)
_GENTLY = (signal.SIGTERM, signal.SIGQUIT)
#: Times that leftovers are looked for: one may be starting another just then.
_LOOKS = 3


def end(processes: Sequence[psutil.Process], seconds: float = STOP_SECONDS) -> None:
    """Terminate, then quit, then kill with all descendants.

    *seconds*: time to end when told the first time. Only the given processes are told: a pool
    whose members are told together with its main process hangs.
    """
    everyone = [*processes, *(child for one in processes for child in _descendants(one))]
    for told, patience in zip(_GENTLY, (seconds, STOP_SECONDS), strict=True):
        _tell(processes, told)
        if not psutil.wait_procs(everyone, timeout=patience)[1]:
            return
    _tell(everyone, signal.SIGKILL)
    psutil.wait_procs(everyone, timeout=STOP_SECONDS)


def end_leftovers(data_dir: Path) -> None:
    """End what a stack with this data directory left behind when it was killed.

    Almost at once: what they have in hand is done again, as after any kill, and a Redis needs but a
    moment to write down its last.
    """
    left = {process.pid: process for process in _marked(data_dir)}
    _tell([one for one in left.values() if _parent(one) not in left], signal.SIGTERM)
    psutil.wait_procs(list(left.values()), timeout=LEFTOVER_SECONDS)
    for _ in range(_LOOKS):
        if not (still := list(_marked(data_dir))):
            return
        _tell(still, signal.SIGKILL)
        psutil.wait_procs(still, timeout=STOP_SECONDS)


@contextmanager
def signals_held() -> Iterator[None]:
    """Have Ctrl-C and SIGTERM come at the end of the block, so that it leaves nothing half done."""
    came: list[int] = []
    try:
        before = [signal.signal(kind, lambda kind, _: came.append(kind)) for kind in _ENDING]
    except ValueError:  # not the main thread: signals do not come here
        yield
        return
    try:
        yield
    finally:
        for kind, handler in zip(_ENDING, before, strict=True):
            signal.signal(kind, handler)
        for number in came[:1]:
            signal.raise_signal(number)


def usable_cores() -> int:
    """Cores that this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _marked(data_dir: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(data_dir) and process.pid != os.getpid():
                yield process


def _parent(process: psutil.Process) -> int | None:
    with suppress(psutil.Error):
        return int(process.ppid())
    return None


def _tell(processes: Sequence[psutil.Process], what: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error, OSError):
            process.send_signal(what)


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(process.children(recursive=True))
    return []
