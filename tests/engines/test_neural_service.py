"""WhisperX and pyannote as the service knows them: workers of their own, a job over REST."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.engines import tiny
from tests.engines.tiny import Digit, digits
from tests.engines.workers import worker
from tests.integration.conftest import RunningStack, started
from transcribe_api.client import Client

pytestmark = [
    pytest.mark.processes,
    tiny.needs("whisperx", "whisperx"),
    tiny.needs("pyannote.audio", "pyannote"),
]

#: On the machine of the service they are not installed, so its stack starts no workers for them.
WITHOUT = "import sys\nsys.modules['whisperx'] = sys.modules['pyannote.audio'] = None\n"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    without = tmp_path_factory.mktemp("without")
    (without / "sitecustomize.py").write_text(WITHOUT)
    with started(
        tmp_path_factory.mktemp("stack"),
        PYTHONPATH=str(without),
        WHISPERX_AVAILABLE_MODELS="digits",
        # Several chunks, so that they must agree on a language and on times.
        CHUNK_DURATION="20",
    ) as service:
        assert service.workers("asr.whisperx") == service.workers("diarize.pyannote") == []
        yield service


@pytest.fixture(scope="module")
def workers(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    from tests.engines import tiny_pipeline

    folder = tmp_path_factory.mktemp("models")
    settings = {
        "MODEL_DIR": str(tiny.model_dir(folder / "whisper")),
        "WHISPERX_DEFAULT_MODEL": "digits",
        "PYANNOTE_MODEL": str(tiny_pipeline.build(folder / "pipeline")),
        "OMP_NUM_THREADS": "1",
    }
    with (
        worker(stack, "asr.whisperx", processes=2, **settings),
        worker(stack, "diarize.pyannote", **settings),
    ):
        yield


@pytest.fixture(scope="module")
def job(stack: RunningStack, workers: None) -> tuple[str, dict[str, Any]]:
    with Client(stack.url) as client:
        recording = tiny.HERE / "audio" / "digits.flac"
        told = client.submit(
            recording, engine="whisperx", diarizer="pyannote", min_speakers=2, max_speakers=2
        )
        for event in client.events(told["job_id"]):
            if event.name == "status":
                last = event.data
        assert last["status"] == "completed", last
        assert last["chunks_total"] > 2
        return told["job_id"], client.result(told["job_id"])


def spoken(result: dict[str, Any]) -> list[tuple[dict[str, Any], Digit]]:
    """Each word of the transcript beside what was said."""
    words = [word for segment in result["segments"] for word in segment["words"]]
    return list(zip(words, digits(), strict=True))


def test_every_digit_is_in_the_transcript_at_its_time(job):
    _, result = job
    for word, digit in spoken(result):
        assert word["word"].strip(".,").lower() == digit.text
        assert word["start"] == pytest.approx(digit.start, abs=0.25)
    # Of the submission, which may have come before the workers; of the words there are none.
    assert [one for one in result["warnings"] if one["code"] != "no_worker"] == []


def test_the_language_that_nobody_named_is_one(job):
    _, result = job
    assert result["language"] == "en"


def test_each_word_has_its_speaker(job):
    _, result = job
    told = [(word["speaker_tag"], digit.voice) for word, digit in spoken(result)]
    right = sum(speaker == ["slt", "rms"].index(voice) for speaker, voice in told)
    assert right >= 0.95 * len(told)


def test_the_artefacts_say_who_did_it(job, stack: RunningStack):
    job_id, _ = job
    folder = stack.data_dir / "objects" / "jobs" / job_id
    heard = json.loads((folder / "whisper_results.json").read_text())
    spoke = json.loads((folder / "diarization_results.json").read_text())
    assert heard["engine"] == "whisperx"
    assert {chunk["language"] for chunk in heard["chunks"]} == {"en"}
    assert (spoke["diarizer"], spoke["speakers"]) == ("pyannote", ["SPEAKER_00", "SPEAKER_01"])
