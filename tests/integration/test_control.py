"""Jobs are cancelled, tried again and deleted, also while they run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from tests.integration.conftest import SAMPLE, RunningStack, started, wait_until, write_sample
from transcribe_api.client import Client, ServiceError

pytestmark = pytest.mark.processes

BASE = "/api/transcribe/jobs"
ROOT = Path(__file__).resolve().parents[2]


def listening(client: Client) -> str:
    """A job of which some chunks are heard and some are not."""
    job_id = client.submit(SAMPLE)["job_id"]
    next(event for event in client.events(job_id) if event.name == "segment")
    return job_id


@pytest.mark.lengthy
def test_a_cancelled_job_stops_and_a_retry_goes_on_where_it_was(stack: RunningStack, client):
    job_id = listening(client)
    told = httpx2.post(f"{stack.url}{BASE}/{job_id}/cancel").json()
    assert told["status"] == "cancelled"
    assert told["chunks_done"] < told["chunks_total"]
    again = httpx2.post(f"{stack.url}{BASE}/{job_id}/cancel")
    assert (again.status_code, again.json()["job_status"]) == (409, "cancelled")
    *_, last = client.events(job_id)
    assert last.data["status"] == "cancelled"

    before = client.status(job_id)["chunks_done"]
    retried = httpx2.post(f"{stack.url}{BASE}/{job_id}/retry")
    assert retried.status_code == 202
    assert retried.json()["chunks_done"] >= before
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    assert {one["speaker_tag"] for one in client.result(job_id)["segments"]} == {0, 1}

    nothing_left = httpx2.post(f"{stack.url}{BASE}/{job_id}/retry")
    assert (nothing_left.status_code, nothing_left.json()["job_status"]) == (409, "completed")


def test_speakers_are_looked_for_again_and_no_word_is_heard_again(
    stack: RunningStack, client, beginning: Path
):
    job_id = client.submit(beginning)["job_id"]
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    words = " ".join(one["text"] for one in client.result(job_id)["segments"])
    folder = stack.data_dir / "objects" / "jobs" / job_id / "parts"
    heard = {path: path.stat().st_mtime_ns for path in folder.glob("chunk*")}

    told = client.retry(job_id, "diarize", max_speakers=1)
    assert (told["stage"], told["chunks_done"], told["shards_done"]) == ("listen", len(heard), 0)
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    assert heard == {path: path.stat().st_mtime_ns for path in folder.glob("chunk*")}
    again = client.result(job_id)["segments"]
    assert {one["speaker_tag"] for one in again} == {0}
    assert " ".join(one["text"] for one in again) == words

    client.retry(job_id, "merge")
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    assert client.result(job_id)["segments"] == again
    with pytest.raises(ServiceError, match="allowed: transcribe, diarize, merge") as refused:
        client.retry(job_id, "listen")
    assert refused.value.status == 422


@pytest.mark.sphinx
@pytest.mark.own_stack
def test_what_is_in_hand_of_a_cancelled_job_stops_in_the_middle(tmp_path: Path, beginning: Path):
    """A chunk of ten minutes, which would be heard for minutes more than a test waits."""
    with started(tmp_path / "data", CHUNK_DURATION="600") as stack, Client(stack.url) as client:
        job_id = client.submit(write_sample(tmp_path / "long.wav", times=12))["job_id"]
        next(one for one in client.events(job_id) if one.data.get("stage") == "listen")
        worker = asking(stack)
        wait_until(lambda: "transcribe_chunk" in worker())
        before = {child.pid for main in stack.workers("asr.sphinx") for child in main.children()}
        httpx2.post(f"{stack.url}{BASE}/{job_id}/cancel")
        wait_until(lambda: "transcribe_chunk" not in worker())
        after = {child.pid for main in stack.workers("asr.sphinx") for child in main.children()}
        assert before - after, "the process that heard it was ended"

        job_id = client.submit(beginning)["job_id"]
        *_, last = client.events(job_id)
        assert last.data["status"] == "completed", "and another took its place"


def asking(stack: RunningStack) -> Callable[[], str]:
    """What the stack's workers have in hand, as ``celery inspect`` tells."""
    command = (sys.executable, "-m", "celery", "-A", "tasks", "inspect", "active", "--json")
    return lambda: (
        subprocess.run(
            command, env=stack.environment, cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout
    )


def test_a_job_that_waits_for_an_engine_can_be_cancelled(stack: RunningStack, client):
    job_id = client.submit(SAMPLE, engine="whisperx", diarizer="none")["job_id"]
    assert httpx2.post(f"{stack.url}{BASE}/{job_id}/cancel").status_code == 200
    assert client.status(job_id)["status"] == "cancelled"


def test_a_running_job_is_not_tried_again(stack: RunningStack, client):
    job_id = listening(client)
    answer = httpx2.post(f"{stack.url}{BASE}/{job_id}/retry")
    assert (answer.status_code, answer.json()["job_status"]) == (409, "processing")
    httpx2.delete(f"{stack.url}{BASE}/{job_id}")


@pytest.mark.lengthy
def test_a_job_deleted_while_it_runs_leaves_nothing(stack: RunningStack, client, beginning: Path):
    job_id = listening(client)
    assert httpx2.delete(f"{stack.url}{BASE}/{job_id}").status_code == 204
    for path in ("status", "stream", "result"):
        assert httpx2.get(f"{stack.url}{BASE}/{path}/{job_id}").status_code == 404
    assert httpx2.delete(f"{stack.url}{BASE}/{job_id}").status_code == 404

    # What was in hand was ended; what it may have written meanwhile is removed again.
    follower = client.submit(beginning, priority="low")["job_id"]
    *_, last = client.events(follower)
    assert last.data["status"] == "completed"
    folder = stack.data_dir / "objects" / "jobs" / job_id
    wait_until(lambda: not folder.exists())


@pytest.mark.sphinx
@pytest.mark.parametrize("engine", ["asr", "whisperx"])
def test_every_engine_has_an_address_of_its_own(stack: RunningStack, client, engine: str):
    with SAMPLE.open("rb") as file:
        answer = httpx2.post(
            f"{stack.url}{BASE}/transcribe/{engine}",
            files={"file": ("a.flac", file)},
            data={"language": "en", "engine": "sphinx"},
        )
    assert answer.status_code == 202
    assert answer.json()["engine"] == engine
    assert "warnings" in answer.json()
    httpx2.delete(f"{stack.url}{BASE}/{answer.json()['job_id']}")
