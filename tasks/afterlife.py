"""A worker that starts: what one of its name had in hand when it was killed goes on at once.

A supervisor or a container that starts a worker again gives it the name that it had. Nobody else
knows so soon that the former one is gone: its leases say so only when they have run out.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from core import afterlife
from core.db import build_engine
from core.settings import settings
from tasks.queues import CONTROL

log = structlog.get_logger(__name__)

#: Seconds that a living worker of the same name has to say so.
PATIENCE = 1.0


def begin(sender: Any, **_: Any) -> None:
    """Free what was left behind, and have it sent again. *sender*: the worker, not yet forked."""
    engine = build_engine(settings().database, poolclass=NullPool)
    try:
        with Session(engine) as session, session.begin():
            if not afterlife.left_anything(session, sender.hostname) or _lives(sender):
                return
            afterlife.free(session, sender.hostname)
        sender.app.send_task("housekeeping", queue=CONTROL, priority=0)
    except Exception as error:
        # A worker starts without its database and its broker, too. Then the leases run out.
        log.warning("leases not freed", reason=type(error).__name__)
    finally:
        engine.dispose()


def _lives(worker: Any) -> bool:
    """Two of one name, started by mistake: the second must not take what the first works on."""
    return bool(worker.app.control.ping([worker.hostname], timeout=PATIENCE))
