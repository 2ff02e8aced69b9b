"""Handling of processes when memory is short; `core.memory.leases` decides who may load a model.

A process without enough memory hands its message back and pauses, so that processes with the model
do all of the work. A process with a model that others need memory for is terminated, and its worker
starts another one: only this surely frees the memory.
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

#: Seconds between a worker's checks whether others need the memory of its idle processes.
CHECK_EVERY_SECONDS = 1.0
#: Seconds that others must have waited before an idle process is terminated.
IDLE_EVICT_SECONDS = 1.0
#: Seconds that a process without enough memory leaves the work to others, and between its checks.
WAIT_SECONDS = 10.0
WAIT_STEP_SECONDS = 0.5
#: Seconds that a cold shutdown waits for the database, per current step.
REQUEUE_SECONDS = 3.0
#: MiB that a process may use besides its models.
LIBRARIES_MB = 1024


def max_process_kib(queues: Iterable[str]) -> int:
    """Return the KiB of resident memory above which a pool process must leak, and is replaced.

    It is twice the memory given for the largest engine and diarizer of the queues, plus the
    libraries. So a healthy process never has to reload its model after each chunk.
    """
    served = set(queues)
    kinds = catalog.recognizers(), catalog.diarizers()
    largest = (
        max((spec.memory_mb for spec in kind.values() if spec.queue in served), default=0)
        for kind in kinds
    )
    return 1024 * (2 * sum(largest) + LIBRARIES_MB)


def wait_for_room(leases: ResourceManager) -> None:
    """Wait until the last request of this process fits, or for `WAIT_SECONDS`."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until and not leases.is_leaving and not leases.has_room():
        time.sleep(WAIT_STEP_SECONDS)


class Request(request.Request):
    """A step, as seen by the worker's main process."""

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> None:
        """Release the step of a lost process; terminate a process that must leave.

        At this moment the process surely has no step.
        """
        if isinstance(exc_info.exception, WorkerLostError):
            # First: Celery requeues the message, and then another worker may claim the step.
            worker_shutdown.requeue_requests([self], counts=True)
        super().on_failure(exc_info, *args, **kwargs)
        if isinstance(exc_info.exception, Ignore):
            claims = ResourceManager().claims()
            if any(claim.pid == self.worker_pid and claim.is_leaving for claim in claims):
                _terminate(self.worker_pid)

    def cancel(self, *args: Any, **kwargs: Any) -> None:
        """Release the step at a cold shutdown, before the worker requeues its message."""
        # Celery calls this in a signal handler: the interrupted code may hold a lock.
        helper = Thread(
            target=worker_shutdown.requeue_requests, args=([self],), kwargs={"counts": False}
        )
        helper.start()
        helper.join(REQUEUE_SECONDS)
        super().cancel(*args, **kwargs)


class MemoryPressure(RepeatingStep):
    """Terminates idle processes whose memory others need."""

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
    """Terminate as many idle processes as others need."""
    for pid in _list_idle_processes() & {claim.pid for claim in claims}:
        if is_eviction_due(claims, pid, budget, clock.now(), IDLE_EVICT_SECONDS):
            _terminate(pid)
            claims = [
                replace(claim, is_leaving=claim.is_leaving or claim.pid == pid) for claim in claims
            ]


def _list_idle_processes() -> set[int]:
    """Return the pool processes that surely have no step."""
    active = tuple(state.active_requests)
    if set(state.reserved_requests) - set(active):
        return set()  # it is about to reach one of them
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
