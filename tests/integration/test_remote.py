"""WhisperX on another machine: one whole stack sends its chunks to another one's ``/v1``."""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.integration.conftest import RunningStack, started, wait_until, write_sample
from transcribe_api.client import Client

SECONDS = 12


def engine(url: str) -> dict:
    return httpx2.get(f"{url}/api/transcribe/jobs/engines").json()["engines"]["whisperx"]


@pytest.mark.sphinx
@pytest.mark.processes
@pytest.mark.own_stack
def test_a_stack_without_a_model_has_another_one_hear(stack: RunningStack, tmp_path: Path):
    clip = write_sample(tmp_path / "clip.wav", seconds=SECONDS)
    settings = {"WHISPERX_SERVICE_URL": stack.url, "WHISPERX_DEFAULT_MODEL": "sphinx"}
    with started(tmp_path / "near", "--no-flower", **settings) as near:
        wait_until(lambda: engine(near.url)["available"])
        assert "sphinx" in engine(near.url)["available_models"]
        wanted = {"language": "en", "enable_diarization": False}
        far = words(stack.url, clip, engine="sphinx", **wanted)
        assert words(near.url, clip, engine="whisperx", **wanted) == far
        assert len(far) > 10


def words(url: str, recording: Path, **options: str | bool) -> list[str]:
    with Client(url) as client:
        job_id = client.submit(recording, **options)["job_id"]
        for event in client.events(job_id):
            ended = event.data
        assert ended["status"] == "completed", ended
        segments = client.result(job_id)["segments"]
    return [word["word"] for segment in segments for word in segment["words"]]
