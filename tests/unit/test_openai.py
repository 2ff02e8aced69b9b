"""Names of models, and transcripts in the shapes of OpenAI's audio API."""

from __future__ import annotations

import math

import pytest

from core.db.models import SegmentRow, Transcript
from core.errors import Unavailable
from core.live import worker_registry
from transcribe_api.app import create_app
from transcribe_api.http.responses import openai_formats
from transcribe_api.routes import openai as routes
from transcribe_api.submission import openai_models

WORDS = [{"word": "hello", "start": 0.5, "end": 1.0, "confidence": 0.9, "speaker_tag": 0}]


def transcript(**options) -> Transcript:
    segments = [
        SegmentRow(position=0, start=0.5, end=1.0, text="hello", speaker_tag=0,
                   confidence=0.9, words=WORDS),
        SegmentRow(position=1, start=1.5, end=2.0, text="hello", speaker_tag=1,
                   confidence=None, words=WORDS),
        SegmentRow(position=2, start=2.5, end=3.0, text="hm", speaker_tag=None,
                   confidence=0.0, words=[]),
    ]  # fmt: skip
    return Transcript(
        **{
            "segments": segments,
            "duration": 3.5,
            "language": "en-US",
            "speaker_names": {"1": "Ana"},
            **options,
        }
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("sphinx", ("sphinx", None)),
        ("whisperx/large-v3", ("whisperx", "large-v3")),
        # The best engine that has it, and the usual one.
        ("large-v3", ("auto", "large-v3")),
        ("whisper-1", (None, None)),
        ("gpt-4o-mini-transcribe-2025-12-15", (None, None)),
    ],
)
def test_a_model_is_an_engine_or_one_of_its_models(name: str, meant: tuple):
    assert openai_models.resolve_model(name) == meant


@pytest.mark.parametrize("name", ["parrot", "sphinx/large-v3", "whisperx/parrot", "/", ""])
def test_an_unknown_model_is_refused_and_the_known_ones_are_named(name: str):
    with pytest.raises(openai_models.UnknownModel, match="whisperx/large-v3"):
        openai_models.resolve_model(name)


def test_only_models_that_need_not_be_fetched_are_listed(monkeypatch: pytest.MonkeyPatch):
    offers = {"asr.whisper": {"models_here": ["base", "of-nobody"]}}
    queues = {"asr.whisper", "asr.sphinx"}
    monkeypatch.setattr(worker_registry, "count_workers", lambda queue: int(queue in queues))
    monkeypatch.setattr(worker_registry, "read_capabilities", lambda queue: offers.get(queue, {}))
    found = [one["id"] for one in openai_models.list_served_models()]
    assert sorted(found) == ["sphinx", "whisper", "whisper/base"]


def test_speakers_are_letters_or_have_their_names():
    told = openai_formats.render_transcript(transcript(), "diarized_json", ())
    assert [one["speaker"] for one in told["segments"]] == ["A", "Ana", "unknown"]
    assert told["text"] == "hello hello hm"


def test_a_confidence_is_a_log_probability_and_none_is_no_doubt():
    told = openai_formats.render_transcript(transcript(), "verbose_json", ("segment",))
    logs = [one["avg_logprob"] for one in told["segments"]]
    assert logs == [math.log(0.9), 0.0, math.log(1e-6)]
    assert told["language"] == "en"
    assert "words" not in told


def test_silence_is_an_empty_transcript_in_every_form():
    silence = transcript(segments=[], language=None, duration=None)
    for form in openai_formats.MEDIA_TYPES:
        told = openai_formats.render_transcript(silence, form, openai_formats.GRANULARITIES)
        assert told.strip() in ("", "WEBVTT") if isinstance(told, str) else told["text"] == ""


@pytest.mark.parametrize(("code", "status"), [("engine_failed", 500), ("media_unreadable", 400)])
def test_a_job_that_failed_is_not_sent_again_by_clients(code: str, status: int):
    with create_app().test_request_context("/v1/audio/transcriptions"):
        refused = routes._answer_error(routes.JobFailed("it failed", code))
        assert (refused.status_code, refused.headers["X-Should-Retry"]) == (status, "false")
        assert "X-Should-Retry" not in routes._answer_error(Unavailable("Redis is down")).headers
