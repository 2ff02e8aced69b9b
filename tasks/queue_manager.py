"""The queues as a whole: what waits in them, who serves them, and what goes first."""

from __future__ import annotations

from contextlib import suppress

import redis
from kombu.exceptions import OperationalError

from core.jobs.priorities import message_priority
from core.live import worker_registry
from core.states import Priority
from tasks import queue_lengths


class QueueManager:
    """Celery keeps the queues; this tells of them."""

    def names(self) -> list[str]:
        """Every queue of the house, whether or not this machine can serve it."""
        return queue_lengths.list_all_queues()

    def status(self) -> dict[str, dict[str, int | None]]:
        """By queue: messages ``waiting``, and living ``workers``; None where nobody knows."""
        names = self.names()
        lengths: dict[str, int] = {}
        with suppress(OperationalError, redis.RedisError):
            lengths = queue_lengths.count_messages(names)
        return {
            name: {"waiting": lengths.get(name), "workers": worker_registry.count_workers(name)}
            for name in names
        }

    def priority(self, priority: Priority, seconds: float = 0.0) -> int:
        """The broker's priority of a job with *seconds* of sound still to be heard; 0 is first."""
        return message_priority(priority, seconds)
