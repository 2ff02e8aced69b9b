"""What becomes of processes when memory is short; `core.memory.leases` says who may load what.

A process that finds no room hands its message back and sits out, so that whoever has the model goes
on with all of the work. One that has a model which others need is ended, and its worker starts
another in its place: nothing else gives memory back for certain.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from threading import Thread
from typing import Any

import psutil
import structlog
from celery.exceptions import Ignore, WorkerLostError
from celery.worker import request, state

from core import clock
from core.errors import Unavailable
from core.memory.leases import MemoryClaim, ResourceManager, is_eviction_due
from engines import catalog
from tasks.worker import shutdown as worker_shutdown
from tasks.worker.memory_alert import worker_alert
from tasks.worker.repeating_step import RepeatingStep

log = structlog.get_logger(__name__)

#: Seconds between two looks of a worker whether others need what its idle processes have.
CHECK_EVERY_SECONDS = 1.0
#: Seconds that others must have waited before an idle process is ended.
IDLE_EVICT_SECONDS = 1.0
#: Seconds that a process without room leaves the work to others, and between its looks.
WAIT_SECONDS = 10.0
WAIT_STEP_SECONDS = 0.5
#: Seconds that a worker which ends at once gives the database for each step in hand.
REQUEUE_SECONDS = 3.0
#: MiB that a process may take beside its models.
LIBRARIES_MB = 1024


def max_process_kib(queues: Iterable[str]) -> int:
    """Resident KiB above which a pool process of these queues must leak, and is replaced.

    That is twice what the largest engine and the largest diarizer of the queues are said to take,
    so that one which is healthy is never loaded anew after each chunk.
    """
    served = set(queues)
    kinds = catalog.recognizers(), catalog.diarizers()
    largest = (
        max((spec.memory_mb for spec in kind.values() if spec.queue in served), default=0)
        for kind in kinds
    )
    return 1024 * (2 * sum(largest) + LIBRARIES_MB)


def wait_for_room(leases: ResourceManager) -> None:
    """Wait until there is room for what this process wanted, or for a while."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until and not leases.is_leaving and not leases.has_room():
        time.sleep(WAIT_STEP_SECONDS)


class Request(request.Request):
    """A step as the worker's main process sees it."""

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """Hand the step back whose process is lost; end one that handed it back in order to leave.

        This is the moment at which it surely has nothing in hand.
        """
        if isinstance(exc_info.exception, WorkerLostError):
            # First: Celery requeues the message, and then another worker may have it.
            worker_shutdown.requeue_requests([self], counts=True)
        super().on_failure(exc_info, *args, **kwargs)
        if isinstance(exc_info.exception, Ignore):
            claims = ResourceManager().claims()
            if any(claim.pid == self.worker_pid and claim.is_leaving for claim in claims):
                _terminate(self.worker_pid)

    def cancel(self, *args: Any, **kwargs: Any) -> None:
        """Hand the step back: the worker was told to end at once, and will requeue its message."""
        # Celery calls this in the handler of a signal: what that interrupted may hold a lock.
        helper = Thread(
            target=worker_shutdown.requeue_requests, args=([self],), kwargs={"counts": False}
        )
        helper.start()
        helper.join(REQUEUE_SECONDS)
        super().cancel(*args, **kwargs)


class MemoryPressure(RepeatingStep):
    """Has idle processes make way for what others need."""

    interval = CHECK_EVERY_SECONDS

    def repeat(self, consumer: Any) -> None:  # noqa: ARG002
        try:
            leases = ResourceManager()
            claims = leases.claims()
        except Unavailable as error:
            log.debug("leases not read", reason=str(error))
            return
        worker_alert.update(claims, leases.budget)
        _end_idle_processes(claims, leases.budget)


def _end_idle_processes(claims: Sequence[MemoryClaim], budget: float) -> None:
    """End idle processes, as many as others need."""
    for pid in _list_idle_processes() & {claim.pid for claim in claims}:
        if is_eviction_due(claims, pid, budget, clock.now(), IDLE_EVICT_SECONDS):
            _terminate(pid)
            claims = [
                replace(claim, is_leaving=claim.is_leaving or claim.pid == pid) for claim in claims
            ]


def _list_idle_processes() -> set[int]:
    """Pool processes that have nothing in hand, if that is certain."""
    active = tuple(state.active_requests)
    if set(state.reserved_requests) - set(active):
        return set()  # on its way to one of them
    children = psutil.Process().children()
    return {child.pid for child in children} - {
        active_request.worker_pid for active_request in active
    }


def _terminate(pid: int) -> None:
    if pid == os.getpid():
        return
    log.info("a process makes way for another model", pid=pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
