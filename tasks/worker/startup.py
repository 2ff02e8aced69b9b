"""Startup of a worker: the steps of a killed worker with the same name continue at once.

A supervisor or container restarts a worker with the same name. Only the new worker knows so early
that the former one is gone: its leases show this only when they expire.
"""

from __future__ import annotations

from typing import Any

import structlog
from billiard import Process
from celery import Celery

from core.db.transactions import read_session, transaction
from core.jobs import orphaned_leases
from tasks.queues import CONTROL

log = structlog.get_logger(__name__)

#: Seconds to wait for a reply from a live worker of the same name, and for the whole recovery.
PING_TIMEOUT_SECONDS, RECOVERY_TIMEOUT_SECONDS = 1.0, 20.0


def start_recovery(sender: Any, **_: Any) -> None:
    """Free old leases before the worker takes messages.

    *sender*: the worker, before its pool forks. This runs in a separate process: the pool would
    share all connections opened here.
    """
    helper = Process(target=free_old_leases, args=(sender.app, sender.hostname))
    helper.start()
    helper.join(RECOVERY_TIMEOUT_SECONDS)
    if helper.is_alive():
        helper.terminate()
        log.warning("leases not freed", reason="it took too long")


def free_old_leases(app: Celery, worker: str) -> None:
    """Free the leases of a killed worker with this name, and have its steps sent again."""
    try:
        with read_session() as session:
            is_needed = orphaned_leases.has_leases(session, worker)
        if not is_needed or _is_alive(app, worker):
            return
        with transaction() as session:
            orphaned_leases.free_leases(session, worker)
        app.send_task("housekeeping", queue=CONTROL, priority=0, ignore_result=True)
    except Exception as error:
        # A worker can start without its database and broker. Then the leases expire by themselves.
        log.warning("leases not freed", reason=type(error).__name__)


def _is_alive(app: Celery, worker: str) -> bool:
    """Return whether a live worker has this name.

    Two may be started by mistake: the second must not take over the steps of the first.
    """
    return bool(app.control.ping([worker], timeout=PING_TIMEOUT_SECONDS))
