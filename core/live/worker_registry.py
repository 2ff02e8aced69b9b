"""Registry of live processes in Redis: the queues that workers serve, and each process's report.

One address thus shows all processes, on a laptop or a cluster, and no worker opens a port. The
report of a process expires soon after its last sign of life.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from prometheus_client.metrics_core import Metric

from core import clock, metrics
from core.redis import client

#: Seconds without a report after which a process counts as gone.
EXPIRES_AFTER_SECONDS = 20.0
#: Seconds for which a queue that had or expects a worker is assumed to be served again: jobs sent
#: while its workers restart are meant for them.
EXPECTED_SECONDS = 600
#: Seconds within which a started worker takes messages.
START_SECONDS = 60
#: Seconds between two reports of a process.
REPORT_EVERY_SECONDS = 5.0

#: A sorted set: name of a process -> Unix time from which it counts as gone.
_PROCESSES_KEY = "transcribe:processes"

#: The name of a sample, its labels, its value.
Sample = tuple[str, dict[str, str], float]


def announce_worker(worker: str, queues: Iterable[str]) -> None:
    """Record that the worker is alive and consumes these queues. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.zadd(_queue_key(queue), {worker: clock.now() + EXPIRES_AFTER_SECONDS})
        pipe.zremrangebyscore(_queue_key(queue), "-inf", clock.now())
        pipe.set(_expected_key(queue), "1", ex=EXPECTED_SECONDS)
        pipe.delete(_starting_key(queue))
    pipe.execute()


def expect_workers(queues: Iterable[str]) -> None:
    """Record that workers for these queues are about to start. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.set(_expected_key(queue), "1", ex=EXPECTED_SECONDS)
        pipe.set(_starting_key(queue), "1", ex=START_SECONDS)
    pipe.execute()


def forget_queues(queues: Iterable[str]) -> None:
    """Record that no worker can serve these queues. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.delete(_expected_key(queue), _starting_key(queue))
    pipe.execute()


def withdraw_worker(worker: str, queues: Iterable[str]) -> None:
    """Record that the worker stops consuming these queues. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.zrem(_queue_key(queue), worker)
    pipe.execute()


def count_workers(queue: str) -> int:
    """Return the number of live workers of the queue; 0 also if Redis does not answer."""
    try:
        return int(client().zcount(_queue_key(queue), clock.now(), "+inf"))
    except redis.RedisError:
        return 0


def is_served(queue: str) -> bool:
    """Return whether the queue has a worker, or a starting stack is about to start one.

    Return False also if Redis does not answer.
    """
    try:
        return count_workers(queue) > 0 or bool(client().exists(_starting_key(queue)))
    except redis.RedisError:
        return False


def is_expected(queue: str) -> bool:
    """Return whether the queue has a worker, had one lately, or is about to get one.

    Return False also if Redis does not answer.
    """
    try:
        return bool(client().exists(_expected_key(queue))) or count_workers(queue) > 0
    except redis.RedisError:
        return False


def publish_capabilities(queue: str, capabilities: Mapping[str, Any]) -> None:
    """Publish the current capabilities of an engine's server. Raises `redis.RedisError`."""
    client().set(
        _capabilities_key(queue), json.dumps(capabilities), px=int(EXPIRES_AFTER_SECONDS * 1000)
    )


def read_capabilities(queue: str) -> dict[str, Any]:
    """Return the last published capabilities of the engine; empty if there are none lately."""
    try:
        text = client().get(_capabilities_key(queue))
    except redis.RedisError:
        return {}
    return json.loads(str(text)) if text else {}


def _queue_key(queue: str) -> str:
    return f"transcribe:serving:{queue}"


def _starting_key(queue: str) -> str:
    return f"transcribe:starting:{queue}"


def _expected_key(queue: str) -> str:
    return f"transcribe:expected:{queue}"


def _capabilities_key(queue: str) -> str:
    return f"transcribe:offer:{queue}"


@dataclass(frozen=True, slots=True)
class ProcessReport:
    """The last report of a process."""

    name: str
    facts: dict[str, Any]
    #: Samples by the name of their metric.
    samples: dict[str, list[Sample]]


class ProcessReporter:
    """Reports for one process. Raises `redis.RedisError`."""

    def __init__(self, name: str) -> None:
        self._name = name
        # The settings are read now, in this thread: the reporting thread may have other ones.
        self._redis = client()
        self._last_text = ""

    def report(self, facts: dict[str, Any], collected: Iterable[Metric]) -> None:
        """Renew the sign of life, and send the report if it has changed."""
        text = json.dumps({"facts": facts, "samples": extract_samples(collected)})
        pipe = self._redis.pipeline(transaction=False)
        pipe.zadd(_PROCESSES_KEY, {self._name: clock.now() + EXPIRES_AFTER_SECONDS})
        pipe.zremrangebyscore(_PROCESSES_KEY, "-inf", clock.now())
        pipe.expire(_report_key(self._name), int(EXPIRES_AFTER_SECONDS))
        if text != self._last_text:
            pipe.set(_report_key(self._name), text, ex=int(EXPIRES_AFTER_SECONDS))
        is_known = pipe.execute()[2]
        # If Redis has lost the report, the next call must send it again.
        self._last_text = text if is_known else ""

    def withdraw(self) -> None:
        """Record that the process ends."""
        self._last_text = ""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrem(_PROCESSES_KEY, self._name)
        pipe.delete(_report_key(self._name))
        pipe.execute()


def extract_samples(collected: Iterable[Metric]) -> dict[str, list[Sample]]:
    """Return the samples of metrics, by the metric's name."""
    return {
        metric.name: [
            (sample.name, dict(sample.labels), sample.value)
            for sample in metric.samples
            if not sample.name.endswith("_created")
        ]
        for metric in collected
        if metric.samples
    }


def list_reports() -> list[ProcessReport]:
    """Return the last reports of the live processes, sorted by name. Raises `redis.RedisError`."""
    names: Any = client().zrangebyscore(_PROCESSES_KEY, clock.now(), "+inf")
    texts: Any = client().mget([_report_key(name) for name in names]) if names else ()
    reports = (
        ProcessReport(name, **json.loads(text))
        for name, text in zip(names, texts, strict=True)
        if text
    )
    return sorted(reports, key=lambda report: report.name)


def measure_pace(engine: str) -> float | None:
    """Return the seconds that all live workers together take per second of audio with an engine.

    Return None if no worker has transcribed anything with it, or if Redis does not answer.
    """
    with suppress(redis.RedisError):
        counts = [_read_counts(report, engine) for report in list_reports()]
        chunks = sum(count for count, _, _ in counts)
        factors = sum(total for _, total, _ in counts)
        processes = sum(pool_size for _, _, pool_size in counts)
        return factors / chunks / processes if chunks else None
    return None


def _read_counts(report: ProcessReport, engine: str) -> tuple[float, float, int]:
    """Return a worker's chunk count, sum of real-time factors, and number of processes."""
    values = {
        name.rpartition("_")[2]: value
        for name, labels, value in report.samples.get(metrics.REAL_TIME_FACTOR._name, ())
        if labels.get("engine") == engine and "le" not in labels
    }
    if not values.get("count"):
        return 0.0, 0.0, 0
    return values["count"], values["sum"], max(1, int(report.facts.get("processes", 1)))


def merge_metrics(reports: Iterable[ProcessReport]) -> list[Metric]:
    """Merge the metrics of several processes; the label `worker` names the process of a number."""
    merged = metrics.build_empty_metrics()
    for report in reports:
        for name, samples in report.samples.items():
            # A process of another version may report metrics that are unknown here.
            for sample_name, labels, value in samples if name in merged else ():
                merged[name].add_sample(sample_name, {**labels, "worker": report.name}, value)
    return [metric for metric in merged.values() if metric.samples]


def _report_key(name: str) -> str:
    return f"transcribe:process:{name}"
