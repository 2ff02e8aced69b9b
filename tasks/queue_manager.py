"""Overview of the queues: waiting messages, workers, and priorities."""

from __future__ import annotations

from contextlib import suppress

import redis
from kombu.exceptions import OperationalError

from core.jobs.priorities import message_priority
from core.live import worker_registry
from core.states import Priority
from tasks import queue_lengths


class QueueManager:
    """Reports on the queues, which Celery manages."""

    def names(self) -> list[str]:
        """Return all queues of the service, even if this machine cannot serve them."""
        return queue_lengths.list_all_queues()

    def status(self) -> dict[str, dict[str, int | None]]:
        """Return ``waiting`` messages and live ``workers`` by queue; None for unknown values."""
        names = self.names()
        lengths: dict[str, int] = {}
        with suppress(OperationalError, redis.RedisError):
            lengths = queue_lengths.count_messages(names)
        return {
            name: {"waiting": lengths.get(name), "workers": worker_registry.count_workers(name)}
            for name in names
        }

    def priority(self, priority: Priority, seconds: float = 0.0) -> int:
        """Return the broker's priority of a job with *seconds* of audio left; 0 comes first."""
        return message_priority(priority, seconds)
