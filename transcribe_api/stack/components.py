"""The processes of the embedded stack, with their names and commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.filesystem import private_files
from core.settings import settings
from engines import catalog
from engines.spec import EngineSpec
from tasks.queues import CONTROL, DELIVER, MERGE, PREPARE
from transcribe_api.http.events.event_broker import RESERVED_THREADS
from transcribe_api.stack import embedded_redis, flower


@dataclass(frozen=True, slots=True)
class Component:
    """A process of the stack."""

    name: str
    command: tuple[str, ...]
    #: Whether the stack waits for it at startup.
    is_awaited: bool = True
    #: Additional environment variables of this process.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: For programs that write only into the data directory; -1: the stack's umask. Workers also
    #: write result folders for callers, which use the usual umask.
    umask: int = -1


def list_components(
    data_dir: Path, host: str, port: int, flower_port: int | None, *, engine_processes: int
) -> Sequence[Component]:
    """Return all but Redis, which the others need. *flower_port*: None for no Flower."""
    return [
        _build_worker("control", [CONTROL, MERGE, DELIVER], 4, pool="threads"),
        _build_worker("prepare", [PREPARE], 1),
        *(
            _build_engine_worker(spec, engine_processes)
            for spec in catalog.recognizers().values()
            if spec.is_installed()
        ),
        *(
            _build_worker(spec.queue, [spec.queue], 1)
            for spec in catalog.diarizers().values()
            if spec.is_installed()
        ),
        _build_api(host, port),
        _build_beat(data_dir),
        *([_build_flower(flower_port)] if flower_port is not None else []),
    ]


def count_threads() -> int:
    """Return the maximum number of threads of the API server."""
    return settings().max_streams + RESERVED_THREADS


def build_redis(folder: Path, socket: Path) -> Component:
    """Return the private Redis, with its files in a folder."""
    command = embedded_redis.build_command(folder, socket)
    return Component("redis", command, umask=private_files.UMASK)


def _build_api(host: str, port: int) -> Component:
    # One process: streams and uploads wait, they do not compute. Threads are created only on
    # demand; a stream occupies one, and the others stay free for requests.
    threads = count_threads()
    command = (
        *(sys.executable, "-m", "gunicorn"),
        *("--worker-class", "transcribe_api.gunicorn_worker.Worker"),
        *("--threads", str(threads), "--worker-connections", str(2 * threads)),
        *("--bind", f"{host}:{port}", "--no-control-socket", "--timeout", "0"),
        *("--graceful-timeout", "2", "--logger-class", "transcribe_api.gunicorn_log.Logger"),
        "transcribe_api.app:create_app()",
    )
    return Component("api", command, umask=private_files.UMASK)


def _build_beat(data_dir: Path) -> Component:
    # Not `beat`, as in 0.1: neither version can load the other's file.
    schedule = str(data_dir / "beat-schedule")
    command = (*_celery_command("beat"), "-s", schedule, "--pidfile=")
    return Component("beat", command, is_awaited=False, umask=private_files.UMASK)


def _build_engine_worker(spec: EngineSpec, processes: int) -> Component:
    """Return an engine's worker: *processes* processes, or one with as many threads."""
    if not spec.fills_machine:
        return _build_worker(spec.queue, [spec.queue], processes)
    threads = os.environ.get("OMP_NUM_THREADS", str(processes))
    # Passive: threads that wait for each other sleep, since other processes use these cores too.
    environment = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}
    return replace(_build_worker(spec.queue, [spec.queue], 1), environment=environment)


def _build_worker(
    name: str, queues: Sequence[str], processes: int, pool: str = "prefork"
) -> Component:
    return Component(
        name,
        (
            *_celery_command("worker"),
            *("-Q", ",".join(queues), "-n", f"{name}@%h", "-P", pool, "-c", str(processes)),
            *("--without-gossip", "--without-mingle"),
        ),
    )


def _build_flower(port: int) -> Component:
    return Component("flower", flower.build_command(port), False, flower.build_environment())


def _celery_command(command: str) -> tuple[str, ...]:
    # Quiet: a banner is not a log line.
    return sys.executable, "-m", "celery", "-q", "-A", "tasks", command, "--loglevel", "INFO"
