"""A boot step of Celery that does something every few seconds in a worker's main process."""

from __future__ import annotations

from typing import Any

from celery import bootsteps

#: Of the timer: before Celery's own entries, which may be many.
_PRIORITY = 10


class RepeatingStep(bootsteps.StartStopStep):
    """Calls `repeat` from the moment at which the worker takes messages until it ends."""

    #: Seconds between two calls of `repeat`.
    interval: float
    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None

    def set_up(self, consumer: Any) -> None:
        """Prepare for the first call. A worker that lost its broker does this again."""

    def repeat(self, consumer: Any) -> None:
        """Do it once. What this raises ends the worker."""
        raise NotImplementedError

    def clean_up(self, consumer: Any) -> None:
        """Undo what `set_up` did."""

    def start(self, consumer: Any) -> None:
        self.set_up(consumer)
        self._timer = consumer.timer.call_repeatedly(
            self.interval, self.repeat, (consumer,), priority=_PRIORITY
        )

    def stop(self, consumer: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.clean_up(consumer)

    shutdown = stop
