"""Check engines that depend on a server or a model, while a worker serves their queues.

Such an engine is only available while its server or model is.

``python -m tasks.worker.engine_health KIND ENGINE WORKER`` checks one engine. It is a separate
process because the worker's main process forks, which gRPC does not survive.
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

#: Seconds between two checks.
CHECK_EVERY_SECONDS = 5.0


class HealthChecks:
    """The checking processes of one worker."""

    def __init__(self, worker: str, queues: Iterable[str]) -> None:
        served = set(queues)
        self._worker = worker
        specs = catalog.all_specs()
        self._specs = [spec for spec in specs if spec.offer and spec.queue in served]
        self._running: dict[str, Popen[bytes]] = {}

    @property
    def queues(self) -> set[str]:
        """Return the queues that only these processes announce."""
        return {spec.queue for spec in self._specs}

    def start_missing(self) -> None:
        """Start the processes that are not running."""
        for spec in self._specs:
            child = self._running.get(spec.queue)
            if child is None or child.poll() is not None:
                self._running[spec.queue] = _start_check(spec, self._worker)

    def stop(self) -> None:
        """Stop the processes; afterwards they announce nothing."""
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
    """Return whether a worker's child process is a health check, and so works on no job."""
    with suppress(psutil.Error):
        return __name__ in process.cmdline()
    return False


def _start_check(spec: EngineSpec | DiarizerSpec, worker: str) -> Popen[bytes]:
    return Popen(
        [sys.executable, "-m", "tasks.worker.engine_health", spec.kind, spec.name, worker],
        stdin=DEVNULL,
        # Ctrl-C is for the worker, which then stops this process.
        start_new_session=True,
    )


def watch_engine(spec: EngineSpec | DiarizerSpec, worker: str) -> None:
    """Check the engine repeatedly, until the worker is gone."""
    parent = os.getppid()
    previous_reason: str | None = ""
    while os.getppid() == parent:
        reason = _check_engine(spec, worker)
        if reason != previous_reason:
            log.info("engine checked", engine=spec.name, reason=reason)
            previous_reason = reason
        time.sleep(CHECK_EVERY_SECONDS)


def _check_engine(spec: EngineSpec | DiarizerSpec, worker: str) -> str | None:
    """Announce the engine's queue if the engine works now; else return the reason."""
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
