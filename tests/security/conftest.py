"""A service as strangers meet it: the real server, with nothing behind it but a database."""

from __future__ import annotations

import re
import resource
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.conftest import ROOT
from tests.factories.recordings import build_silence
from tests.integration.conftest import TRANSCRIBE, clean_environment, wait_until

JOBS = "/api/transcribe/jobs"
SESSIONS = "/api/transcribe/sessions"


@dataclass(frozen=True)
class Served:
    """A running service without workers."""

    port: int
    data_dir: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def http(self, **headers: str) -> httpx2.Client:
        """A connection for each request: one that is kept may end just when it is used again."""
        limits = httpx2.Limits(max_keepalive_connections=0)
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, limits=limits)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def worker_pid(self) -> str:
        """Of the process that answers; another one when it had to be replaced."""
        return re.findall(r"Booting worker with pid: (\d+)", self.log.read_text())[-1]


Serve = Callable[..., Served]


@contextmanager
def serving(
    data_dir: Path, *options: str, files: int | None = None, cwd: Path = ROOT, **settings: str
) -> Iterator[Served]:
    """Run the service on a free port of this machine; *files*: descriptors that it may have."""
    make_tables(data_dir)
    log = data_dir / "service.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--no-control-socket", "--timeout", "0"),
                *("--bind", "127.0.0.1:0", "--graceful-timeout", "1"),
                *("--worker-class", "transcribe_api.gunicorn_worker.Worker", "--threads", "32"),
                *("--worker-connections", "4000", *options, "transcribe_api.app:create_app()"),
            ],
            env=clean_environment(TRANSCRIBE_DATA_DIR=str(data_dir), **settings),
            cwd=cwd, stdout=output, stderr=output,
            preexec_fn=partial(_allow_files, files) if files else None,
        )  # fmt: skip
    try:
        wait_until(lambda: "Listening at: " in log.read_text())
        port = int(re.search(r"Listening at: \S*?127\.0\.0\.1:(\d+)", log.read_text())[1])
        served = Served(port, data_dir, process, log)
        assert httpx2.get(f"{served.url}/healthz", timeout=60).status_code == 200
        yield served
    finally:
        process.terminate()
        process.wait(timeout=60)


def _allow_files(count: int) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def make_tables(data_dir: Path) -> None:
    """Whoever lists the keys makes the tables."""
    transcribe("keys", "list", "--data-dir", data_dir)


def make_key(data_dir: Path, *options: str) -> str:
    return transcribe("keys", "create", "test", "--data-dir", data_dir, *options).stdout.strip()


def transcribe(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the command line, which must do what it is told."""
    done = subprocess.run(
        [TRANSCRIBE, *words],
        env=clean_environment(**settings), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start a service that ends with the file of tests."""
    with ExitStack() as running:

        def start(*options: str, **more: object) -> Served:
            data_dir = tmp_path_factory.mktemp("served") / "data"
            return running.enter_context(serving(data_dir, *options, **more))

        yield start


@pytest.fixture(scope="module")
def served(serve: Serve) -> Served:
    """A service without keys, which all tests of a file share."""
    return serve()


def sound() -> dict[str, tuple[str, bytes]]:
    """A recording to be uploaded."""
    return {"file": ("a.wav", build_silence(seconds=1))}
