"""A worker that starts: what one of its name had in hand when it was killed goes on at once.

A supervisor or a container that starts a worker again gives it the name that it had. Nobody else
knows so soon that the former one is gone: its leases say so only when they have run out.
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

#: Seconds that a living worker of the same name has to say so; and that all of it may take.
PING_TIMEOUT_SECONDS, RECOVERY_TIMEOUT_SECONDS = 1.0, 20.0


def start_recovery(sender: Any, **_: Any) -> None:
    """Have it done before the worker takes anything. *sender*: the worker, its pool not yet forked.

    In a process of its own: whatever was connected to here would be shared by all of the pool.
    """
    helper = Process(target=free_old_leases, args=(sender.app, sender.hostname))
    helper.start()
    helper.join(RECOVERY_TIMEOUT_SECONDS)
    if helper.is_alive():
        helper.terminate()
        log.warning("leases not freed", reason="it took too long")


def free_old_leases(app: Celery, worker: str) -> None:
    """Free what was left behind, and have it sent again."""
    try:
        with read_session() as session:
            is_needed = orphaned_leases.has_leases(session, worker)
        if not is_needed or _is_alive(app, worker):
            return
        with transaction() as session:
            orphaned_leases.free_leases(session, worker)
        app.send_task("housekeeping", queue=CONTROL, priority=0, ignore_result=True)
    except Exception as error:
        # A worker starts without its database and its broker, too. Then the leases run out.
        log.warning("leases not freed", reason=type(error).__name__)


def _is_alive(app: Celery, worker: str) -> bool:
    """Two of one name, started by mistake: the second must not take what the first works on."""
    return bool(app.control.ping([worker], timeout=PING_TIMEOUT_SECONDS))
