"""Which processes live, in Redis: the queues that workers serve, and what each process reports.

So one address shows all processes, on a laptop and on a cluster, and no worker opens a port. What a
process reported is forgotten soon after it was last heard of.
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

#: Seconds after which a process that was not heard of counts as gone.
EXPIRES_AFTER_SECONDS = 20.0
#: Seconds for which a queue that was served, or is about to be, is expected to be served again: a
#: job that is sent while its workers start anew is meant for them.
EXPECTED_SECONDS = 600
#: Seconds within which a worker that was started takes messages.
START_SECONDS = 60
#: Seconds between two reports of a process.
REPORT_EVERY_SECONDS = 5.0

#: A sorted set: name of a process -> when it counts as gone.
_PROCESSES_KEY = "transcribe:processes"

#: The name of a sample, its labels, its value.
Sample = tuple[str, dict[str, str], float]


def announce_worker(worker: str, queues: Iterable[str]) -> None:
    """Say that the worker is alive and takes from these queues. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.zadd(_queue_key(queue), {worker: clock.now() + EXPIRES_AFTER_SECONDS})
        pipe.zremrangebyscore(_queue_key(queue), "-inf", clock.now())
        pipe.set(_expected_key(queue), "1", ex=EXPECTED_SECONDS)
        pipe.delete(_starting_key(queue))
    pipe.execute()


def expect_workers(queues: Iterable[str]) -> None:
    """Say that workers for these queues are about to start. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.set(_expected_key(queue), "1", ex=EXPECTED_SECONDS)
        pipe.set(_starting_key(queue), "1", ex=START_SECONDS)
    pipe.execute()


def forget_queues(queues: Iterable[str]) -> None:
    """Say that nobody can serve these queues, for a reason. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.delete(_expected_key(queue), _starting_key(queue))
    pipe.execute()


def withdraw_worker(worker: str, queues: Iterable[str]) -> None:
    """Say that the worker takes no more from these queues. Raises `redis.RedisError`."""
    pipe = client().pipeline(transaction=False)
    for queue in queues:
        pipe.zrem(_queue_key(queue), worker)
    pipe.execute()


def count_workers(queue: str) -> int:
    """How many living workers take from the queue; 0 also when Redis does not answer."""
    try:
        return int(client().zcount(_queue_key(queue), clock.now(), "+inf"))
    except redis.RedisError:
        return 0


def is_served(queue: str) -> bool:
    """Whether a worker takes from the queue, or a stack that starts is about to have one.

    False also when Redis does not answer.
    """
    try:
        return count_workers(queue) > 0 or bool(client().exists(_starting_key(queue)))
    except redis.RedisError:
        return False


def is_expected(queue: str) -> bool:
    """Whether a worker takes from the queue, did so lately, or is about to.

    False also when Redis does not answer.
    """
    try:
        return bool(client().exists(_expected_key(queue))) or count_workers(queue) > 0
    except redis.RedisError:
        return False


def publish_capabilities(queue: str, capabilities: Mapping[str, Any]) -> None:
    """Say what an engine's server has right now. Raises `redis.RedisError`."""
    client().set(
        _capabilities_key(queue), json.dumps(capabilities), px=int(EXPIRES_AFTER_SECONDS * 1000)
    )


def read_capabilities(queue: str) -> dict[str, Any]:
    """What was last said of the engine; empty when nothing was, or not lately."""
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
    """What a process reports of itself."""

    name: str
    facts: dict[str, Any]
    #: Samples by the name of their metric.
    samples: dict[str, list[Sample]]


class ProcessReporter:
    """Reports for one process. Raises `redis.RedisError`."""

    def __init__(self, name: str) -> None:
        self._name = name
        # The settings are read now and by this thread: whoever reports may have one of its own.
        self._redis = client()
        self._last_text = ""

    def report(self, facts: dict[str, Any], collected: Iterable[Metric]) -> None:
        """Show a sign of life, and what has changed since the last one."""
        text = json.dumps({"facts": facts, "samples": extract_samples(collected)})
        pipe = self._redis.pipeline(transaction=False)
        pipe.zadd(_PROCESSES_KEY, {self._name: clock.now() + EXPIRES_AFTER_SECONDS})
        pipe.zremrangebyscore(_PROCESSES_KEY, "-inf", clock.now())
        pipe.expire(_report_key(self._name), int(EXPIRES_AFTER_SECONDS))
        if text != self._last_text:
            pipe.set(_report_key(self._name), text, ex=int(EXPIRES_AFTER_SECONDS))
        is_known = pipe.execute()[2]
        # A Redis that has lost the report must get it again.
        self._last_text = text if is_known else ""

    def withdraw(self) -> None:
        """Say that the process ends."""
        self._last_text = ""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrem(_PROCESSES_KEY, self._name)
        pipe.delete(_report_key(self._name))
        pipe.execute()


def extract_samples(collected: Iterable[Metric]) -> dict[str, list[Sample]]:
    """The numbers of some metrics, by name."""
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
    """The last reports of the living processes, by name. Raises `redis.RedisError`."""
    names: Any = client().zrangebyscore(_PROCESSES_KEY, clock.now(), "+inf")
    texts: Any = client().mget([_report_key(name) for name in names]) if names else ()
    reports = (
        ProcessReport(name, **json.loads(text))
        for name, text in zip(names, texts, strict=True)
        if text
    )
    return sorted(reports, key=lambda report: report.name)


def measure_pace(engine: str) -> float | None:
    """Seconds that all living workers take together for a second of sound, as far as they know.

    None when none of them has heard anything with the engine, or Redis does not answer.
    """
    with suppress(redis.RedisError):
        counts = [_read_counts(report, engine) for report in list_reports()]
        chunks = sum(count for count, _, _ in counts)
        factors = sum(total for _, total, _ in counts)
        processes = sum(pool_size for _, _, pool_size in counts)
        return factors / chunks / processes if chunks else None
    return None


def _read_counts(report: ProcessReport, engine: str) -> tuple[float, float, int]:
    """How many chunks a worker heard, the sum of their real time factors, and its processes."""
    values = {
        name.rpartition("_")[2]: value
        for name, labels, value in report.samples.get(metrics.REAL_TIME_FACTOR._name, ())
        if labels.get("engine") == engine and "le" not in labels
    }
    if not values.get("count"):
        return 0.0, 0.0, 0
    return values["count"], values["sum"], max(1, int(report.facts.get("processes", 1)))


def merge_metrics(reports: Iterable[ProcessReport]) -> list[Metric]:
    """All metrics of several processes; the label `worker` says whose a number is."""
    merged = metrics.build_empty_metrics()
    for report in reports:
        for name, samples in report.samples.items():
            # A process of another version may tell what this one does not know.
            for sample_name, labels, value in samples if name in merged else ():
                merged[name].add_sample(sample_name, {**labels, "worker": report.name}, value)
    return [metric for metric in merged.values() if metric.samples]


def _report_key(name: str) -> str:
    return f"transcribe:process:{name}"
