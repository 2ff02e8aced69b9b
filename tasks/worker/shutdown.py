"""Shutdown of a worker: current steps may finish, but only for a limited time.

At a warm shutdown, Celery takes no more messages and waits for its processes without any limit, and
without renewing their leases. So a thread of the worker's main process renews the leases. After
``SHUTDOWN_SECONDS`` it kills the processes and releases their steps. Their messages return to the
head of their queues, and other workers take them at once. A worker releases steps in the same way
at a cold shutdown, and when it loses a pool process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import psutil
import structlog
from celery.worker import state
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from core.db.transactions import build_engine
from core.jobs import job_leases, parts
from core.settings import settings

log = structlog.get_logger(__name__)

#: Seconds between two checks of the current steps.
CHECK_EVERY_SECONDS = 0.2


def handle_shutdown(how: str = "Warm", **_: Any) -> None:
    """Watch over the current steps after Celery was told to stop."""
    # At a cold shutdown Celery cancels its requests instead: see `tasks.worker.memory.Request`.
    if how == "Warm":
        # Celery registers a step that was started this moment only when it is over.
        requests = tuple({*state.reserved_requests, *state.active_requests})
        threading.Thread(
            target=_wait_for_requests, args=(requests,), name="shutdown", daemon=True
        ).start()


def requeue_requests(requests: Sequence[Any], *, counts: bool) -> None:
    """Release the jobs and parts of these messages, before the messages are requeued.

    *counts*: whether this counts as an attempt of the part or stage. If the database is down, the
    leases expire by themselves.
    """
    arguments = {"worker": requests[0].hostname, "counts": counts}
    _update_leases(
        requests,
        partial(parts.requeue_parts, **arguments),
        partial(job_leases.requeue_jobs, **arguments),
    )


def _wait_for_requests(requests: Sequence[Any]) -> None:
    now = time.monotonic()
    end, renewed_at = now + settings().shutdown_seconds, now
    while unfinished := [request for request in requests if not request.acknowledged]:
        now = time.monotonic()
        if now >= end:
            _abandon_requests(unfinished)
            return
        if now - renewed_at >= settings().lease_seconds / 3:
            _update_leases(unfinished, parts.renew_leases, job_leases.renew_leases)
            renewed_at = now
        time.sleep(CHECK_EVERY_SECONDS)


def _abandon_requests(unfinished: Sequence[Any]) -> None:
    log.warning("work is left to others", steps=len(unfinished))
    # First: other workers may soon have them under the same names. Interrupted work is no attempt.
    requeue_requests(unfinished, counts=False)
    # Idle processes have exited by now, and busy engines may ignore milder signals.
    for process in psutil.Process().children():
        with suppress(psutil.Error):
            process.kill()


def _update_leases(requests: Sequence[Any], *changes: Callable[[Session, list[str]], None]) -> None:
    owners = [request.id for request in requests]
    engine = build_engine(settings().database, poolclass=NullPool)
    try:
        with Session(engine) as session, session.begin():
            for change in changes:
                change(session, owners)
    except Exception as error:
        log.warning("leases not changed", reason=type(error).__name__)
    finally:
        engine.dispose()
