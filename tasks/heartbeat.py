"""Signs of life of a worker: the leases of what it has in hand, and the queues it serves.

The worker's main process gives them, not the pool process that does the work: an engine may hold
Python's lock for as long as a chunk takes, and a pool process that is gone must not look alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
import structlog
from celery import bootsteps
from celery.worker import state
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from core import jobs, parts, serving
from core.db import build_engine
from core.settings import settings
from tasks.checkup import Checkups

log = structlog.get_logger(__name__)


class Heartbeat(bootsteps.StartStopStep):
    """Beats three times a lease."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._engine: Any = None
        self._checkups = Checkups(consumer.hostname, ())

    def start(self, consumer: Any) -> None:
        # No pool: a connection that is open while a pool process is forked would be shared by both.
        self._engine = build_engine(settings().database, poolclass=NullPool)
        self._checkups = Checkups(consumer.hostname, _queues(consumer))
        self._announce(consumer)
        seconds = min(settings().lease_seconds, serving.GONE_AFTER) / 3
        self._timer = consumer.timer.call_repeatedly(seconds, self._beat, (consumer,), priority=10)

    def stop(self, consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._checkups.stop()
            _say(serving.withdraw, consumer.hostname, _queues(consumer))

    shutdown = stop

    def _beat(self, consumer: Any) -> None:
        self._announce(consumer)
        self._renew_leases()

    def _announce(self, consumer: Any) -> None:
        self._checkups.keep()
        others = [name for name in _queues(consumer) if name not in self._checkups.queues]
        _say(serving.announce, consumer.hostname, others)

    def _renew_leases(self) -> None:
        owners = [request.id for request in tuple(state.active_requests)]
        if not owners:
            return
        try:
            with Session(self._engine) as session, session.begin():
                parts.renew(session, owners)
                jobs.renew(session, owners)
        except Exception as error:
            # The worker must outlive its database; the next beat tries again.
            log.warning("leases not renewed", reason=type(error).__name__)


def _queues(consumer: Any) -> list[str]:
    """What the worker takes from; while the broker is away there is no consumer, so nothing."""
    taken = getattr(consumer, "task_consumer", None)
    return [] if taken is None else [queue.name for queue in taken.queues]


def _say(what: Callable[[str, list[str]], None], worker: str, queues: list[str]) -> None:
    try:
        what(worker, queues)
    except redis.RedisError as error:
        log.debug("queues not announced", reason=type(error).__name__)
