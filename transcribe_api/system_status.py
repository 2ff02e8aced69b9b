"""State of the whole service: jobs, queues, machine and workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import psutil
import redis

from core import clock, versions
from core.db.transactions import read_session
from core.jobs import totals as jobs_totals
from core.jobs.totals import Totals
from core.live import worker_registry
from core.live.worker_registry import ProcessReport
from core.settings import settings
from core.states import JobStatus
from tasks.queue_manager import QueueManager

#: Minimum seconds for which job counts are cached, and cache time relative to the counting time: a
#: million jobs are counted about every ten seconds, a thousand every two.
TOTALS_CACHE_SECONDS = 2.0
CACHE_COST_FACTOR = 50.0

_GIB = 1024**3

#: Minimum seconds over which processor use is measured.
CPU_WINDOW_SECONDS = 0.5


class _CachedTotals:
    """Caches the job counts; one thread at a time counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cached: tuple[str, float, Totals] | None = None

    def get(self, database: str) -> Totals:
        with self._lock:
            if self._cached is not None:
                cached_database, good_until, totals = self._cached
                if cached_database == database and time.monotonic() < good_until:
                    return totals
            started = time.monotonic()
            with read_session() as session:
                totals = jobs_totals.compute_totals(session)
            now = time.monotonic()
            good_until = now + max(TOTALS_CACHE_SECONDS, CACHE_COST_FACTOR * (now - started))
            self._cached = database, good_until, totals
            return totals


_totals = _CachedTotals()


class _CpuMeter:
    """Measures the processor use since the last call from any thread.

    psutil's own measurement starts anew in each thread, so many results would be 0.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._measured_at = time.monotonic()
        self._times = psutil.cpu_times()
        self._percent: float | None = None

    def percent(self) -> float:
        """Return the percentage over all cores."""
        with self._lock:
            wait = self._measured_at + CPU_WINDOW_SECONDS - time.monotonic()
            if wait > 0 and self._percent is not None:
                return self._percent
            time.sleep(max(0.0, wait))
            before, self._times = self._times, psutil.cpu_times()
            self._measured_at = time.monotonic()
            self._percent = _busy_percent(before, self._times)
            return self._percent


def _busy_percent(before: Any, now: Any) -> float:
    """Return the percentage; *before*, *now*: psutil's seconds by kind since system start."""
    seconds_by_kind = {kind: getattr(now, kind) - getattr(before, kind) for kind in now._fields}
    # A guest's time is part of its host's time.
    total = sum(
        seconds for kind, seconds in seconds_by_kind.items() if not kind.startswith("guest")
    )
    idle = seconds_by_kind["idle"] + seconds_by_kind.get("iowait", 0.0)
    return round(min(100.0, max(0.0, 100 * (total - idle) / total)), 1) if total > 0 else 0.0


_cpu = _CpuMeter()


def collect_status() -> dict[str, Any]:
    """Return the current state. Raises `Unavailable` if the database is down."""
    totals = _totals.get(settings().database)
    processes = _list_processes()
    workers = [report for report in processes if "queues" in report.facts]
    process_start = psutil.Process().create_time()
    return {
        "active_jobs": totals.active,
        "completed_jobs": totals.by_status[JobStatus.COMPLETED],
        "jobs": {str(status): count for status, count in totals.by_status.items()},
        "queues": QueueManager().status(),
        "resource_manager": {
            "memory": _describe_memory(),
            "cpu": {"percent": _cpu.percent(), "cores": psutil.cpu_count() or 1},
        },
        "workers": [_describe_worker(report) for report in workers],
        "orchestrator_stats": _compute_stats(totals, processes),
        "versions": versions.collect_versions(),
        "started_at": clock.format_iso(clock.from_unix(process_start)),
        "uptime": round(clock.now() - process_start, 1),
    }


def _list_processes() -> Sequence[ProcessReport]:
    try:
        return worker_registry.list_reports()
    except redis.RedisError:
        return ()


def _describe_memory() -> dict[str, float]:
    memory = psutil.virtual_memory()
    return {
        "total_gb": _to_gb(memory.total),
        "used_gb": _to_gb(memory.used),
        "available_gb": _to_gb(memory.available),
        "percent": memory.percent,
    }


def _describe_worker(report: ProcessReport) -> dict[str, Any]:
    facts = report.facts
    return {
        "name": report.name,
        "queues": facts["queues"],
        "processes": facts["processes"],
        "memory_gb": _to_gb(facts["memory_bytes"]),
        "peak_memory_gb": _to_gb(facts["peak_memory_bytes"]),
        "memory_budget_percent": facts.get("memory_budget_percent", 0),
        "cpu_percent": facts["cpu_percent"],
        "started_at": facts["started_at"],
        "version": facts["version"],
    }


def _compute_stats(totals: Totals, processes: Sequence[ProcessReport]) -> dict[str, Any]:
    # API processes report no peak, since their memory stays constant.
    peaks = (
        report.facts.get("peak_memory_bytes", report.facts["memory_bytes"]) for report in processes
    )
    return {
        "average_processing_time": round(totals.average_seconds or 0.0, 3),
        "peak_memory_usage": _to_gb(sum(peaks)),
        "successful_jobs": totals.by_status[JobStatus.COMPLETED],
        "failed_jobs": totals.by_status[JobStatus.FAILED],
        "total_jobs_processed": totals.over,
    }


def _to_gb(size: int) -> float:
    return round(size / _GIB, 3)
