"""What every living process tells of itself, in Redis: its metrics, and facts for `/system/status`.

So one address shows all processes, on a laptop and on a cluster, and no worker opens a port. What a
process told is forgotten soon after it was last heard of.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from prometheus_client.metrics_core import Metric

from core import clock, metrics
from core.progress import client

#: Seconds between two words of a process.
EVERY = 5.0
#: Seconds after which a process that said nothing counts as gone.
GONE_AFTER = 20.0

#: A sorted set: name of a process -> when it counts as gone.
_NAMES = "transcribe:processes"

#: The name of a sample, its labels, its value.
Sample = tuple[str, dict[str, str], float]


@dataclass(frozen=True, slots=True)
class Told:
    """What a process told."""

    name: str
    facts: dict[str, Any]
    #: Samples by the name of their metric.
    samples: dict[str, list[Sample]]


class Teller:
    """Tells of one process. Raises `redis.RedisError`."""

    def __init__(self, name: str) -> None:
        self._name = name
        # The settings are read now and by this thread: whoever tells may have one of its own.
        self._redis = client()
        self._last = ""

    def tell(self, facts: dict[str, Any], found: Iterable[Metric]) -> None:
        """Show a sign of life, and what has changed since the last one."""
        text = json.dumps({"facts": facts, "samples": samples(found)})
        pipe = self._redis.pipeline(transaction=False)
        pipe.zadd(_NAMES, {self._name: clock.now() + GONE_AFTER})
        pipe.zremrangebyscore(_NAMES, "-inf", clock.now())
        pipe.expire(_key(self._name), int(GONE_AFTER))
        if text != self._last:
            pipe.set(_key(self._name), text, ex=int(GONE_AFTER))
        is_known = pipe.execute()[2]
        # A Redis that has lost it must be told again.
        self._last = text if is_known else ""

    def withdraw(self) -> None:
        """Say that the process ends."""
        self._last = ""
        pipe = self._redis.pipeline(transaction=False)
        pipe.zrem(_NAMES, self._name)
        pipe.delete(_key(self._name))
        pipe.execute()


def samples(found: Iterable[Metric]) -> dict[str, list[Sample]]:
    """The numbers of some metrics, by name."""
    return {
        metric.name: [
            (sample.name, dict(sample.labels), sample.value)
            for sample in metric.samples
            if not sample.name.endswith("_created")
        ]
        for metric in found
        if metric.samples
    }


def living() -> list[Told]:
    """What the living processes told last, by name. Raises `redis.RedisError`."""
    names: Any = client().zrangebyscore(_NAMES, clock.now(), "+inf")
    texts: Any = client().mget([_key(name) for name in names]) if names else ()
    told = (Told(name, **json.loads(text)) for name, text in zip(names, texts, strict=True) if text)
    return sorted(told, key=lambda one: one.name)


def pace(engine: str) -> float | None:
    """Seconds that all living workers take together for a second of sound, as far as they know.

    None when none of them has heard anything with the engine, or Redis does not answer.
    """
    with suppress(redis.RedisError):
        heard = [_heard(one, engine) for one in living()]
        chunks = sum(count for count, _, _ in heard)
        factors = sum(total for _, total, _ in heard)
        processes = sum(hands for _, _, hands in heard)
        return factors / chunks / processes if chunks else None
    return None


def _heard(one: Told, engine: str) -> tuple[float, float, int]:
    """How many chunks a worker heard, the sum of their real time factors, and its processes."""
    found = {
        name.rpartition("_")[2]: value
        for name, labels, value in one.samples.get(metrics.REAL_TIME_FACTOR._name, ())
        if labels.get("engine") == engine and "le" not in labels
    }
    if not found.get("count"):
        return 0.0, 0.0, 0
    return found["count"], found["sum"], max(1, int(one.facts.get("processes", 1)))


def families(told: Iterable[Told]) -> list[Metric]:
    """All metrics of several processes; the label `worker` says whose a number is."""
    known = metrics.known()
    for one in told:
        for name, found in one.samples.items():
            # A process of another version may tell what this one does not know.
            for sample, labels, value in found if name in known else ():
                known[name].add_sample(sample, {**labels, "worker": one.name}, value)
    return [metric for metric in known.values() if metric.samples]


def _key(name: str) -> str:
    return f"transcribe:process:{name}"
