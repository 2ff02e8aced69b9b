"""Every way in which a job can end: whoever asks or listens is told, and the next job is let in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from core.storage import layout
from tests.integration.conftest import SAMPLE, wait_until, write_sample
from tests.killing import kill_processes
from tests.receiver import Receiver, listening
from tests.recovery.gated import HEARD, GatedStack, gated_stack
from transcribe_api.client import Client, Event

pytestmark = pytest.mark.processes

JOBS = "/api/transcribe/jobs"
#: Words of a chunk, so that some chunks are merged for seconds.
WORDY = 5_000


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedStack]:
    """One job at a time, and one try for each part and stage."""
    settings = {
        "MAX_CONCURRENT_JOBS": "1",
        "CHUNK_MAX_RETRIES": "0",
        "OUTGOING_ALLOW": "127.0.0.0/8",
        # No recording is so long that it may turn out to be quiet: its first chunks go ahead.
        "MAX_RECORDING_SECONDS": "10800",
    }
    with gated_stack(tmp_path_factory.mktemp("endings"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with listening() as running:
        yield running


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two hours: to cut it takes seconds."""
    return write_sample(tmp_path_factory.mktemp("recording") / "long.wav", times=67)


@dataclass
class Job:
    """A job, one that waits until it is over, and who is told of it."""

    here: GatedStack
    client: Client
    receiver: Receiver
    job_id: str
    next_id: str
    events: Any

    @property
    def stage(self) -> str:
        """As the records have it."""
        return self._column("stage")

    def ends_as(self, status: str, *, code: str | None = None) -> dict[str, Any]:
        """Until everybody has heard that it is so; returns what REST says last."""
        *_, last = self.events.result(timeout=90)
        assert last.data["status"] == status
        wait_until(lambda: self._in_redis() == status)
        told = self.client.status(self.job_id)
        assert (told["status"], self._column("status")) == (status, status)
        assert (told["error"] or {}).get("code") == code
        wait_until(lambda: self._webhooks() == [f"job.{status}"])
        self.lets_the_next_in()
        wait_until(lambda: not self._column("lease_until"))
        return told

    def lets_the_next_in(self) -> None:
        wait_until(lambda: self.client.status(self.next_id)["status"] != "queued")

    def _in_redis(self) -> str | None:
        with self.here.redis() as server:
            told = server.get(f"job:{self.job_id}:status")
        return None if told is None else json.loads(told)["status"]

    def _webhooks(self) -> list[str]:
        sent = (json.loads(one.body) for one in self.receiver.requests)
        return [one["type"] for one in sent if one["data"]["job_id"] == self.job_id]

    def _column(self, name: str) -> Any:
        with closing(sqlite3.connect(self.here.stack.data_dir / "transcribe.db")) as records:
            query = f"SELECT {name} FROM job_runs WHERE job_id = ?"
            return records.execute(query, (self.job_id,)).fetchone()[0]

    def path(self, key: str) -> Path:
        return self.here.stack.data_dir / "objects" / key


@contextmanager
def submitted(
    here: GatedStack, client: Client, receiver: Receiver, recording: Path = SAMPLE
) -> Iterator[Job]:
    """A job that somebody listens to, with another one behind it."""

    def submit(path: Path, **more: str) -> str:
        told = client.submit(path, engine="gated", diarizer="none", **more)
        return str(told["job_id"])

    with ThreadPoolExecutor(1) as listeners:
        job_id = submit(recording, callback_url=f"{receiver.url}/told")
        events = listeners.submit(lambda: list[Event](client.events(job_id)))
        next_id = submit(SAMPLE)
        assert client.status(next_id)["status"] == "queued"
        made = Job(here, client, receiver, job_id, next_id, events)
        try:
            yield made
        finally:
            for one in {made.next_id, next_id, job_id}:
                httpx2.delete(f"{here.stack.url}{JOBS}/{one}", timeout=60)
            open_gate(here)


@pytest.fixture
def job(here: GatedStack, client: Client, receiver: Receiver) -> Iterator[Job]:
    """Some of its chunks are heard, two are in hand, and others wait."""
    here.gate.close(after=HEARD)
    with submitted(here, client, receiver) as made:
        here.gate.wait_until_in_hand(made.job_id, after=HEARD)
        yield made


def open_gate(here: GatedStack) -> None:
    if (here.gate.folder / "closed").exists():
        here.gate.open()


@contextmanager
def suspended(here: GatedStack, worker: str) -> Iterator[list[psutil.Process]]:
    """A worker stands still, with its pool, for as long as it lives and the block lasts."""
    processes = here.workers(worker)
    for process in processes:
        process.suspend()
    try:
        yield processes
    finally:
        for process in processes:
            if process.is_running():
                process.resume()


@pytest.fixture
def preparing(
    here: GatedStack, client: Client, receiver: Receiver, long: Path
) -> Iterator[tuple[Job, list[psutil.Process]]]:
    """A job that is cut, and chunks of which are in hand already; and those that cut it."""
    here.gate.close()
    with submitted(here, client, receiver, long) as made:
        here.gate.wait_until_in_hand(made.job_id)
        with suspended(here, "prepare") as workers:
            assert made.stage == "prepare"
            yield made, workers


@pytest.fixture
def merging(
    here: GatedStack, client: Client, receiver: Receiver
) -> Iterator[tuple[Job, list[psutil.Process]]]:
    """A job that is merged at this moment, and those that do it."""
    here.gate.close(after=HEARD)
    with here.gate.wordy(WORDY), submitted(here, client, receiver) as made:
        here.gate.wait_until_in_hand(made.job_id, after=HEARD)
        here.gate.open()
        while (stage := made.stage) != "merge":
            assert stage == "listen"
        with suspended(here, "control") as workers:
            assert made.stage == "merge"
            yield made, workers


def gaps(told: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in told["warnings"] if one["code"] == "chunk_failed"]


def test_completed(job: Job):
    job.here.gate.open()
    assert not gaps(job.ends_as("completed"))


def test_completed_with_a_gap(job: Job):
    last = job.client.status(job.job_id)["chunks_total"] - 1
    job.path(layout.chunk_audio(job.job_id, last)).unlink()
    job.here.gate.open()
    assert len(gaps(job.ends_as("completed"))) == 1


def test_failed_in_prepare(here: GatedStack, client: Client, receiver: Receiver):
    with suspended(here, "prepare"), submitted(here, client, receiver) as job:
        job.path(layout.source(job.job_id)).write_bytes(b"no sound" * 1000)
        for process in here.workers("prepare"):
            process.resume()
        assert job.ends_as("failed", code="media_unreadable")


def test_lost_with_every_worker_that_prepared_it(preparing):
    job, workers = preparing
    kill_processes(workers)
    job.ends_as("failed", code="worker_lost")
    wait_until(lambda: not job.here.messages(job.job_id))


def test_lost_with_every_worker_that_merged_it(merging):
    job, workers = merging
    kill_processes(workers)
    job.ends_as("failed", code="worker_lost")


def test_cancelled_while_it_waits_for_its_turn(job: Job):
    waiting = job.next_id
    job.next_id = job.client.submit(SAMPLE, engine="gated", diarizer="none")["job_id"]
    with ThreadPoolExecutor(1) as listeners:
        events = listeners.submit(lambda: list(job.client.events(waiting)))
        job.client.cancel(waiting)
        assert [event.data["status"] for event in events.result(timeout=90)][-1] == "cancelled"
    assert job.client.status(waiting)["status"] == "cancelled"
    job.here.gate.open()
    job.ends_as("completed")


def test_cancelled_while_it_is_cut(preparing):
    job, workers = preparing
    job.client.cancel(job.job_id)
    for process in workers:
        process.resume()
    job.ends_as("cancelled")
    wait_until(lambda: not job.here.messages(job.job_id))


def test_cancelled_while_it_is_heard(job: Job):
    job.client.cancel(job.job_id)
    job.ends_as("cancelled")
    wait_until(lambda: not job.here.messages(job.job_id))


def test_cancelled_while_it_is_merged(merging):
    job, workers = merging
    job.client.cancel(job.job_id)
    for process in workers:
        process.resume()
    job.ends_as("cancelled")


def test_deleted_while_it_is_heard(job: Job):
    """Who listens hears an end, and no webhook is sent: the caller knows."""
    assert httpx2.delete(f"{job.here.stack.url}{JOBS}/{job.job_id}").status_code == 204
    *_, last = job.events.result(timeout=90)
    assert last.data["status"] == "cancelled"
    assert httpx2.get(f"{job.here.stack.url}{JOBS}/status/{job.job_id}").status_code == 404
    job.here.gate.open()
    job.lets_the_next_in()
    assert job._webhooks() == []
    with job.here.redis() as server:
        assert not server.exists(f"job:{job.job_id}:status")
