"""The embedded stack: private Redis, workers for all queues, beat and API server, as children.

Nothing but the Python packages needs to be installed or configured. Two stacks with different data
directories can run at the same time; two with the same one cannot.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from subprocess import DEVNULL, STDOUT
from typing import IO

import psutil
import redis
import structlog

from core.db import migrate
from core.db.transactions import read_session
from core.filesystem import data_directory, data_directory_lock, free_space, private_files
from core.jobs import recovery
from core.live import redis_epoch
from core.settings import settings
from tasks.celery import app as celery_app
from transcribe_api.http.auth import exposure
from transcribe_api.stack import embedded_redis, open_files, ports
from transcribe_api.stack import flower as stack_flower
from transcribe_api.stack.components import Component, build_redis, count_threads, list_components
from transcribe_api.stack.expected_engines import expect_engines
from transcribe_api.stack.processes import (
    MARK_VARIABLE,
    STOP_SECONDS,
    count_usable_cores,
    end_leftovers,
    end_processes,
    hold_signals,
)
from transcribe_api.stack.stack_error import ComponentExited, StackError

#: Seconds until all components must answer: a slow machine takes long to load libraries.
START_SECONDS = 120
#: Free bytes required for a start: records, logs, and process reports.
MIN_FREE_BYTES = 8 * free_space.MIB
#: A component that ends more often than this within a minute is not restarted.
MAX_RESTARTS = 5
#: Seconds before a component that ended on a full disk is restarted, without limit.
FULL_DISK_WAIT_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Stack:
    """A running stack; use it in a ``with`` block, which leaves no process behind.

    It uses the settings of this process: call `core.settings.settings` only after
    ``TRANSCRIBE_DATA_DIR`` is set.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = ports.DEFAULT_PORT,
        workers: int = 0,
        flower: int | None = None,
        notify: Callable[[str], object] = log.warning,
    ) -> None:
        """Prepare a stack; *flower*: its port, 0 for a free one; None: no Flower.

        *notify* is called with sentences for the operator.
        """
        self._data_dir = settings().transcribe_data_dir
        self._host = host
        self._port = port or ports.find_free(host)
        self._flower_port = flower if flower != 0 else ports.find_free(stack_flower.HOST)
        self._engine_processes = workers or count_usable_cores()
        self._notify = notify
        self._children: dict[str, psutil.Popen] = {}
        self._restarts: dict[str, list[float]] = {}
        #: Position in the log of each component at its last start.
        self._log_starts: dict[str, int] = {}
        self._lock: IO[str] | None = None

    @property
    def url(self) -> str:
        """Return the address of the API server."""
        return f"http://{self._host}:{self._port}"

    @property
    def flower_url(self) -> str | None:
        """Return the address of Flower, if it was started."""
        return None if self._flower_port is None else stack_flower.build_url(self._flower_port)

    @property
    def logs(self) -> Path:
        """Return the folder with a log file per process."""
        return self._data_dir / "logs"

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
        data_directory.create_directory()
        free_space.require_minimum(MIN_FREE_BYTES)
        private_files.make_folder(self.logs)
        self._lock = data_directory_lock.acquire_lock(self._data_dir)
        end_leftovers(self._data_dir)
        # Only now: leftovers may have used the ports.
        ports.refuse_unusable(self._host, self._port)
        if self._flower_port is not None:
            ports.refuse_unusable(stack_flower.HOST, self._flower_port, option="--flower-port")
        open_files.require_open_files(count_threads(), self._engine_processes)
        migrate.upgrade_database()
        if settings().redis_url is None:
            self._start_redis()
        expect_engines()
        _mark_redis_intact()
        components = self._list_components()
        needed = [component for component in components if component.is_awaited]
        for component in needed:
            self._start_component(component)
        self._wait_until_ready([component.name for component in needed])
        # The start does not wait for beat, which matters only after losses, nor for Flower.
        for component in components:
            if not component.is_awaited:
                self._start_component(component)
        self._write_stack_file()

    def stop(self) -> None:
        """Stop all processes, gracefully first. Safe to call twice."""
        with hold_signals():
            # Stop Redis last: workers use it while they shut down.
            server = self._children.pop("redis", None)
            end_processes(list(self._children.values()), settings().shutdown_seconds + STOP_SECONDS)
            if server is not None:
                end_processes([server])
            self._children.clear()
            if self._lock is not None:  # without the lock, the processes are another stack's
                end_leftovers(self._data_dir)
                (self._data_dir / "stack.json").unlink(missing_ok=True)
                self._remove_socket()
                self._lock.close()
                self._lock = None

    def watch(self, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Restart components that end, until interrupted or *is_wanted* returns False.

        Raises `StackError` if a component keeps ending.
        """
        components = {component.name: component for component in self._list_components()}
        while is_wanted():
            time.sleep(0.5)
            for name, child in list(self._children.items()):
                if child.poll() is None:
                    continue
                if shortage := free_space.find_shortage() or free_space.find_minimum_shortage():
                    self._retry_on_full_disk(name, components, shortage)
                else:
                    self._count_restart(name, child.returncode)
                    self._start_again(name, components)

    def _start_again(self, name: str, components: Mapping[str, Component]) -> None:
        if name == "redis":
            self._start_redis()
        else:
            self._start_component(components[name])

    def _retry_on_full_disk(
        self, name: str, components: Mapping[str, Component], shortage: str
    ) -> None:
        """Restart a component that may end again at once: it will run when there is space."""
        log.warning("a component ended while the disk is full", part=name, reason=shortage)
        time.sleep(FULL_DISK_WAIT_SECONDS)
        with suppress(OSError, StackError):
            self._start_again(name, components)

    def _count_restart(self, name: str, code: int) -> None:
        now = time.monotonic()
        recent = [
            restarted_at for restarted_at in self._restarts.get(name, []) if now - restarted_at < 60
        ]
        self._restarts[name] = [*recent, now]
        if len(recent) >= MAX_RESTARTS:
            raise StackError(
                f"{name} keeps ending (exit code {code}). {self._describe_log_end(name)}"
            )

    def _list_components(self) -> Sequence[Component]:
        return list_components(
            self._data_dir,
            self._host,
            self._port,
            self._flower_port,
            engine_processes=self._engine_processes,
        )

    def _start_redis(self) -> None:
        socket_path, folder = settings().redis_socket, self._data_dir / "redis"
        private_files.make_folder(socket_path.parent)
        if socket_path.parent.stat().st_uid != os.getuid():
            raise StackError(
                f"{socket_path.parent} belongs to another account; choose a shorter --data-dir"
            )
        private_files.make_folder(folder)
        try:
            self._run_redis(folder, socket_path)
        except ComponentExited as error:
            if embedded_redis.has_refused_files(error.output, error.exit_code):
                self._run_redis_empty(folder, socket_path)
            elif reason := embedded_redis.explain_end(error.output, folder):
                raise StackError(reason) from None
            else:
                raise

    def _run_redis(self, folder: Path, socket_path: Path) -> None:
        self._start_component(build_redis(folder, socket_path))
        self._wait_until(lambda: redis.Redis.from_url(settings().redis).ping(), "redis", ["redis"])

    def _run_redis_empty(self, folder: Path, socket_path: Path) -> None:
        """Set the files aside and start empty; recovery detects this and resends open work."""
        moved_files = embedded_redis.set_aside(folder)
        try:
            self._run_redis(folder, socket_path)
        except BaseException:  # the files were not the cause
            embedded_redis.put_back(moved_files)
            raise
        self._notify(embedded_redis.explain_set_aside(moved_files))

    def _remove_socket(self) -> None:
        """Remove the socket; it is outside a data directory whose path is too long for a socket."""
        socket_path = settings().redis_socket
        socket_path.unlink(missing_ok=True)
        if socket_path.parent != self._data_dir:
            with suppress(OSError):
                socket_path.parent.rmdir()

    def _start_component(self, component: Component) -> None:
        log_path = self.logs / f"{component.name}.log"
        with hold_signals(), private_files.open_file(log_path, "ab") as log_file:
            self._log_starts[component.name] = log_file.tell()
            self._children[component.name] = psutil.Popen(
                component.command,
                stdin=DEVNULL,
                stdout=log_file,
                stderr=STDOUT,
                env={**self._build_environment(), **component.environment},
                umask=component.umask,
                # Ctrl-C in a terminal goes to the whole group, and a pool hangs if its members get
                # a signal together with its worker. So only the stack sends signals, and only to
                # main processes.
                start_new_session=True,
            )

    def _build_environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "TRANSCRIBE_DATA_DIR": str(self._data_dir),
            MARK_VARIABLE: str(self._data_dir),
            # One chunk per process: numerical libraries must not start threads of their own.
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        }

    def _wait_until_ready(self, needed: Sequence[str]) -> None:
        self._wait_until(lambda: _is_port_open(self._host, self._port), "api", needed)
        workers = set(needed) - {"api"}
        self._wait_until(lambda: workers <= _ping_workers(len(workers)), "the workers", needed)

    def _wait_until(
        self, is_ready: Callable[[], object], subject: str, needed: Sequence[str]
    ) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError, redis.RedisError):
                if is_ready():
                    return
            self._check_alive(needed)
            time.sleep(0.1)
        raise StackError(
            f"{subject} did not answer within {START_SECONDS} s; logs are in {self.logs}"
        )

    def _check_alive(self, needed: Sequence[str]) -> None:
        for name in needed:
            child = self._children[name]
            if child.poll() is not None:
                raise ComponentExited(
                    f"{name} exited with code {child.returncode}. {self._describe_log_end(name)}",
                    code=child.returncode,
                    output=self._read_output(name),
                )

    def _read_output(self, name: str) -> str:
        """Return the output of a component since its last start."""
        with (self.logs / f"{name}.log").open("rb") as log_file:
            log_file.seek(self._log_starts[name])
            return log_file.read().decode(errors="replace")

    def _describe_log_end(self, name: str) -> str:
        lines = self._read_output(name).splitlines()[-5:]
        return f"The end of {self.logs / name}.log:\n" + "\n".join(lines)

    def _write_stack_file(self) -> None:
        payload = {"url": self.url, "flower": self.flower_url, "pid": os.getpid()}
        if self._flower_port is not None:
            payload["flower_login"] = stack_flower.credentials()
        private_files.write_text(self._data_dir / "stack.json", json.dumps(payload))


def _mark_redis_intact() -> None:
    """Mark the current Redis memory as known if no work is unfinished: nothing was lost."""
    with read_session() as session:
        if not recovery.list_unfinished(session):
            redis_epoch.detect_memory_loss()


def _ping_workers(limit: int) -> set[str]:
    """Return the names of the workers that answer; waits for *limit* of them at most."""
    replies = celery_app.control.ping(timeout=1.0, limit=limit) or []
    return {name.partition("@")[0] for reply in replies for name in reply}


def _is_port_open(host: str, port: int) -> bool:
    with socket.create_connection((host, port), timeout=1):
        return True
