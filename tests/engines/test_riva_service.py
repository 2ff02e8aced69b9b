"""Riva as the service knows it: a worker on a machine of its own, a server that comes and goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import jiwer
import psutil
import pytest

pytest.importorskip(
    "riva.client", reason="Riva's client is not installed: pip install -e '.[riva]'"
)

from tests.engines.riva_server import Server
from tests.engines.riva_server import riva as running
from tests.engines.workers import available, loaded, worker
from tests.integration.conftest import SAMPLE, RunningStack, command_of, started, wait_until
from transcribe_api.client import Client, ServiceError

pytestmark = pytest.mark.processes

QUEUES = "asr.asr,diarize.riva"


@pytest.fixture(scope="class")
def server() -> Iterator[Server]:
    with running() as ours:
        yield ours


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A service whose own machine has no client of Riva, as the API of a larger installation."""
    without = tmp_path_factory.mktemp("without")
    (without / "riva.py").write_text("raise ImportError('not on this machine')\n")
    with started(tmp_path_factory.mktemp("stack"), PYTHONPATH=str(without)) as service:
        assert service.workers("asr.asr") == []
        yield service


def riva_worker(
    stack: RunningStack, uri: str, **settings: str
) -> AbstractContextManager[psutil.Process]:
    # The stand-in is no GPU.
    return worker(stack, QUEUES, processes=2, RIVA_URI=uri, RIVA_TIMEOUT="600", **settings)


def finished(client: Client, job_id: str) -> dict[str, Any]:
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed", last.data
    result = client.result(job_id)
    assert result["warnings"] == []
    return result


def test_the_engine_is_there_when_worker_and_server_are(stack: RunningStack):
    assert not available(stack, "asr")
    with running() as first, riva_worker(stack, first.uri):
        wait_until(lambda: available(stack, "asr"))
        first.end()
        wait_until(lambda: not available(stack, "asr"))
        with running(port=first.port):
            wait_until(lambda: available(stack, "asr"))
    assert not available(stack, "asr")


@pytest.fixture(scope="class")
def served(stack: RunningStack, server: Server) -> Iterator[psutil.Process]:
    with riva_worker(stack, server.uri) as process:
        wait_until(lambda: available(stack, "asr"))
        yield process


@pytest.fixture(scope="class")
def job(stack: RunningStack, server: Server, served: psutil.Process) -> dict[str, Any]:
    """The sample conversation as Riva heard it, with speakers by Riva too."""
    with Client(stack.url) as client:
        context = httpx2.post(
            f"{stack.url}/api/transcribe/contexts",
            json={"name": "radio", "terms": [{"phrase": "weather report", "boost": 20.0}]},
        ).json()
        options = {"diarizer": "riva", "max_speakers": 2, "context_id": context["context_id"]}
        return finished(client, client.submit(SAMPLE, engine="asr", **options)["job_id"])


class TestJob:
    """A worker serves, and a job is given to it."""

    def test_a_job_has_words_times_and_speakers(self, job: dict[str, Any]):
        words = [word for segment in job["segments"] for word in segment["words"]]
        heard = " ".join(word["word"] for word in words).lower().replace(".", "")
        spoken = " ".join(SAMPLE.with_suffix(".txt").read_text().split())
        assert jiwer.wer(spoken, heard) <= 0.25
        assert [word["start"] for word in words] == sorted(word["start"] for word in words)
        assert 0.5 <= words[0]["start"] <= 0.8
        assert 100 <= words[-1]["end"] <= job["duration"]
        assert all(0 < word["confidence"] <= 1 for word in words)
        assert {segment["speaker_tag"] for segment in job["segments"]} == {0, 1}
        assert job["language"] == "en-US"
        assert job["segments"][0]["text"].startswith("Good morning")

    def test_the_speakers_are_who_they_are(self, job: dict[str, Any]):
        """Nearly every word lies in a turn of the speaker that it was given to."""
        turns = [line.split() for line in SAMPLE.with_suffix(".rttm").read_text().splitlines()]
        words = [word for segment in job["segments"] for word in segment["words"]]
        right = 0
        for word in words:
            middle = (word["start"] + word["end"]) / 2
            names = [turn[7] for turn in turns if 0 <= middle - float(turn[3]) <= float(turn[4])]
            right += names == [("anna", "robert")[word["speaker_tag"]]]
        assert right / len(words) >= 0.9

    def test_the_terms_of_the_context_are_expected_in_every_chunk(self, job, server: Server):
        asked = [call["phrases"] for call in server.calls if not call["diarize"]]
        assert len(asked) > 1
        assert asked == [{"weather report": 20.0}] * len(asked)

    def test_the_worker_loads_nothing_that_it_does_not_need(self, job, served: psutil.Process):
        pool = [
            one for one in served.children() if "tasks.worker.engine_health" not in command_of(one)
        ]
        assert len(pool) == 2
        assert set().union(*map(loaded, pool)) == {"grpc"}
        assert loaded(served) == set(), "it forks"

    def test_a_language_that_the_server_has_not_is_refused_at_once(
        self, served, stack: RunningStack
    ):
        with Client(stack.url) as client, pytest.raises(ServiceError, match=r"fr-FR.*but en-US"):
            client.submit(SAMPLE, engine="asr", language="fr-FR")


def test_a_server_that_dies_in_the_middle_of_a_job_loses_nothing(stack: RunningStack):
    """However often it is asked in vain: that takes no try from what fails after it is back."""
    with (
        running() as first,
        riva_worker(stack, first.uri, CHUNK_MAX_RETRIES="1"),
        Client(stack.url) as client,
    ):
        wait_until(lambda: available(stack, "asr"))
        first.meets("slow:600")
        first.meets("slow:600")
        job_id = client.submit(SAMPLE, engine="asr", diarizer="none")["job_id"]
        wait_until(lambda: len(first.calls) == 2)
        chunks = client.status(job_id)["chunks_total"]
        first.end()
        wait_until(lambda: "retry: Riva does not answer" in client.status(job_id)["message"])
        wait_until(lambda: tried_again(stack, job_id) > 2 * chunks)
        with running(port=first.port) as second:
            second.meets("ABORTED:a hiccup")
            result = finished(client, job_id)
            assert len(second.calls) == chunks + 1
    assert len(result["segments"]) > 5


def tried_again(stack: RunningStack, job_id: str) -> int:
    """How often parts of the job were put off so far."""
    lines = (stack.data_dir / f"{QUEUES}-by-hand.log").read_text().splitlines()
    return sum("step is tried again" in line and job_id in line for line in lines)


def test_checkups_end_with_their_worker(stack: RunningStack):
    with running() as server, riva_worker(stack, server.uri) as process:
        wait_until(lambda: available(stack, "asr"))
        (asking,) = [
            one for one in process.children() if "tasks.worker.engine_health" in command_of(one)
        ]
        process.kill()
        wait_until(lambda: not asking.is_running())
