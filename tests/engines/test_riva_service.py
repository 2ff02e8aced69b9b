"""Riva as the service knows it: a worker on a machine of its own, a server that comes and goes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import jiwer
import psutil
import pytest

pytest.importorskip(
    "riva.client", reason="Riva's client is not installed: pip install 'transcribe[riva]'"
)

from tests.engines.riva_server import Server
from tests.engines.riva_server import riva as running
from tests.integration.conftest import SAMPLE, RunningStack, started, wait_until
from transcribe_api.client import Client, ServiceError

pytestmark = pytest.mark.processes

#: What such a worker has no use for.
HEAVY = ("torch", "numpy", "sklearn", "pocketsphinx", "flask")


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


@contextmanager
def worker(stack: RunningStack, uri: str) -> Iterator[psutil.Process]:
    """A worker as an operator starts one, until the block ends."""
    log = stack.data_dir / "riva.log"
    with log.open("ab") as file:
        process = psutil.Popen(
            [
                *(sys.executable, "-m", "celery", "-A", "tasks", "worker"),
                *("-Q", "asr.asr,diarize.riva", "-n", "riva@%h", "-c", "2"),
            ],
            env={
                **stack.environment,
                "RIVA_URI": uri,
                "RIVA_TIMEOUT": "600",  # the stand-in is no GPU
                # Marked, so that whatever is left of it ends with the stack.
                "TRANSCRIBE_STACK": str(stack.data_dir),
            },
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).resolve().parents[2],
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def available(stack: RunningStack) -> bool:
    told = httpx2.get(f"{stack.url}/api/transcribe/jobs/engines").json()
    return bool(told["engines"]["asr"]["available"])


def finished(client: Client, job_id: str) -> dict[str, Any]:
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed", last.data
    result = client.result(job_id)
    assert result["warnings"] == []
    return result


def test_the_engine_is_there_when_worker_and_server_are(stack: RunningStack):
    assert not available(stack)
    with running() as first, worker(stack, first.uri):
        wait_until(lambda: available(stack))
        first.end()
        wait_until(lambda: not available(stack))
        with running(port=first.port):
            wait_until(lambda: available(stack))
    assert not available(stack)


@pytest.fixture(scope="class")
def served(stack: RunningStack, server: Server) -> Iterator[psutil.Process]:
    with worker(stack, server.uri) as process:
        wait_until(lambda: available(stack))
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
        pool = [one for one in served.children() if "tasks.checkup" not in one.cmdline()]
        assert len(pool) == 2
        for process in [served, *pool]:
            files = {mapped.path for mapped in process.memory_maps()}
            assert [path for path in files if any(f"/{name}/" in path for name in HEAVY)] == []
        assert any("/grpc/" in mapped.path for one in pool for mapped in one.memory_maps())
        assert not any("/grpc/" in mapped.path for mapped in served.memory_maps()), "it forks"

    def test_a_language_that_the_server_has_not_is_refused_at_once(
        self, served, stack: RunningStack
    ):
        with Client(stack.url) as client, pytest.raises(ServiceError, match=r"fr-FR.*but en-US"):
            client.submit(SAMPLE, engine="asr", language="fr-FR")


def test_a_server_that_dies_in_the_middle_of_a_job_loses_nothing(stack: RunningStack):
    with running() as first, worker(stack, first.uri), Client(stack.url) as client:
        wait_until(lambda: available(stack))
        first.meets("slow:600")
        first.meets("slow:600")
        job_id = client.submit(SAMPLE, engine="asr", diarizer="none")["job_id"]
        wait_until(lambda: len(first.calls) == 2)
        first.end()
        with running(port=first.port) as second:
            result = finished(client, job_id)
            assert len(second.calls) == client.status(job_id)["chunks_total"]
    assert len(result["segments"]) > 5


def test_checkups_end_with_their_worker(stack: RunningStack):
    with running() as server, worker(stack, server.uri) as process:
        wait_until(lambda: available(stack))
        (asking,) = [one for one in process.children() if "tasks.checkup" in one.cmdline()]
        process.kill()
        wait_until(lambda: not asking.is_running())
