"""Report the metrics of this API process, and expose those of all processes."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import redis
import structlog
from flask import Flask
from kombu.exceptions import OperationalError
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric

from core import clock, metrics, versions
from core.db.transactions import read_session
from core.errors import Unavailable
from core.jobs import totals
from core.live import worker_registry
from core.live.worker_registry import ProcessReport, ProcessReporter
from tasks import queue_lengths
from transcribe_api.http.events.event_broker import job_events

log = structlog.get_logger(__name__)

_lock = threading.Lock()
_reporting_pid = 0


def install_reporter(app: Flask) -> None:
    """Start reporting at the first request of this process, which is after any fork."""
    app.before_request(_start_reporter)


def build_exposition() -> bytes:
    """Return all metrics of all processes for Prometheus, without parts whose source is down."""
    own_report = ProcessReport(
        _process_name(), {}, worker_registry.extract_samples(_collect_own_metrics())
    )
    up = {"redis": 0, "database": 0, "broker": 0}
    other_reports: list[ProcessReport] = []
    gauges: list[Metric] = []
    with suppress(redis.RedisError):
        other_reports = [
            report for report in worker_registry.list_reports() if report.name != own_report.name
        ]
        up["redis"] = 1
    with suppress(Unavailable):
        gauges.append(_collect_jobs())
        up["database"] = 1
    with suppress(OperationalError, redis.RedisError):
        gauges += _collect_queues()
        up["broker"] = 1
    gauges.append(metrics.UP.to_metric([((part,), value) for part, value in up.items()]))
    return bytes(
        generate_latest(
            _Registry([*worker_registry.merge_metrics([own_report, *other_reports]), *gauges])
        )
    )


class _Registry:
    """The registry interface that the library expects."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        yield from self._families


def _collect_own_metrics() -> list[Metric]:
    memory = psutil.Process().memory_info().rss
    gauges = [
        metrics.STREAMS.to_metric([((), job_events.listener_count)]),
        metrics.MEMORY.to_metric([(("main",), memory)]),
    ]
    return [*metrics.collect_metrics(), *gauges]


def _collect_jobs() -> Metric:
    with read_session() as session:
        stages = totals.count_by_stage(session)
    return metrics.JOBS.to_metric([((stage,), count) for stage, count in stages.items()])


def _collect_queues() -> list[Metric]:
    lengths = queue_lengths.count_messages(queue_lengths.list_all_queues())
    return [
        metrics.QUEUE_MESSAGES.to_metric([((queue,), length) for queue, length in lengths.items()]),
        metrics.QUEUE_WORKERS.to_metric(
            [((queue,), worker_registry.count_workers(queue)) for queue in lengths]
        ),
    ]


def _start_reporter() -> None:
    global _reporting_pid
    if _reporting_pid == os.getpid():
        return
    with _lock:
        if _reporting_pid != os.getpid():
            _reporting_pid = os.getpid()
            reporter = ProcessReporter(_process_name())
            threading.Thread(
                target=_report_forever, args=(reporter,), daemon=True, name="reporter"
            ).start()


def _report_forever(reporter: ProcessReporter) -> None:
    while True:
        try:
            reporter.report(_collect_facts(), _collect_own_metrics())
        except (redis.RedisError, psutil.Error) as error:
            log.debug("metrics not reported", reason=type(error).__name__)
        time.sleep(worker_registry.REPORT_EVERY_SECONDS)


def _collect_facts() -> dict[str, Any]:
    process = psutil.Process()
    return {
        "pid": process.pid,
        "memory_bytes": process.memory_info().rss,
        "started_at": clock.format_iso(clock.from_unix(process.create_time())),
        "version": versions.service_version(),
    }


def _process_name() -> str:
    return f"api.{os.getpid()}@{socket.gethostname()}"
