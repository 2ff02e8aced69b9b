"""What the compose file starts, started here: the same commands, from the package alone."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import httpx2
import pytest

from tests import composed
from tests.conftest import ROOT
from tests.integration.conftest import SAMPLE, clean_environment, wait_until
from tests.services.processes import free_port
from tests.services.servers import PASSWORD

pytestmark = pytest.mark.processes

#: Seconds that a process is given to end; compose gives more.
GRACE = 30
PROGRAMS = ("alembic", "celery", "flask", "gunicorn", "transcribe")
API, FLOWER = "8000", "5555"


@dataclass(frozen=True)
class Image:
    """What a container has: programs, a working directory, and a directory for data."""

    programs: Path
    app: Path
    data: Path


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The package as it would be installed, without the sources that it was made from."""
    folder = tmp_path_factory.mktemp("image")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "venv", symlinks=True)
    libraries = Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")}))
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(libraries)
    # The libraries of this environment, but not what an editable installation adds to it.
    (libraries / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for name in PROGRAMS:
        _write_program(folder / "venv" / "bin", name)
    app = folder / "app"
    app.mkdir()
    for path in composed.stages()["runtime"].copied:
        shutil.copy(ROOT / path, app)
    (folder / "data").mkdir()
    return Image(folder / "venv" / "bin", app, folder / "data")


@dataclass
class Container:
    """A process with what compose says of its service."""

    process: subprocess.Popen[bytes]
    environment: Mapping[str, str]
    log: Path


class Composed:
    """The services of a compose file, as processes on this machine."""

    def __init__(self, image: Image, name: str, servers: Mapping[str, str]) -> None:
        self._image = image
        self._services = composed.ours(name)
        self._servers = {**servers, "TRANSCRIBE_DATA_DIR": str(image.data)}
        self._ports = {API: str(free_port()), FLOWER: str(free_port())}
        self._values = dict.fromkeys(composed.demanded(name), PASSWORD) | {
            "FLOWER_BASIC_AUTH": f"admin:{PASSWORD}"
        }
        self.running: dict[str, Container] = {}

    @property
    def names(self) -> list[str]:
        """What `docker compose up` starts without a profile, but for what runs once."""
        return [
            name for name, told in self._services.items()
            if "profiles" not in told and name != "migrate"
        ]  # fmt: skip

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self._ports[port]}"

    def start(self, name: str) -> None:
        log = self._image.data.parent / f"{name}.log"
        with log.open("ab") as output:
            self.running[name] = Container(
                subprocess.Popen(
                    self._command(name), env=self._environment(name), cwd=self._image.app,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                ),
                self._environment(name), log,
            )  # fmt: skip

    def run(self, service: str, *command: str) -> subprocess.CompletedProcess[str]:
        """As `docker compose exec` or `run` does."""
        return subprocess.run(
            command, env=self._environment(service), cwd=self._image.app,
            capture_output=True, text=True, check=False, timeout=90,
        )  # fmt: skip

    def is_healthy(self, name: str) -> bool:
        return self.run(name, *self._health_check(name)).returncode == 0

    def has_health_check(self, name: str) -> bool:
        return bool(self._health_check(name))

    def end(self) -> None:
        for container in self.running.values():
            if container.process.poll() is None:
                os.killpg(container.process.pid, signal.SIGKILL)
                container.process.wait()

    def _command(self, name: str) -> list[str]:
        told = self._services[name]
        command = told.get("command") or composed.stages()[told["build"]["target"]].command
        return [self._here(composed.filled(word, self._values)) for word in command]

    def _health_check(self, name: str) -> list[str]:
        told = self._services[name]
        check = told.get("healthcheck", {}).get("test")
        if check is None:
            health = composed.stages()[told["build"]["target"]].health
            _, is_there, command = health.partition("CMD ")
            check = (
                ["CMD", *shlex.split(command.strip("[]").replace('", "', '" "'))]
                if is_there
                else []
            )
        if isinstance(check, str):
            check = ["CMD", "sh", "-c", check]
        return [self._here(composed.filled(word, self._values)) for word in check[1:]]

    def _environment(self, name: str) -> dict[str, str]:
        told = self._services[name]
        image = composed.stages()[told["build"]["target"]].environment
        given = {
            key: composed.filled(text, self._values) for key, text in told["environment"].items()
        }
        here = {
            "PATH": f"{self._image.programs}:{os.environ['PATH']}",
            "HOSTNAME": socket.gethostname(),
        }
        return clean_environment(**{**image, **given, **self._servers, **here})

    def _here(self, word: str) -> str:
        for port, ours in self._ports.items():
            word = word.replace(f"0.0.0.0:{port}", f"127.0.0.1:{ours}")
            word = word.replace(f"127.0.0.1:{port}", f"127.0.0.1:{ours}")
            word = word.replace(f"--port={port}", f"--port={ours}")
        word = word.replace("--address=0.0.0.0", "--address=127.0.0.1")
        return word.replace("/data/", f"{self._image.data}/")


@contextmanager
def up(image: Image, name: str, servers: Mapping[str, str]) -> Iterator[Composed]:
    """As `docker compose up`: first what runs once, then everything at the same time."""
    stack = Composed(image, name, servers)
    try:
        stack.start("migrate")
        assert stack.running["migrate"].process.wait(60) == 0, stack.running[
            "migrate"
        ].log.read_text()
        for service in stack.names:
            stack.start(service)
        yield stack
    finally:
        stack.end()


@pytest.fixture
def servers(
    postgres, redis_server, s3, new_database: Callable[[], str], tmp_path: Path
) -> dict[str, str]:
    """Where the servers of the compose files are on this machine."""
    return {
        **redis_server.settings,
        **s3.settings,
        "DATABASE_URL": new_database(),
        "MINIO_BUCKET_NAME": f"test-{tmp_path.name[-40:].replace('_', '-').strip('-').lower()}",
    }


def submitted(http: httpx2.Client) -> str:
    with SAMPLE.open("rb") as file:
        answer = http.post("/api/transcribe/jobs/transcribe", files={"file": file})
    assert answer.status_code == 202, answer.text
    assert "warnings" not in answer.json()
    job_id: str = answer.json()["job_id"]
    return job_id


def result_of(http: httpx2.Client, job_id: str) -> dict:
    path = f"/api/transcribe/jobs/result/{job_id}"
    wait_until(lambda: http.get(path).status_code == 200)
    told: dict = http.get(path).json()
    return told


def test_what_production_starts_transcribes_for_those_who_have_a_key(image, servers):
    with up(image, composed.PRODUCTION, servers) as stack:
        for name in stack.names:
            if stack.has_health_check(name):
                wait_until(lambda name=name: stack.is_healthy(name))
        key = stack.run("api", "transcribe", "keys", "create", "me").stdout.strip()
        with httpx2.Client(base_url=stack.url(API), timeout=30) as http:
            assert http.get("/api/transcribe/jobs").status_code == 401
            assert http.get("/readyz").status_code == 200
            http.headers["Authorization"] = f"Bearer {key}"
            result = result_of(http, submitted(http))
        assert {one["speaker_tag"] for one in result["segments"]} == {0, 1}
        # The storage is not published, so the link leads to the service.
        assert result["audio_url"].startswith(stack.url(API))
        assert httpx2.get(result["audio_url"]).content == SAMPLE.read_bytes()
        assert httpx2.get(stack.url(FLOWER)).status_code == 401
        dead = [name for name in stack.names if stack.running[name].process.poll() is not None]
        assert dead == []
        ended = {name: ends(stack.running[name].process) for name in stack.names}
        assert set(ended.values()) <= {0, -signal.SIGTERM}, ended
        for name, container in stack.running.items():
            text = container.log.read_text(errors="replace")
            assert PASSWORD not in text, name
            assert "Traceback" not in text, text


def test_what_development_starts_transcribes_for_everybody(image, servers):
    with up(image, composed.DEVELOPMENT, servers) as stack:
        wait_until(lambda: stack.is_healthy("worker") and stack.is_healthy("api"))
        with httpx2.Client(base_url=stack.url(API), timeout=30) as http:
            result = result_of(http, submitted(http))
        assert {one["speaker_tag"] for one in result["segments"]} == {0, 1}


def ends(process: subprocess.Popen[bytes]) -> int:
    """Tell the main process alone, as docker does with an init."""
    process.terminate()
    return process.wait(GRACE)


def _write_program(folder: Path, name: str) -> None:
    [point] = entry_points(group="console_scripts", name=name)
    path = folder / name
    path.write_text(
        f"#!{folder / 'python'}\nimport sys\nfrom {point.module} import {point.attr}\n"
        f"sys.exit({point.attr}())\n"
    )
    path.chmod(0o755)
