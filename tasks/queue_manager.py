"""The queues as a whole: what waits in them, who serves them, and what goes first."""

from __future__ import annotations

from contextlib import suppress

import redis
from kombu.exceptions import OperationalError

from core import serving
from core.precedence import message_priority
from core.states import Priority
from tasks import waiting


class QueueManager:
    """Celery keeps the queues; this tells of them."""

    def names(self) -> list[str]:
        """Every queue of the house, whether or not this machine can serve it."""
        return waiting.all_queues()

    def status(self) -> dict[str, dict[str, int | None]]:
        """By queue: messages ``waiting``, and living ``workers``; None where nobody knows."""
        names = self.names()
        lengths: dict[str, int] = {}
        with suppress(OperationalError, redis.RedisError):
            lengths = waiting.messages(names)
        return {
            name: {"waiting": lengths.get(name), "workers": serving.workers(name)} for name in names
        }

    def priority(self, priority: Priority, seconds: float = 0.0) -> int:
        """The broker's priority of a job with *seconds* of sound still to be heard; 0 is first."""
        return message_priority(priority, seconds)
