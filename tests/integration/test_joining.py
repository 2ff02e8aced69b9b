"""OpenAI's own client, which waits too short a time and sends its recording again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Timer

import openai
import psutil
import pytest

from tests.integration.conftest import RunningStack, started, wait_until, write_sample
from transcribe_api.client import Client

pytestmark = [pytest.mark.processes, pytest.mark.own_stack, pytest.mark.sphinx]

#: Seconds that it waits for an answer; more than it takes to send the recording.
TIMEOUT = 3.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with started(tmp_path_factory.mktemp("joining"), CALLER_GRACE_SECONDS="10") as running:
        yield running


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(tmp_path_factory.mktemp("clip") / "clip.wav", seconds=6)


@contextmanager
def paused(stack: RunningStack) -> Iterator[None]:
    """Nothing is heard as long as the block lasts, or until `resume`."""
    for process in engine_of(stack):
        process.suspend()
    try:
        yield
    finally:
        resume(stack)


def resume(stack: RunningStack) -> None:
    for process in engine_of(stack):
        process.resume()


def engine_of(stack: RunningStack) -> list[psutil.Process]:
    return [one for main in stack.workers("asr.sphinx") for one in (main, *main.children())]


def ask(stack: RunningStack, recording: Path, retries: int) -> str:
    client = openai.OpenAI(
        base_url=f"{stack.url}/v1", api_key="any", timeout=TIMEOUT, max_retries=retries
    )
    with client, recording.open("rb") as file:
        return client.audio.transcriptions.create(file=file, model="whisper-1").text


def statuses(stack: RunningStack) -> list[str]:
    with Client(stack.url) as client:
        return [job["status"] for job in client.jobs()["jobs"]]


def test_a_client_that_gives_up_leaves_one_job_which_ends(stack: RunningStack, clip: Path):
    with paused(stack):
        with pytest.raises(openai.APITimeoutError):
            ask(stack, clip, retries=2)
        [status] = statuses(stack)
        assert status in ("queued", "processing")
        wait_until(lambda: statuses(stack) == ["cancelled"])


def test_a_client_that_tries_again_gets_the_transcript_of_its_job(stack: RunningStack, clip: Path):
    before = len(statuses(stack))
    with paused(stack):
        resumed = Timer(2 * TIMEOUT, resume, [stack])
        resumed.start()
        text = ask(stack, clip, retries=10)
        resumed.join()
    assert text
    assert statuses(stack)[0] == "completed"
    assert len(statuses(stack)) == before + 1
