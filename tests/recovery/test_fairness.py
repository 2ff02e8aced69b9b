"""Who is heard first, with real workers: seen in the order in which chunks are begun."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.integration.conftest import wait_until, write_sample
from tests.recovery.gated import PROCESSES, GatedStack
from transcribe_api.client import Client

pytestmark = pytest.mark.processes

#: The classes of `core.jobs.priorities` that the recordings below fall into.
SHORT_AND_HIGH, SHORT, LONG = 0, 2, 4


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of more than 500 chunks."""
    return write_sample(tmp_path_factory.mktemp("long") / "long.wav", times=27)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("short") / "short.wav", seconds=30)


@pytest.fixture
def behind(here: GatedStack, client: Client, long: Path) -> Iterator[str]:
    """A job that has every process busy, and all the rest of its chunks waiting."""
    here.gate.close()
    job_id = submit(client, long)
    here.gate.wait_until_in_hand(job_id)
    wait_until(lambda: client.status(job_id)["stage"] == "listen")
    chunks = client.status(job_id)["chunks_total"]
    assert chunks > 500
    wait_until(lambda: here.waiting(LONG) == chunks - PROCESSES)
    yield job_id
    httpx2.delete(f"{here.stack.url}/api/transcribe/jobs/{job_id}")


def submit(client: Client, recording: Path, **options: str) -> str:
    told = client.submit(recording, engine="gated", diarizer="none", **options)
    return str(told["job_id"])


@pytest.mark.parametrize(("priority", "level"), [("high", SHORT_AND_HIGH), ("normal", SHORT)])
def test_a_short_job_waits_for_no_chunk_of_a_long_one_but_those_in_hand(
    here: GatedStack, client: Client, behind: str, short: Path, priority: str, level: int
):
    job_id = submit(client, short, priority=priority)
    wait_until(lambda: client.status(job_id)["chunks_total"] == here.waiting(level) > 1)
    submitted = len(here.gate.begun())
    here.gate.open()
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    assert client.status(behind)["status"] == "processing"

    begun = here.gate.begun()[submitted:]
    assert begun[0] == job_id, "it has the first process that is free"
    end = max(place for place, job in enumerate(begun) if job == job_id)
    # Processes that become free at the same time may write their lines in either order.
    assert begun[:end].count(behind) < PROCESSES


def test_a_cancelled_job_frees_workers_and_queues(
    here: GatedStack, client: Client, behind: str, short: Path
):
    job_id = submit(client, short, priority="low")
    wait_until(lambda: client.status(job_id)["chunks_total"] == here.waiting(7) > 1)
    waiting = here.waiting(7)
    assert client.status(job_id)["queue_position"] == 1
    httpx2.post(f"{here.stack.url}/api/transcribe/jobs/{behind}/cancel")
    wait_until(lambda: here.waiting(LONG) == 0)
    wait_until(lambda: job_id in here.gate.begun())
    assert here.gate.begun().count(behind) == PROCESSES, "no other chunk of it was ever begun"
    assert waiting - here.waiting(7) == PROCESSES
    here.gate.open()
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
