"""A worker that is told to end in mid-job: nothing is lost, and nothing is done twice in vain."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.integration.conftest import SAMPLE, RunningStack, started, wait_until, write_sample
from tests.recovery import heavy
from transcribe_api.client import Client

pytestmark = pytest.mark.processes


@contextmanager
def another_worker(stack: RunningStack, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """A plain Celery worker beside those of the stack."""
    with (stack.data_dir / "second.log").open("w") as output:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "celery", "-q", "-A", "tasks", "worker", "-l", "INFO"),
                *("-Q", "asr.heavy", "-c", "1", "-n", "second@%h", "--without-mingle"),
            ],
            env=stack.environment | settings, cwd=SAMPLE.parents[1], stdout=output, stderr=output,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize(("seconds", "is_cut_off"), [("60", False), ("1", True)])
def test_a_worker_that_ends_leaves_its_work_to_others(
    tmp_path: Path, seconds: str, is_cut_off: bool
):
    package, data_dir = tmp_path / "package", tmp_path / "data"
    recording = write_sample(tmp_path / "sample.wav")
    # The leases are shorter than a chunk, so somebody must show that it is still in good hands.
    chunk = {"SECONDS_A_CHUNK": "600" if is_cut_off else "8", "LEASE_SECONDS": "3"}
    settings = heavy.install(package, SHUTDOWN_SECONDS=seconds, **chunk)
    with (
        started(data_dir, "--workers", "1", "--no-flower", **settings) as stack,
        Client(stack.url) as client,
        another_worker(stack, **settings) as second,
    ):
        wait_until(lambda: "ready" in (data_dir / "second.log").read_text())
        job_id = client.submit(recording, engine="heavy", diarizer="none")["job_id"]
        wait_until(lambda: len(heavy.chunks_heard(package)) == 2)
        second.terminate()
        second.wait(90)
        (package / "heard" / "hurry").touch()
        *_, last = client.events(job_id)
        assert (last.data["status"], last.data["warnings"]) == ("completed", [])
        with closing(sqlite3.connect(data_dir / "transcribe.db")) as records:
            attempts = [one for (one,) in records.execute("SELECT attempts FROM job_parts")]
    begun = sum(heavy.chunks_heard(package).values())
    assert begun == len(attempts) + is_cut_off
    assert set(attempts) == {1}, "what was begun in vain does not count"
