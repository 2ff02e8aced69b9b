"""Memory is short: models are loaded only where they fit, and nothing is lost by that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import RunningStack, started, write_sample
from tests.recovery import heavy
from transcribe_api.client import Client

pytestmark = pytest.mark.processes

#: Fits one model beside a process without one.
BUDGET_MB = 640


class Sampled:
    """What the pool processes of some workers took together, twenty times a second."""

    def __init__(self, stack: RunningStack) -> None:
        self._mains = [one for name in heavy.NAMES for one in stack.workers(f"asr.{name}")]
        self.most_mb = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.05):
            with suppress(psutil.Error):  # one of them has ended just now
                pools = [child for main in self._mains for child in main.children()]
                self.most_mb = max(self.most_mb, sum(map(_resident_mb, pools)))


def _resident_mb(process: psutil.Process) -> float:
    with suppress(psutil.Error):
        # Alone: what was there before the fork is shared.
        found = process.memory_full_info()
        return float(found.uss) / 1024**2
    return 0.0


@contextmanager
def a_stack(folder: Path, **settings: str) -> Iterator[RunningStack]:
    environment = heavy.install(
        folder / "package", **{"MAX_MEMORY_GB": str(BUDGET_MB / 1024)} | settings
    )
    with started(folder / "data", "--workers", "2", "--no-flower", **environment) as stack:
        yield stack


def _end(client: Client, job_id: str) -> dict:
    *_, last = client.events(job_id)
    return last.data


def test_two_jobs_share_the_one_model_that_fits(tmp_path: Path):
    recording = write_sample(tmp_path / "long.wav", times=6)
    with a_stack(tmp_path) as stack, Client(stack.url) as client:
        sampled = Sampled(stack)
        with sampled.watching():
            jobs = [client.submit(recording, engine="heavy", diarizer="none") for _ in range(2)]
            ends = [_end(client, job["job_id"]) for job in jobs]
    assert [end["status"] for end in ends] == ["completed", "completed"]
    assert [end["warnings"] for end in ends] == [[], []]
    assert heavy.MODEL_MB < sampled.most_mb < BUDGET_MB
    heard = heavy.chunks_heard(tmp_path / "package")
    assert len(heard) == 1, "the other process let it have all of the work"
    assert sum(heard.values()) == sum(end["chunks_total"] for end in ends)


def test_an_idle_model_makes_way_for_another(tmp_path: Path):
    recording = write_sample(tmp_path / "short.wav")
    with a_stack(tmp_path) as stack, Client(stack.url) as client:
        sampled = Sampled(stack)
        with sampled.watching():
            for name in (*heavy.NAMES, *heavy.NAMES):
                end = _end(client, client.submit(recording, engine=name, diarizer="none")["job_id"])
                assert (end["status"], end["warnings"]) == ("completed", [])
    assert sampled.most_mb < BUDGET_MB


def test_a_model_that_never_fits_fails_with_a_reason(tmp_path: Path):
    recording = write_sample(tmp_path / "short.wav", seconds=5)
    with a_stack(tmp_path, MAX_MEMORY_GB="0.4") as stack, Client(stack.url) as client:
        end = _end(client, client.submit(recording, engine="heavy", diarizer="none")["job_id"])
    assert end["status"] == "failed"
    assert "heavy needs 0.4 GiB of memory" in end["message"]
    assert "MAX_MEMORY_GB" in end["message"]
