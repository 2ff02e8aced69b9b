"""The embedded stack: a private Redis, workers for all queues, beat and the service, as children.

Nothing needs to be installed or configured beside the Python packages. Two stacks with different
data directories run beside each other; two with the same one do not.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import DEVNULL, STDOUT
from typing import IO

import psutil
import redis
import structlog

from core import (
    canary,
    data_dir_lock,
    data_folder,
    free_space,
    private_files,
    records,
    recovery,
)
from core.db import reading
from core.settings import settings
from engines import catalog
from engines.catalog import EngineSpec
from tasks.celery import app as celery_app
from tasks.queues import CONTROL, DELIVER, MERGE, PREPARE
from transcribe_api import embedded_redis, exposure, open_files, ports, watching
from transcribe_api.expected_engines import expect_engines
from transcribe_api.hub import REQUESTS
from transcribe_api.processes import (
    MARK,
    STOP_SECONDS,
    end,
    end_leftovers,
    signals_held,
    usable_cores,
)
from transcribe_api.stack_error import PartEnded, StackError

#: Seconds until all parts must answer: a slow machine loads its libraries for a while.
START_SECONDS = 120
#: Bytes without which a start is not tried: records, logs, and what each process tells.
START_BYTES = 8 * free_space.MIB
#: A part that ends this often within a minute will not come up by itself.
MOST_RESTARTS = 5
#: Seconds before a part that ended while the disk is full is started again, however often.
FULL_DISK_WAIT = 5.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Part:
    """A process of the stack."""

    name: str
    command: tuple[str, ...]
    #: Whether the stack is only ready when this is.
    is_awaited: bool = True
    #: Of this process alone.
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Of a program that writes into the data directory alone; -1: that of the stack. Workers write
    #: results for callers too, whose folders follow the usual one.
    umask: int = -1


class Stack:
    """A running stack; use it in a ``with`` block, which leaves no process behind.

    The settings of this process say where: call `core.settings.settings` only after
    ``TRANSCRIBE_DATA_DIR`` is set.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = ports.DEFAULT,
        workers: int = 0,
        flower: int | None = None,
        tell: Callable[[str], object] = log.warning,
    ) -> None:
        """*flower*: its port, 0 for a free one; None: it is not started.

        *tell* is called with sentences for whoever started the stack.
        """
        self._dir = settings().transcribe_data_dir
        self._host = host
        self._port = port or ports.find_free(host)
        self._flower = flower if flower != 0 else ports.find_free(watching.HOST)
        self._hears = workers or usable_cores()
        self._tell = tell
        self._children: dict[str, psutil.Popen] = {}
        self._restarts: dict[str, list[float]] = {}
        #: Where in its log each part began to write when it was last started.
        self._log_starts: dict[str, int] = {}
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """Where the service answers."""
        return f"http://{self._host}:{self._port}"

    @property
    def flower_url(self) -> str | None:
        """Where Flower answers, if it was started."""
        return None if self._flower is None else watching.url(self._flower)

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
        exposure.refuse_unguarded([(self._host, self._port)])
        data_folder.make()
        free_space.require_least(START_BYTES)
        private_files.make_folder(self.logs)
        self._lock = data_dir_lock.lock(self._dir)
        end_leftovers(self._dir)
        # Only now: leftovers may have had them.
        ports.refuse_unusable(self._host, self._port)
        if self._flower is not None:
            ports.refuse_unusable(watching.HOST, self._flower, option="--flower-port")
        open_files.require(_threads(), self._hears)
        records.upgrade()
        if settings().redis_url is None:
            self._start_redis()
        expect_engines()
        _say_that_nothing_was_lost()
        parts = self._parts()
        needed = [part for part in parts if part.is_awaited]
        for part in needed:
            self._start_part(part)
        self._wait_until_ready([part.name for part in needed])
        # Beat only matters once something was lost, and Flower to whoever looks: they need not
        # hold up the start.
        for part in parts:
            if not part.is_awaited:
                self._start_part(part)
        self._write_down()

    def stop(self) -> None:
        """End every process, gently first. Safe to run twice."""
        with signals_held():
            # The Redis goes last: workers say goodbye to it.
            server = self._children.pop("redis", None)
            end(list(self._children.values()), settings().shutdown_seconds + STOP_SECONDS)
            if server is not None:
                end([server])
            self._children.clear()
            if self._lock is not None:  # without it, what runs there is another stack's
                end_leftovers(self._dir)
                (self._dir / "stack.json").unlink(missing_ok=True)
                self._remove_socket()
                self._lock.close()
                self._lock = None

    def watch(self, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Start again what ends by itself, until interrupted or for as long as it is wanted.

        Raises `StackError` when something does not stay up.
        """
        parts = {part.name: part for part in self._parts()}
        while is_wanted():
            time.sleep(0.5)
            for name, child in list(self._children.items()):
                if child.poll() is None:
                    continue
                if shortage := free_space.find_shortage() or free_space.find_lack():
                    self._try_on_full_disk(name, parts, shortage)
                else:
                    self._count_restart(name, child.returncode)
                    self._start_again(name, parts)

    def _start_again(self, name: str, parts: Mapping[str, Part]) -> None:
        if name == "redis":
            self._start_redis()
        else:
            self._start_part(parts[name])

    def _try_on_full_disk(self, name: str, parts: Mapping[str, Part], shortage: str) -> None:
        """Start a part that may end again at once: it will stay up when there is room."""
        log.warning("a part ended while the disk is full", part=name, reason=shortage)
        time.sleep(FULL_DISK_WAIT)
        with suppress(OSError, StackError):
            self._start_again(name, parts)

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
            _worker("control", [CONTROL, MERGE, DELIVER], 4, pool="threads"),
            _worker("prepare", [PREPARE], 1),
            *(
                _listener(spec, self._hears)
                for spec in catalog.recognizers().values()
                if spec.installed()
            ),
            *(
                _worker(spec.queue, [spec.queue], 1)
                for spec in catalog.diarizers().values()
                if spec.installed()
            ),
            Part("api", self._api(), umask=private_files.UMASK),
            Part(
                "beat",
                (*_celery("beat"), "-s", str(self._dir / "beat"), "--pidfile="),
                is_awaited=False,
                umask=private_files.UMASK,
            ),
            *([_flower(self._flower)] if self._flower is not None else []),
        ]

    def _api(self) -> tuple[str, ...]:
        # One process: streams and uploads wait, they do not compute. Threads are only made when
        # they are needed; a stream keeps one, and the others stay free for requests.
        return (
            *(sys.executable, "-m", "gunicorn"),
            *("--worker-class", "transcribe_api.gunicorn_worker.Worker"),
            *("--threads", str(_threads()), "--worker-connections", str(2 * _threads())),
            *("--bind", f"{self._host}:{self._port}", "--no-control-socket", "--timeout", "0"),
            *("--graceful-timeout", "2", "--logger-class", "transcribe_api.gunicorn_log.Logger"),
            "transcribe_api.app:create_app()",
        )

    def _start_redis(self) -> None:
        path, folder = settings().redis_socket, self._dir / "redis"
        private_files.make_folder(path.parent)
        if path.parent.stat().st_uid != os.getuid():
            raise StackError(f"{path.parent} belongs to somebody else; choose a shorter --data-dir")
        private_files.make_folder(folder)
        try:
            self._run_redis(folder, path)
        except PartEnded as ended:
            if embedded_redis.has_refused_files(ended.words, ended.exit_code):
                self._run_redis_empty(folder, path)
            elif why := embedded_redis.explain_end(ended.words, folder):
                raise StackError(why) from None
            else:
                raise

    def _run_redis(self, folder: Path, socket: Path) -> None:
        command = embedded_redis.build_command(folder, socket)
        self._start_part(Part("redis", command, umask=private_files.UMASK))
        self._wait(lambda: redis.Redis.from_url(settings().redis).ping(), "redis", ["redis"])

    def _run_redis_empty(self, folder: Path, socket: Path) -> None:
        """What is not done is sent again: recovery sees that Redis has forgotten."""
        aside = embedded_redis.set_aside(folder)
        try:
            self._run_redis(folder, socket)
        except BaseException:  # so it was not for the files
            embedded_redis.put_back(aside)
            raise
        self._tell(embedded_redis.explain_set_aside(aside))

    def _remove_socket(self) -> None:
        """It lies elsewhere when the path of the data directory is too long for a socket."""
        path = settings().redis_socket
        path.unlink(missing_ok=True)
        if path.parent != self._dir:
            with suppress(OSError):
                path.parent.rmdir()

    def _start_part(self, part: Part) -> None:
        path = self.logs / f"{part.name}.log"
        with signals_held(), private_files.open_file(path, "ab") as log:
            self._log_starts[part.name] = log.tell()
            self._children[part.name] = psutil.Popen(
                part.command,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                env={**self._environment(), **part.environment},
                umask=part.umask,
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
                raise PartEnded(
                    f"{name} ended with {child.returncode}. {self._last_words(name)}",
                    code=child.returncode,
                    words=self._words(name),
                )

    def _words(self, name: str) -> str:
        """What a part has written since it was last started."""
        with (self.logs / f"{name}.log").open("rb") as log:
            log.seek(self._log_starts[name])
            return log.read().decode(errors="replace")

    def _last_words(self, name: str) -> str:
        lines = self._words(name).splitlines()[-5:]
        return f"The end of {self.logs / name}.log:\n" + "\n".join(lines)

    def _write_down(self) -> None:
        told = {"url": self.url, "flower": self.flower_url, "pid": os.getpid()}
        if self._flower is not None:
            told["flower_login"] = watching.credentials()
        private_files.write_text(self._dir / "stack.json", json.dumps(told))


def _threads() -> int:
    return settings().max_streams + REQUESTS


def _listener(spec: EngineSpec, processes: int) -> Part:
    """A worker for an engine: so many processes, or one that has as many threads."""
    if not spec.fills_machine:
        return _worker(spec.queue, [spec.queue], processes)
    threads = os.environ.get("OMP_NUM_THREADS", str(processes))
    # Passive: threads that wait for each other sleep, for others use these cores too.
    environment = {"OMP_NUM_THREADS": threads, "OMP_WAIT_POLICY": "passive"}
    return replace(_worker(spec.queue, [spec.queue], 1), environment=environment)


def _worker(name: str, queues: Sequence[str], processes: int, pool: str = "prefork") -> Part:
    return Part(
        name,
        (
            *_celery("worker"),
            *("-Q", ",".join(queues), "-n", f"{name}@%h", "-P", pool, "-c", str(processes)),
            *("--without-gossip", "--without-mingle"),
        ),
    )


def _flower(port: int) -> Part:
    return Part("flower", watching.command(port), False, watching.environment())


def _celery(command: str) -> tuple[str, ...]:
    # Quiet: a banner is no line of a log.
    return sys.executable, "-m", "celery", "-q", "-A", "tasks", command, "--loglevel", "INFO"


def _say_that_nothing_was_lost() -> None:
    """A Redis that is empty has lost nothing while nothing is to be done."""
    with reading() as session:
        if not recovery.unfinished(session):
            canary.is_gone()


def _living(most: int) -> set[str]:
    """The names of the workers that answer; waits for no more than *most* of them."""
    replies = celery_app.control.ping(timeout=1.0, limit=most) or []
    return {name.partition("@")[0] for reply in replies for name in reply}


def _answers(host: str, port: int) -> bool:
    with socket.create_connection((host, port), timeout=1):
        return True
