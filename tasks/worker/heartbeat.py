"""Signs of life of a worker: the leases of what it has in hand, and the queues it serves.

The worker's main process gives them, not the pool process that does the work: an engine may hold
Python's lock for as long as a chunk takes, and a pool process that is gone must not look alive.
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
    """Beats three times a lease."""

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self.interval = min(settings().lease_seconds, worker_registry.EXPIRES_AFTER_SECONDS) / 3
        self._engine: Any = None
        self._health_checks = HealthChecks(consumer.hostname, ())

    def set_up(self, consumer: Any) -> None:
        # No pool: a connection that is open while a pool process is forked would be shared by both.
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
            # The worker must outlive its database; the next beat tries again.
            log.warning("leases not renewed", reason=type(error).__name__)


def _list_queues(consumer: Any) -> list[str]:
    """What the worker takes from; while the broker is away there is no consumer, so nothing."""
    task_consumer = getattr(consumer, "task_consumer", None)
    return [] if task_consumer is None else [queue.name for queue in task_consumer.queues]


def _update_registry(
    update: Callable[[str, list[str]], None], worker: str, queues: list[str]
) -> None:
    try:
        update(worker, queues)
    except redis.RedisError as error:
        log.debug("queues not announced", reason=type(error).__name__)
