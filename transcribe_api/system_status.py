"""How the service as a whole does: jobs, queues, machine and workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import Any

import psutil
import redis

from core import clock, fleet, system, versions
from core.db import reading
from core.fleet import Told
from core.settings import settings
from core.states import JobStatus
from core.system import Totals
from tasks.queue_manager import QueueManager

#: Seconds for which counted jobs are good enough, at least; and how many times as long as counting
#: took: a million jobs are counted every ten seconds or so, a thousand every two.
TOTALS_SECONDS = 2.0
TIMES_AS_LONG = 50.0

_GIB = 1024**3

#: Seconds that the use of the processors is measured over, at least.
CPU_SECONDS = 0.5


class _LastTotals:
    """Counted at most once in a while, by one thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: tuple[str, float, Totals] | None = None

    def of(self, database: str) -> Totals:
        with self._guard:
            if self._known is not None:
                of, good_until, totals = self._known
                if of == database and time.monotonic() < good_until:
                    return totals
            began = time.monotonic()
            with reading() as session:
                totals = system.totals(session)
            now = time.monotonic()
            good_until = now + max(TOTALS_SECONDS, TIMES_AS_LONG * (now - began))
            self._known = database, good_until, totals
            return totals


_totals = _LastTotals()


class _Cpu:
    """How busy the processors were since somebody last asked, whoever that was.

    psutil's own measurement begins anew in each thread, so that many answers would be 0.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._measured_at = time.monotonic()
        self._times = psutil.cpu_times()
        self._percent: float | None = None

    def percent(self) -> float:
        """Percent of all cores together."""
        with self._guard:
            wait = self._measured_at + CPU_SECONDS - time.monotonic()
            if wait > 0 and self._percent is not None:
                return self._percent
            time.sleep(max(0.0, wait))
            before, self._times = self._times, psutil.cpu_times()
            self._measured_at = time.monotonic()
            self._percent = _busy_percent(before, self._times)
            return self._percent


def _busy_percent(before: Any, now: Any) -> float:
    """*before*, *now*: seconds by kind since the machine started, as psutil tells them."""
    spent = {kind: getattr(now, kind) - getattr(before, kind) for kind in now._fields}
    # A guest's time is part of that of its host.
    every = sum(seconds for kind, seconds in spent.items() if not kind.startswith("guest"))
    idle = spent["idle"] + spent.get("iowait", 0.0)
    return round(min(100.0, max(0.0, 100 * (every - idle) / every)), 1) if every > 0 else 0.0


_cpu = _Cpu()


def told() -> dict[str, Any]:
    """All that is known now. Raises `Unavailable` when the database is down."""
    totals = _totals.of(settings().database)
    processes = _living()
    workers = [one for one in processes if "queues" in one.facts]
    began = psutil.Process().create_time()
    return {
        "active_jobs": totals.active,
        "completed_jobs": totals.by_status[JobStatus.COMPLETED],
        "jobs": {str(status): count for status, count in totals.by_status.items()},
        "queues": QueueManager().status(),
        "resource_manager": {
            "memory": _memory(),
            "cpu": {"percent": _cpu.percent(), "cores": psutil.cpu_count() or 1},
        },
        "workers": [_worker(one) for one in workers],
        "orchestrator_stats": _stats(totals, processes),
        "versions": versions.all_of_them(),
        "started_at": clock.iso(clock.moment(began)),
        "uptime": round(clock.now() - began, 1),
    }


def _living() -> Sequence[Told]:
    try:
        return fleet.living()
    except redis.RedisError:
        return ()


def _memory() -> dict[str, float]:
    found = psutil.virtual_memory()
    return {
        "total_gb": _gb(found.total),
        "used_gb": _gb(found.used),
        "available_gb": _gb(found.available),
        "percent": found.percent,
    }


def _worker(one: Told) -> dict[str, Any]:
    facts = one.facts
    return {
        "name": one.name,
        "queues": facts["queues"],
        "processes": facts["processes"],
        "memory_gb": _gb(facts["memory_bytes"]),
        "peak_memory_gb": _gb(facts["peak_memory_bytes"]),
        "memory_budget_percent": facts.get("memory_budget_percent", 0),
        "cpu_percent": facts["cpu_percent"],
        "started_at": facts["started_at"],
        "version": facts["version"],
    }


def _stats(totals: Totals, processes: Sequence[Told]) -> dict[str, Any]:
    # The service's own processes tell no peak: they stay as they are.
    peaks = (one.facts.get("peak_memory_bytes", one.facts["memory_bytes"]) for one in processes)
    return {
        "average_processing_time": round(totals.average_seconds or 0.0, 3),
        "peak_memory_usage": _gb(sum(peaks)),
        "successful_jobs": totals.by_status[JobStatus.COMPLETED],
        "failed_jobs": totals.by_status[JobStatus.FAILED],
        "total_jobs_processed": totals.over,
    }


def _gb(size: int) -> float:
    return round(size / _GIB, 3)
