"""Tells the other processes how this one of the service does, and shows how all of them do."""

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

from core import clock, fleet, metrics, serving, system, versions
from core.db import reading
from core.errors import Unavailable
from core.fleet import Teller, Told
from tasks import waiting
from transcribe_api.hub import hub

log = structlog.get_logger(__name__)

_guard = threading.Lock()
_telling_pid = 0


def tell(app: Flask) -> None:
    """Have this process tell of itself from its first request on, which comes after any fork."""
    app.before_request(_begin)


def exposition() -> bytes:
    """All metrics of all processes, as Prometheus reads them. Parts that are down are left out."""
    mine = Told(_name(), {}, fleet.samples(_mine()))
    up = {"redis": 0, "database": 0, "broker": 0}
    others: list[Told] = []
    levels: list[Metric] = []
    with suppress(redis.RedisError):
        others = [one for one in fleet.living() if one.name != mine.name]
        up["redis"] = 1
    with suppress(Unavailable):
        levels.append(_jobs())
        up["database"] = 1
    with suppress(OperationalError, redis.RedisError):
        levels += _queues()
        up["broker"] = 1
    levels.append(metrics.UP.at([((part,), well) for part, well in up.items()]))
    return bytes(generate_latest(_Found([*fleet.families([mine, *others]), *levels])))


class _Found:
    """What the library takes for a registry."""

    def __init__(self, found: list[Metric]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        yield from self._found


def _mine() -> list[Metric]:
    memory = psutil.Process().memory_info().rss
    levels = [metrics.STREAMS.at([((), hub.count)]), metrics.MEMORY.at([(("main",), memory)])]
    return [*metrics.counted(), *levels]


def _jobs() -> Metric:
    with reading() as session:
        stages = system.by_stage(session)
    return metrics.JOBS.at([((stage,), count) for stage, count in stages.items()])


def _queues() -> list[Metric]:
    lengths = waiting.messages(waiting.all_queues())
    return [
        metrics.QUEUE_MESSAGES.at([((queue,), length) for queue, length in lengths.items()]),
        metrics.QUEUE_WORKERS.at([((queue,), serving.workers(queue)) for queue in lengths]),
    ]


def _begin() -> None:
    global _telling_pid
    if _telling_pid == os.getpid():
        return
    with _guard:
        if _telling_pid != os.getpid():
            _telling_pid = os.getpid()
            teller = Teller(_name())
            threading.Thread(target=_go_on, args=(teller,), daemon=True, name="telling").start()


def _go_on(teller: Teller) -> None:
    while True:
        try:
            teller.tell(_facts(), _mine())
        except (redis.RedisError, psutil.Error) as error:
            log.debug("metrics not told", reason=type(error).__name__)
        time.sleep(fleet.EVERY)


def _facts() -> dict[str, Any]:
    process = psutil.Process()
    return {
        "pid": process.pid,
        "memory_bytes": process.memory_info().rss,
        "started_at": clock.iso(clock.moment(process.create_time())),
        "version": versions.ours(),
    }


def _name() -> str:
    return f"api.{os.getpid()}@{socket.gethostname()}"
