"""A running stack: real Redis, real worker processes, the real service, started as a user would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

from chunking.decode import decoder
from core.settings import Settings
from tests.conftest import engine_for_tests, skip_without_engine
from tests.killing import kill_processes
from transcribe_api.client import Client

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "conversation.flac"
TRANSCRIBE = Path(sys.executable).with_name("transcribe")


@dataclass(frozen=True)
class RunningStack:
    """What a test may know of a stack."""

    url: str
    data_dir: Path
    process: subprocess.Popen[str]

    @property
    def environment(self) -> dict[str, str]:
        """With which other processes join the stack."""
        return clean_environment(TRANSCRIBE_DATA_DIR=str(self.data_dir))

    def processes(self) -> list[psutil.Process]:
        """Every process that belongs to the stack, but for its main one."""
        return marked(self.data_dir)

    def workers(self, name: str) -> list[psutil.Process]:
        """The main process of a worker."""
        return [one for one in self.processes() if f"{name}@%h" in command_of(one)]


def command_of(process: psutil.Process) -> list[str]:
    """Its arguments; none if it has ended meanwhile."""
    with suppress(psutil.Error):
        return process.cmdline()
    return []


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without any setting of the service but the engine for tests."""
    ours = Settings.variables()
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    usual = {"DEFAULT_TRANSCRIPTION_ENGINE": engine_for_tests(), "DEFAULT_DIARIZER": "classic"}
    usual["MIN_FREE_BYTES"] = "0"  # what room a machine has must not decide what is tested
    return {**kept, **usual, **more}


def marked(data_dir: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TRANSCRIBE_STACK") == str(data_dir):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def wait_until(is_so: Callable[[], object]) -> None:
    """Look ten times a second, for four minutes: other work may share the machine."""
    for _ in range(2400):
        if is_so():
            return
        time.sleep(0.1)
    pytest.fail("it never came to be so")


@pytest.fixture(autouse=True)
def needs_engine() -> None:
    """Nothing is transcribed on a machine without an engine."""
    skip_without_engine()


@contextmanager
def started(data_dir: Path, *options: str, **settings: str) -> Iterator[RunningStack]:
    """Run `transcribe up` for as long as the block lasts."""
    skip_without_engine()
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "up.log").open("w+") as errors:
        process = subprocess.Popen(
            [TRANSCRIBE, "up", "--port", "0", "--data-dir", data_dir, *options],
            env=clean_environment(**settings),
            cwd=data_dir,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            answer = re.search(r"http://\S+?(?=;)", line)
            assert answer, f"the stack did not start: {line}{(data_dir / 'up.log').read_text()}"
            yield RunningStack(answer.group(), data_dir, process)
        finally:
            process.terminate()
            process.communicate(timeout=60)
            kill_processes(marked(data_dir))


def write_sample(path: Path, *, seconds: int | None = None, times: int = 1) -> Path:
    """The beginning of the sample, or all of it, said so many times."""
    with decoder.stream(SAMPLE) as sound, wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(decoder.SAMPLE_RATE)
        samples = b"".join(sound)
        file.writeframes(samples[: seconds and seconds * decoder.BYTES_PER_SECOND] * times)
    return path


@contextmanager
def another_api(stack: RunningStack, **settings: str) -> Iterator[str]:
    """A second process of the service beside that of the stack; gives its address."""
    log = stack.data_dir / "second.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", "--bind", "127.0.0.1:0", "--no-control-socket"),
                *("--worker-class", "transcribe_api.gunicorn_worker.Worker", "--threads", "8"),
                "transcribe_api.app:create_app()",
            ],
            env=stack.environment | settings, cwd=SAMPLE.parents[1], stdout=output, stderr=output,
        )  # fmt: skip
    try:
        wait_until(lambda: "Listening at: " in log.read_text())
        url = log.read_text().partition("Listening at: ")[2].split()[0]
        # It listens before it has loaded what it answers with.
        wait_until(lambda: httpx2.get(f"{url}/healthz", timeout=60).status_code == 200)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="session")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the sample: both speakers, two chunks and a shard. For whom all of it tells no more."""
    return write_sample(tmp_path_factory.mktemp("beginning") / "beginning.wav", seconds=45)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with started(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture
def client(stack: RunningStack) -> Iterator[Client]:
    with Client(stack.url) as ours:
        yield ours
