"""Heartbeat of a worker: it renews the leases of current steps, and announces the queues.

The worker's main process does this, and not the pool process of the step: an engine may hold the
GIL for as long as a chunk takes, and a dead pool process must not look alive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
import structlog
from celery.worker import state
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from core.db.transactions import build_engine
from core.jobs import job_leases, parts
from core.live import worker_registry
from core.settings import settings
from tasks.worker.engine_health import HealthChecks
from tasks.worker.repeating_step import RepeatingStep

log = structlog.get_logger(__name__)


class Heartbeat(RepeatingStep):
    """Sends a heartbeat three times per lease, and at least every few seconds."""

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self.interval = min(settings().lease_seconds, worker_registry.EXPIRES_AFTER_SECONDS) / 3
        self._engine: Any = None
        self._health_checks = HealthChecks(consumer.hostname, ())

    def set_up(self, consumer: Any) -> None:
        # No pool: an open connection would be shared with a pool process that is forked meanwhile.
        self._engine = build_engine(settings().database, poolclass=NullPool)
        self._health_checks = HealthChecks(consumer.hostname, _list_queues(consumer))
        self._announce(consumer)

    def repeat(self, consumer: Any) -> None:
        self._announce(consumer)
        self._renew_leases()

    def clean_up(self, consumer: Any) -> None:
        self._health_checks.stop()
        _update_registry(worker_registry.withdraw_worker, consumer.hostname, _list_queues(consumer))

    def _announce(self, consumer: Any) -> None:
        self._health_checks.start_missing()
        other_queues = [
            name for name in _list_queues(consumer) if name not in self._health_checks.queues
        ]
        _update_registry(worker_registry.announce_worker, consumer.hostname, other_queues)

    def _renew_leases(self) -> None:
        owners = [request.id for request in tuple(state.active_requests)]
        if not owners:
            return
        try:
            with Session(self._engine) as session, session.begin():
                parts.renew_leases(session, owners)
                job_leases.renew_leases(session, owners)
        except Exception as error:
            # The worker must survive an outage of the database; the next heartbeat retries.
            log.warning("leases not renewed", reason=type(error).__name__)


def _list_queues(consumer: Any) -> list[str]:
    """Return the worker's queues; empty while the broker is down and there is no consumer."""
    task_consumer = getattr(consumer, "task_consumer", None)
    return [] if task_consumer is None else [queue.name for queue in task_consumer.queues]


def _update_registry(
    update: Callable[[str, list[str]], None], worker: str, queues: list[str]
) -> None:
    try:
        update(worker, queues)
    except redis.RedisError as error:
        log.debug("queues not announced", reason=type(error).__name__)
