"""How a worker does: its main process counts for all its processes, and tells `core.fleet`."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import redis
import structlog
from celery import bootsteps
from celery.signals import worker_init
from prometheus_client.metrics_core import Metric

from core import clock, metrics, versions
from core.fleet import EVERY, Teller
from tasks import checkup
from tasks.alarm import alarm

log = structlog.get_logger(__name__)


@worker_init.connect
def _count_together(**_: Any) -> None:
    # Before the pool is forked: its processes count where this one looks.
    metrics.count_in(Path(_folder().name))


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Removed when this process ends; and what a killed one has left, with all that it has left."""
    return tempfile.TemporaryDirectory(prefix="metrics-")


class Vitals(bootsteps.StartStopStep):
    """Tells every few seconds."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None
        self._teller: Teller | None = None
        self._body = _Body()

    def start(self, consumer: Any) -> None:
        self._teller = Teller(consumer.hostname)
        self._timer = consumer.timer.call_repeatedly(EVERY, self._tell, (consumer,), priority=10)
        self._tell(consumer)

    def stop(self, _consumer: Any) -> None:
        if self._timer is not None and self._teller is not None:
            self._timer.cancel()
            self._timer = None
            with suppress(redis.RedisError):
                self._teller.withdraw()

    shutdown = stop

    def _tell(self, consumer: Any) -> None:
        assert self._teller is not None
        try:
            self._body.look()
            self._teller.tell(
                {"queues": _queues(consumer), **self._body.facts()},
                [*metrics.counted(), *self._body.levels()],
            )
        except (redis.RedisError, psutil.Error, OSError) as error:
            # The worker must outlive its metrics; the next time tells all that was missed.
            log.debug("vitals not told", reason=type(error).__name__)


class _Body:
    """The processes of a worker: the main one and its pool."""

    def __init__(self) -> None:
        self._main = psutil.Process()
        self._pool: dict[int, psutil.Process] = {}
        self._replaced = 0
        self._memory = {"main": 0, "pool": 0}
        self._peak = 0
        self._cpu = 0.0

    def look(self) -> None:
        now = {one.pid: one for one in self._main.children()}
        self._replaced += len(self._pool.keys() - now.keys())
        # The same objects as before: they know what they had used by then.
        self._pool = {pid: self._pool.get(pid, one) for pid, one in now.items()}
        self._memory = {"main": _memory(self._main), "pool": sum(map(_memory, self._pool.values()))}
        self._peak = max(self._peak, sum(self._memory.values()))
        self._cpu = sum(map(_cpu, (self._main, *self._pool.values())))

    def facts(self) -> dict[str, Any]:
        return {
            "pid": self._main.pid,
            "processes": sum(not checkup.is_one(process) for process in self._pool.values()),
            "memory_bytes": sum(self._memory.values()),
            "peak_memory_bytes": self._peak,
            "memory_budget_percent": round(100 * alarm.used),
            "cpu_percent": round(self._cpu),
            "started_at": clock.iso(clock.moment(self._main.create_time())),
            "version": versions.ours(),
        }

    def levels(self) -> list[Metric]:
        return [
            metrics.MEMORY.at([((part,), size) for part, size in self._memory.items()]),
            metrics.MEMORY_USED.at([((), alarm.used)]),
            metrics.MEMORY_ALERTS.at([((), alarm.alerts)]),
            metrics.PROCESSES.at([((), len(self._pool))]),
            metrics.REPLACED.at([((), self._replaced)]),
        ]


def _queues(consumer: Any) -> list[str]:
    return sorted(queue.name for queue in consumer.task_consumer.queues)


def _memory(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _cpu(process: psutil.Process) -> float:
    """Percent of one core since the last look."""
    with suppress(psutil.Error):
        return float(process.cpu_percent())
    return 0.0
