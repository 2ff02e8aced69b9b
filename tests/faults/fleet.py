"""The processes of the service, each of which can be killed, stopped and started by itself.

What ends without having been told to is started again, as every deployment does it, and counted.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM
from subprocess import DEVNULL, STDOUT

import httpx2
import psutil
import redis

from core.live import worker_registry
from tests.conftest import ROOT
from tests.integration.conftest import command_of, wait_until
from tests.services.processes import end_with_parent, free_port
from transcribe_api.stack.processes import MARK_VARIABLE, end_leftovers, end_processes

#: The workers that hear, and the others.
EARS = ("ears-1", "ears-2")
WORKERS = ("control", "prepare", *EARS)
#: One that does everything by itself, and is not started unless it is asked for.
ONLY = "only"
#: Seconds in which a process that is told to end must have ended.
STOP_SECONDS = 30
#: Seconds between two looks of the supervisor.
_LOOK = 0.1

#: The environment of one process alone: an hour of sound is heard as in production, but sooner.
_OF_ITS_OWN = {ONLY: {"LEASE_SECONDS": "15", "CHUNK_DURATION": "30", "ECHO_SECONDS": "0.5"}}


class Fleet:
    """Use it in a ``with`` block, which leaves no process behind."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._port = free_port()
        self.environment = {**environment, MARK_VARIABLE: str(folder)}
        self._commands = self._all()
        self._running: dict[str, psutil.Popen] = {}
        self._lock = threading.RLock()
        self._is_over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        #: Names of processes that ended by themselves.
        self.ended: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Fleet:
        (self._folder / "logs").mkdir(parents=True, exist_ok=True)
        try:
            self.start(*WORKERS, "beat", "api")
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise
        self._supervisor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        with suppress(RuntimeError):  # it was never started
            self._supervisor.join()
        end_processes(list(self._running.values()))
        end_leftovers(self._folder)

    def wait_until_ready(self) -> None:
        wait_until(self._answers)

    def start(self, *names: str) -> None:
        """Start what does not run."""
        with self._lock:
            for name in names:
                if name not in self._running or self._running[name].poll() is not None:
                    self._running[name] = self._started(name)

    def kill(self, *names: str) -> None:
        """SIGKILL for processes and all their children at once, as when their machine goes.

        They stay away until they are started.
        """
        with self._lock:
            for process in self.whole(*names):
                with suppress(psutil.Error):
                    process.send_signal(SIGKILL)
            for name in names:
                self._running.pop(name).wait()

    def stop(self, *names: str, signal: int = SIGTERM, times: int = 1) -> None:
        """Tell main processes to end, so many times, and wait until they have.

        They stay away until they are started.
        """
        with self._lock:
            stopped = [self._running.pop(name) for name in names]
        for number in range(times):
            if number:  # as fast as somebody presses Ctrl-C twice
                psutil.wait_procs(stopped, timeout=0.5)
            _tell(stopped, signal)
        _gone, alive = psutil.wait_procs(stopped, timeout=STOP_SECONDS)
        assert not alive, f"{names} did not end"

    def kill_main(self, name: str) -> None:
        """SIGKILL for a process alone: its children are orphans. The supervisor starts another."""
        with self._lock:
            one = self._running.pop(name)
            one.send_signal(SIGKILL)
            one.wait()
            self.start(name)

    @contextmanager
    def stopped(self, *names: str) -> Iterator[None]:
        """Processes and their children stand still for as long as the block lasts."""
        processes = self.whole(*names)
        _tell(processes, SIGSTOP)
        try:
            yield
        finally:
            _tell(processes, SIGCONT)

    def children(self, *names: str) -> list[psutil.Process]:
        """The pool processes of workers."""
        with self._lock:
            mains = [self._running[name] for name in names if name in self._running]
        return [child for main in mains for child in _children(main)]

    def whole(self, *names: str) -> list[psutil.Process]:
        """Processes and their children, children last."""
        with self._lock:
            mains = [self._running[name] for name in names if name in self._running]
        return [*mains, *(child for main in mains for child in _children(main))]

    def everybody(self) -> list[psutil.Process]:
        return self.whole(*self._commands)

    def strays(self) -> list[str]:
        """Processes of this fleet that belong to nobody."""
        known = {one.pid for one in self.everybody()}
        return [
            f"process {one.pid}: {' '.join(command_of(one))[-60:]}"
            for one in _marked(self._folder)
            if one.pid not in known
        ]

    def _supervise(self) -> None:
        while not self._is_over.wait(_LOOK):
            with self._lock:
                for name, process in list(self._running.items()):
                    if process.poll() is not None:
                        self.ended.append(f"{name} ({process.returncode})")
                        self.start(name)

    def _started(self, name: str) -> psutil.Popen:
        with (self._folder / "logs" / f"{name}.log").open("ab") as log:
            return psutil.Popen(
                self._commands[name],
                env={**self.environment, **_OF_ITS_OWN.get(name, {})},
                cwd=ROOT,
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,
            )

    def _answers(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=10).is_success and all(
                map(self._serves, WORKERS)
            )
        except (httpx2.HTTPError, redis.RedisError):
            return False

    def _serves(self, name: str) -> bool:
        """Whether a worker has said so since it was started."""
        queue = self._commands[name][self._commands[name].index("-Q") + 1].partition(",")[0]
        with redis.Redis.from_url(self.environment["REDIS_URL"]) as client:
            until = client.zscore(f"transcribe:serving:{queue}", f"{name}@{socket.gethostname()}")
        born = self._running[name].create_time()
        return until is not None and until > born + worker_registry.EXPIRES_AFTER_SECONDS

    def _all(self) -> dict[str, Sequence[str]]:
        return {
            "control": _worker("control", "control,merge,deliver", 4, "threads"),
            "prepare": _worker("prepare", "prepare", 1),
            **{name: _worker(name, "asr.echo,diarize.echo", 2) for name in EARS},
            ONLY: _worker(ONLY, "control,merge,deliver,prepare,asr.echo,diarize.echo", 2),
            "beat": (*_celery("beat"), "-s", str(self._folder / "beat"), "--pidfile="),
            "api": (
                *(sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{self._port}"),
                *("--worker-class", "transcribe_api.gunicorn_worker.Worker", "--threads", "8"),
                *("--no-control-socket", "--graceful-timeout", "2"),
                "transcribe_api.app:create_app()",
            ),
        }


def _worker(name: str, queues: str, processes: int, pool: str = "prefork") -> Sequence[str]:
    return (
        *(*_celery("worker"), "-Q", queues, "-n", f"{name}@%h", "-P", pool, "-c", str(processes)),
        *("--without-gossip", "--without-mingle"),
    )


def _celery(command: str) -> Sequence[str]:
    return sys.executable, "-m", "celery", "-q", "-A", "tasks", command, "--loglevel", "INFO"


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(process.children(recursive=True))
    return []


def _tell(processes: Sequence[psutil.Process], what: int) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(what)


def _marked(folder: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(MARK_VARIABLE) == str(folder):
                yield process
