"""A worker that is told to end: what it has in hand may come to its end, but not for ever.

Celery takes no more messages then and waits for its processes, however long they take, without any
sign of life for their leases. So a thread of the worker's main process goes on giving these; and
when ``SHUTDOWN_SECONDS`` are over it ends the processes and hands back what they had: its messages
return to the head of their queues, and other workers take them at once. A worker that is told to
end at once, or that loses a process of its pool, hands back in the same way.
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

#: Seconds between two looks at what is in hand.
CHECK_EVERY_SECONDS = 0.2


def handle_shutdown(how: str = "Warm", **_: Any) -> None:
    """See to what the worker has in hand: Celery has just been told to end."""
    # Told to do so at once, it cancels its requests: see `tasks.worker.memory.Request`.
    if how == "Warm":
        # Celery learns of a step that was begun this moment only when it is over.
        requests = tuple({*state.reserved_requests, *state.active_requests})
        threading.Thread(
            target=_wait_for_requests, args=(requests,), name="shutdown", daemon=True
        ).start()


def requeue_requests(requests: Sequence[Any], *, counts: bool) -> None:
    """Note that what these messages are about is done by nobody now, before they are requeued.

    *counts*: whether this was one of the tries that a part or a stage has. When the database is
    down, the leases run out by themselves.
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
    # First: soon others may have them under the same names. What was begun in vain is no try.
    requeue_requests(unfinished, counts=False)
    # Whoever has nothing in hand is gone by now, and deaf engines hear nothing milder.
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
