"""Ctrl-C and SIGTERM at any moment: the exit code is that of an interruption, and nothing is left.

The moments follow from seeds, and are not those of a clock: something has just come to be there.
"""

from __future__ import annotations

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import (
    TRANSCRIBE,
    clean_environment,
    marked,
    started,
    wait_until,
    write_sample,
)
from transcribe_api.client import Client

pytestmark = pytest.mark.processes

#: What comes to be in the scratch folder of a command, one after the other.
MOMENTS = {
    "it begins": "transcribe-*",
    "its stack has a lock": "transcribe-*/stack.lock",
    "it has a database": "transcribe-*/transcribe.db",
    "its workers start": "transcribe-*/logs/prepare.log",
    "its stack is there": "transcribe-*/stack.json",
    "the file is sent": "transcribe-*/objects/jobs/*/source",
    "something is heard": "transcribe-*/objects/jobs/*/parts/chunk_*.json",
}
KINDS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of which there is much to be heard yet when the first of it is."""
    return write_sample(tmp_path_factory.mktemp("long") / "long.wav", times=2)


@contextmanager
def busy_machine() -> Iterator[None]:
    """Somebody else computes on every core."""
    others = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(4)]
    try:
        yield
    finally:
        for one in others:
            one.kill()
            one.wait()


def of_command(folder: Path) -> list[psutil.Process]:
    """Processes that have their temporary files there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("TMPDIR") == str(folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("moment", MOMENTS)
def test_an_interrupted_command_leaves_nothing(tmp_path: Path, long: Path, moment: str, seed: int):
    chosen = random.Random(f"{moment} {seed}")
    signals = chosen.choices(KINDS, k=chosen.choice([1, 2, 5]))
    folder = tmp_path / "tmp"
    folder.mkdir()
    with busy_machine():
        command = subprocess.Popen(
            [TRANSCRIBE, long, "-o", tmp_path / "out"],
            env=clean_environment(TMPDIR=str(folder)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        try:
            wait_until(lambda: list(folder.glob(MOMENTS[moment])))
        finally:
            for one in signals:
                command.send_signal(one)
            said, _ = command.communicate(timeout=180)
    assert command.returncode == 130, said
    assert "Traceback" not in said
    assert of_command(folder) == []
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_stack_that_goes_on_after_a_kill_ends_when_it_is_told_to(
    tmp_path: Path, long: Path, kind: signal.Signals
):
    """In the middle of a job that it took over."""
    data_dir = tmp_path / "data"
    with started(data_dir) as first:
        with Client(first.url) as client:
            job_id = client.submit(long)["job_id"]
            next(event for event in client.events(job_id) if event.name == "segment")
        first.process.kill()
        first.process.wait()
        with busy_machine(), started(data_dir) as second:
            with Client(second.url) as client:
                next(event for event in client.events(job_id) if event.name == "segment")
            left = second.processes()
            second.process.send_signal(kind)
            second.process.send_signal(signal.SIGINT)
            assert second.process.wait(180) == 0
            assert not any(one.is_running() for one in left)
    assert marked(data_dir) == []
    assert not (data_dir / "stack.json").exists()
