"""A service to measure: the embedded stack, in a directory of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import psutil

from core.settings import settings
from transcribe_api.client import Client, is_over


def _with(package: str) -> str:
    """For ``PYTHONPATH``: what is found already, and what lies in a folder beside this file."""
    own = str(Path(__file__).with_name(package).resolve())
    return os.pathsep.join(filter(None, (own, os.environ.get("PYTHONPATH"))))


#: For ``PYTHONPATH``: an engine that takes no processor time.
STANDIN = _with("standin")
#: The same: an engine that hears every file as a whole.
ONE_TASK = _with("onetask")
#: What most figures are of: an engine that needs no model, so that they can be repeated anywhere.
_ENGINE = {"DEFAULT_TRANSCRIPTION_ENGINE": "sphinx"}
TRANSCRIBE = Path(sys.executable).with_name("transcribe")


@dataclass(frozen=True, slots=True)
class Run:
    """A job that went well; seconds count from its submission."""

    job_id: str
    seconds: float
    first_words: float
    last_words: float
    chunks: int


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, with its one process that answers requests."""

    url: str
    process: psutil.Process

    def run(self, recording: Path, **options: str) -> Run:
        """Have a recording transcribed, to the end."""
        began = time.monotonic()
        words: list[float] = []
        with Client(self.url) as client:
            job_id = client.submit(recording, **options)["job_id"]
            for event in client.events(job_id):
                if event.name == "segment":
                    words.append(time.monotonic() - began)
                elif is_over(event.data):
                    last = event.data
        assert last["status"] == "completed", last
        seconds = time.monotonic() - began
        return Run(job_id, seconds, words[0], words[-1], last["chunks_total"])

    @property
    def stack(self) -> psutil.Process:
        """Whose children are the service, the workers and Redis."""
        return self.process.parent().parent()

    @property
    def memory_mb(self) -> float:
        """Memory that it holds now."""
        return float(self.process.memory_info().rss) / 1024**2

    @property
    def peak_mb(self) -> float:
        """The most memory that it ever held, or since `forget_peak`."""
        return self._status("VmHWM") / 1024

    def forget_peak(self) -> None:
        (self._files / "clear_refs").write_text("5")

    @property
    def _files(self) -> Path:
        return Path("/proc") / str(self.process.pid)

    def _status(self, name: str) -> float:
        lines = (self._files / "status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


@contextmanager
def running(*, workers: int = 0, **environment: str) -> Iterator[Service]:
    """Start it with some settings, which this process has too until the end; nothing is left of it.

    *workers*: processes that hear chunks; 0: as many as there are cores.
    """
    with (
        tempfile.TemporaryDirectory(prefix="transcribe-bench-") as folder,
        set_for_a_while({**_ENGINE, **environment, "TRANSCRIBE_DATA_DIR": folder}),
    ):
        options = {"--port": "0", "--data-dir": folder, "--workers": str(workers)}
        words = [TRANSCRIBE, "up", "--no-flower", *chain.from_iterable(options.items())]
        with psutil.Popen(words, stdout=subprocess.PIPE, text=True) as stack:
            try:
                url = re.search(r"http://[^\s;]+", stack.stdout.readline())
                assert url, "the stack did not start"
                yield Service(url.group(), _process(stack))
            finally:
                stack.terminate()
                stack.communicate()


@contextmanager
def set_for_a_while(environment: Mapping[str, str]) -> Iterator[None]:
    """Settings of this process and of those that it starts, until the end of the block."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    settings.cache_clear()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        settings.cache_clear()


def _process(stack: psutil.Process) -> psutil.Process:
    [main] = [one for one in stack.children() if "gunicorn" in one.cmdline()]
    [worker] = main.children()
    return worker
