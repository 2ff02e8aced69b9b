"""Metrics of a worker: its main process collects those of all its processes, and reports them."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import psutil
import redis
import structlog
from celery.signals import worker_init
from prometheus_client.metrics_core import Metric

from core import clock, metrics, versions
from core.live.worker_registry import REPORT_EVERY_SECONDS, ProcessReporter
from tasks.worker import engine_health
from tasks.worker.memory_alert import worker_alert
from tasks.worker.repeating_step import RepeatingStep

log = structlog.get_logger(__name__)


@worker_init.connect
def _share_counters(**_: Any) -> None:
    # Before the pool is forked, so that its processes count in the same folder.
    metrics.count_in_folder(Path(_metrics_folder().name))


@lru_cache(maxsize=1)
def _metrics_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder that is removed at exit, or with all leftovers of a killed process."""
    return tempfile.TemporaryDirectory(prefix="metrics-")


class WorkerMetrics(RepeatingStep):
    """Reports the metrics every few seconds."""

    interval = REPORT_EVERY_SECONDS

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._reporter: ProcessReporter | None = None
        self._processes = _WorkerProcesses()

    def set_up(self, consumer: Any) -> None:
        self._reporter = ProcessReporter(consumer.hostname)
        self.repeat(consumer)

    def clean_up(self, consumer: Any) -> None:  # noqa: ARG002
        if self._reporter is not None:
            with suppress(redis.RedisError):
                self._reporter.withdraw()

    def repeat(self, consumer: Any) -> None:
        assert self._reporter is not None
        try:
            self._processes.refresh()
            self._reporter.report(
                {"queues": _list_queues(consumer), **self._processes.facts()},
                [*metrics.collect_metrics(), *self._processes.build_metrics()],
            )
        except (redis.RedisError, psutil.Error, OSError) as error:
            # The worker must survive errors of its metrics; the next report includes all that was
            # missed.
            log.debug("metrics not reported", reason=type(error).__name__)


class _WorkerProcesses:
    """The processes of a worker: the main process and its pool."""

    def __init__(self) -> None:
        self._main = psutil.Process()
        self._pool: dict[int, psutil.Process] = {}
        self._replaced = 0
        self._memory = {"main": 0, "pool": 0}
        self._peak = 0
        self._cpu = 0.0

    def refresh(self) -> None:
        children = {child.pid: child for child in self._main.children()}
        self._replaced += len(self._pool.keys() - children.keys())
        # The existing objects are kept: they remember their last CPU times.
        self._pool = {pid: self._pool.get(pid, child) for pid, child in children.items()}
        self._memory = {
            "main": _memory_bytes(self._main),
            "pool": sum(map(_memory_bytes, self._pool.values())),
        }
        self._peak = max(self._peak, sum(self._memory.values()))
        self._cpu = sum(map(_cpu_percent, (self._main, *self._pool.values())))

    def facts(self) -> dict[str, Any]:
        return {
            "pid": self._main.pid,
            "processes": sum(
                not engine_health.is_health_check(process) for process in self._pool.values()
            ),
            "memory_bytes": sum(self._memory.values()),
            "peak_memory_bytes": self._peak,
            "memory_budget_percent": round(100 * worker_alert.used_share),
            "cpu_percent": round(self._cpu),
            "started_at": clock.format_iso(clock.from_unix(self._main.create_time())),
            "version": versions.service_version(),
        }

    def build_metrics(self) -> list[Metric]:
        return [
            metrics.MEMORY.to_metric([((part,), size) for part, size in self._memory.items()]),
            metrics.MEMORY_USED.to_metric([((), worker_alert.used_share)]),
            metrics.MEMORY_ALERTS.to_metric([((), worker_alert.alert_count)]),
            metrics.PROCESSES.to_metric([((), len(self._pool))]),
            metrics.REPLACED.to_metric([((), self._replaced)]),
        ]


def _list_queues(consumer: Any) -> list[str]:
    return sorted(queue.name for queue in consumer.task_consumer.queues)


def _memory_bytes(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _cpu_percent(process: psutil.Process) -> float:
    """Return the percent of one core used since the last call."""
    with suppress(psutil.Error):
        return float(process.cpu_percent())
    return 0.0
