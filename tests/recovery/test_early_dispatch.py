"""Chunks that are heard before all are cut: none is lost or heard twice, whatever happens then."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import wait_until, write_sample
from tests.killing import kill_processes
from tests.recovery.gated import PROCESSES, QUEUE, GatedStack, gated_stack
from transcribe_api.client import Client

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatedStack]:
    """No recording may last three hours, so that one is known soon not to be a quiet one."""
    settings = {"MAX_RECORDING_SECONDS": "10800", "CHUNK_DURATION": "30"}
    with gated_stack(tmp_path_factory.mktemp("ahead"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two hours: to cut it takes fifty times as long as until its first chunks are heard."""
    return write_sample(tmp_path_factory.mktemp("recording") / "long.wav", times=67)


@pytest.fixture
def ahead(here: GatedStack, client: Client, recording: Path) -> Iterator[str]:
    """A job that is still being cut, and of which every process has a chunk in hand."""
    here.gate.close()
    job_id = str(client.submit(recording, engine="gated", diarizer="none")["job_id"])
    here.gate.wait_until_in_hand(job_id)
    for process in here.stack.workers("prepare"):
        process.suspend()
    try:
        assert client.status(job_id)["stage"] == "prepare"
        yield job_id
    finally:
        go_on(here)


def go_on(here: GatedStack) -> None:
    for process in here.stack.workers("prepare"):
        process.resume()


def completed(client: Client, job_id: str) -> list[str]:
    """The chunks that were heard, in the order of the transcript."""
    wait_until(lambda: client.status(job_id)["status"] not in ("queued", "processing"))
    told = client.result(job_id)
    assert not any(warning["retryable"] for warning in told["warnings"])
    return [word["word"] for segment in told["segments"] for word in segment["words"]]


def test_what_is_in_hand_when_all_is_cut_ends_the_job(here, client, ahead):
    """The chord is done before the chunks that were sent ahead of it are."""
    go_on(here)
    wait_until(lambda: client.status(ahead)["stage"] == "listen")
    here.gate.open()
    chunks = client.status(ahead)["chunks_total"]
    assert completed(client, ahead) == [f"chunk_{number:04}" for number in range(chunks)]
    assert here.attempts(ahead) == [1] * chunks


def test_words_are_read_while_the_recording_is_still_cut(here, client, ahead):
    here.gate.open()
    wait_until(lambda: client.status(ahead)["chunks_done"] >= PROCESSES)
    first = next(event for event in client.events(ahead) if event.name == "segment")
    assert first.data["chunk"] == 0
    assert client.status(ahead)["stage"] == "prepare"
    go_on(here)
    assert len(completed(client, ahead)) == client.status(ahead)["chunks_total"]


def test_whoever_cuts_it_may_be_killed(here, client, ahead):
    kill_processes(here.stack.workers("prepare"))
    here.gate.open()
    heard = completed(client, ahead)
    assert heard == [f"chunk_{number:04}" for number in range(len(heard))]
    assert len(heard) == client.status(ahead)["chunks_total"]
    assert set(here.attempts(ahead)) == {1}, "what was heard ahead is not heard again"


def test_whoever_hears_may_be_killed(here, client, ahead):
    kill_processes(here.stack.workers(QUEUE))
    here.gate.open()
    go_on(here)
    assert len(completed(client, ahead)) == client.status(ahead)["chunks_total"]
    assert sum(attempts := here.attempts(ahead)) - len(attempts) <= PROCESSES


def test_a_cancel_takes_back_what_was_sent_ahead(here, client, ahead):
    client.cancel(ahead)
    go_on(here)
    here.gate.open()
    wait_until(lambda: not any(here.waiting(priority) for priority in range(10)))
    assert client.status(ahead)["status"] == "cancelled"
    wait_until(lambda: not list(here.stack.data_dir.rglob("prepare-*")))
