"""Listeners whose connections, or whose Redis, are lost in the middle hear every chunk once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import httpx2
import pytest
import redis

from tests.integration.conftest import RunningStack, another_api, started, write_sample
from transcribe_api.client import Client, is_over

pytestmark = [pytest.mark.processes, pytest.mark.own_stack]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One that cuts the sample into many chunks."""
    folder = tmp_path_factory.mktemp("streams")
    with started(folder, CHUNK_DURATION="5", MIN_SILENCE_DURATION="0.1") as running:
        yield running


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 40 s of the sample."""
    return write_sample(tmp_path_factory.mktemp("recording") / "beginning.wav", seconds=40)


def heard_in_pieces(job_id: str, *urls: str, pieces: int = 1000) -> tuple[list[int], str, dict]:
    """Hang up after every chunk and come again, to the next address; at most so often."""
    told: list[int] = []
    last_id, state = "", {"status": "queued"}
    for url in islice(cycle(urls), pieces):
        with Client(url) as client:
            for event in client.events(job_id, last_id):
                last_id = event.id
                if event.name == "segment":
                    told.append(event.data["chunk"])
                    break
                state = event.data
        if is_over(state):
            break
    return told, last_id, state


def all_chunks(state: dict) -> list[int]:
    assert state["status"] == "completed"
    assert state["chunks_total"] > 5, "the recording must be cut into many chunks"
    return list(range(state["chunks_total"]))


def test_who_hangs_up_after_every_chunk_hears_each_once(client, stack, recording: Path):
    job_id = client.submit(recording, diarizer="none")["job_id"]
    told, _, state = heard_in_pieces(job_id, stack.url)
    assert sorted(told) == all_chunks(state)


def test_who_comes_again_to_another_process_hears_each_once(client, stack, recording: Path):
    with another_api(stack) as other:
        job_id = client.submit(recording, diarizer="none")["job_id"]
        told, _, state = heard_in_pieces(job_id, stack.url, other)
    assert sorted(told) == all_chunks(state)


def test_a_redis_that_is_emptied_in_the_middle_takes_nothing_away(client, stack, recording: Path):
    job_id = client.submit(recording, diarizer="none")["job_id"]
    before, last_id, _ = heard_in_pieces(job_id, stack.url, pieces=3)
    socket = stack.data_dir / "redis.sock"
    with redis.Redis.from_url(f"unix://{socket}") as server:
        server.flushall()
    events = list(client.events(job_id, last_id))
    after = [event.data["chunk"] for event in events if event.name == "segment"]
    chunks = all_chunks(events[-1].data)
    assert sorted(before + after) == chunks

    with redis.Redis.from_url(f"unix://{socket}") as server:
        server.flushall()
    everything = httpx2.get(f"{stack.url}/api/transcribe/jobs/stream/{job_id}").text
    assert sorted(chunks_in(everything)) == chunks, "who comes later is told all, from storage"


def chunks_in(stream: str) -> list[int]:
    return [int(number) for number in re.findall(r'^data: {"chunk": (\d+)', stream, re.MULTILINE)]
