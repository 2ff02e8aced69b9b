"""Asks engines that depend on a server or a model what they have, for as long as a worker serves
them: such an engine is only there when its server, or its model, is.

``python -m tasks.worker.engine_health KIND ENGINE WORKER`` asks one of them. It is a process of its
own because the worker's main process forks, which gRPC does not survive.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from subprocess import DEVNULL, Popen, TimeoutExpired
from typing import Any

import psutil
import redis
import structlog

from core import log as logs
from core.errors import TranscribeError
from core.live import worker_registry
from engines import catalog
from engines.spec import DiarizerSpec, EngineSpec

log = structlog.get_logger(__name__)

#: Between two questions.
CHECK_EVERY_SECONDS = 5.0


class HealthChecks:
    """The processes that ask on behalf of one worker."""

    def __init__(self, worker: str, queues: Iterable[str]) -> None:
        served = set(queues)
        self._worker = worker
        specs = catalog.all_specs()
        self._specs = [spec for spec in specs if spec.offer and spec.queue in served]
        self._running: dict[str, Popen[bytes]] = {}

    @property
    def queues(self) -> set[str]:
        """Queues that are announced by these processes, and by nobody else."""
        return {spec.queue for spec in self._specs}

    def start_missing(self) -> None:
        """Start what does not run."""
        for spec in self._specs:
            child = self._running.get(spec.queue)
            if child is None or child.poll() is not None:
                self._running[spec.queue] = _start_check(spec, self._worker)

    def stop(self) -> None:
        """End them; when this returns, they announce nothing more."""
        for child in self._running.values():
            child.terminate()
        for child in self._running.values():
            with suppress(TimeoutExpired):
                child.wait(timeout=2)
                continue
            child.kill()
            child.wait()
        self._running.clear()


def is_health_check(process: psutil.Process) -> bool:
    """Whether a child of a worker is one of these, and so works on no job."""
    with suppress(psutil.Error):
        return __name__ in process.cmdline()
    return False


def _start_check(spec: EngineSpec | DiarizerSpec, worker: str) -> Popen[bytes]:
    return Popen(
        [sys.executable, "-m", "tasks.worker.engine_health", spec.kind, spec.name, worker],
        stdin=DEVNULL,
        # Ctrl-C is for the worker, which then ends us.
        start_new_session=True,
    )


def watch_engine(spec: EngineSpec | DiarizerSpec, worker: str) -> None:
    """Ask again and again, until the worker is gone."""
    parent = os.getppid()
    previous_reason: str | None = ""
    while os.getppid() == parent:
        reason = _check_engine(spec, worker)
        if reason != previous_reason:
            log.info("engine checked", engine=spec.name, reason=reason)
            previous_reason = reason
        time.sleep(CHECK_EVERY_SECONDS)


def _check_engine(spec: EngineSpec | DiarizerSpec, worker: str) -> str | None:
    """Announce the engine's queue if the engine can work now; returns why it cannot."""
    capabilities: dict[str, Any] = {}
    try:
        capabilities, reason = asdict(catalog.query_capabilities(spec)), None
    except TranscribeError as error:
        reason = str(error)
    except Exception as error:
        log.exception("engine not checked", engine=spec.name)
        reason = f"an unexpected {type(error).__name__}"
    with suppress(redis.RedisError):
        worker_registry.publish_capabilities(spec.queue, {**capabilities, "reason": reason})
        if reason is None:
            worker_registry.announce_worker(worker, [spec.queue])
        else:
            worker_registry.withdraw_worker(worker, [spec.queue])
            worker_registry.forget_queues([spec.queue])
    return reason


if __name__ == "__main__":
    logs.configure_logging()
    find_spec = catalog.recognizer if sys.argv[1] == EngineSpec.kind else catalog.diarizer
    watch_engine(find_spec(sys.argv[2]), sys.argv[3])
