"""OpenAI's own client works when its ``base_url`` is ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import openai
import pysubs2
import pytest

from tests.integration.conftest import RunningStack, write_sample

pytestmark = pytest.mark.processes

CLIP_SECONDS = 12


@pytest.fixture
def theirs(stack: RunningStack) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{stack.url}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first seconds of the conversation, in which both have their say."""
    return write_sample(tmp_path_factory.mktemp("clip") / "clip.wav", seconds=CLIP_SECONDS)


def transcribe(theirs: openai.OpenAI, recording: Path, **options):
    with recording.open("rb") as file:
        return theirs.audio.transcriptions.create(
            **{"file": file, "model": "whisper-1", "timeout": 300, **options}
        )


def test_plain_json_and_text_say_the_same(theirs, clip):
    told = transcribe(theirs, clip, response_format="json")
    assert len(told.text.split()) > 10
    assert told.usage.seconds == CLIP_SECONDS
    assert transcribe(theirs, clip, model="sphinx", response_format="text").strip() == told.text


def test_verbose_json_has_segments_and_words_with_times(theirs, clip):
    told = transcribe(
        theirs, clip, response_format="verbose_json", timestamp_granularities=["segment", "word"]
    )
    assert told.language == "en"
    assert told.duration == CLIP_SECONDS
    assert " ".join(one.text for one in told.segments) == told.text
    assert " ".join(one.word for one in told.words) == told.text
    assert all(one.avg_logprob <= 0 < one.compression_ratio for one in told.segments)
    starts = [one.start for one in told.words]
    assert starts == sorted(starts)


def test_words_are_told_only_when_they_are_asked_for(theirs, clip):
    told = transcribe(theirs, clip, response_format="verbose_json")
    assert told.segments
    assert told.words is None


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_are_read_by_another_library(theirs, clip, form: str):
    read = pysubs2.SSAFile.from_string(transcribe(theirs, clip, response_format=form), format_=form)
    assert len(read) > 1


def test_diarized_json_tells_the_speakers_apart(theirs, clip):
    told = transcribe(theirs, clip, response_format="diarized_json", chunking_strategy="auto")
    assert {one.speaker for one in told.segments} == {"A", "B"}
    assert all(one.type == "transcript.text.segment" for one in told.segments)


def test_a_stream_gives_the_text_as_it_comes_and_ends_with_all_of_it(theirs, beginning):
    *deltas, done = list(transcribe(theirs, beginning, stream=True))
    assert len(deltas) > 1
    assert {one.type for one in deltas} == {"transcript.text.delta"}
    assert done.type == "transcript.text.done"
    assert "".join(one.delta for one in deltas) == done.text


def test_a_diarized_stream_tells_segments_with_speakers(theirs, clip):
    events = list(transcribe(theirs, clip, stream=True, response_format="diarized_json"))
    segments = [one for one in events if one.type == "transcript.text.segment"]
    assert {one.speaker for one in segments} == {"A", "B"}
    assert events[-1].text == " ".join(one.text for one in segments)


def test_models_are_those_that_somebody_serves(theirs):
    assert "sphinx" in [model.id for model in theirs.models.list()]
    assert theirs.models.retrieve("whisperx/large-v3").owned_by == "transcribe"
    with pytest.raises(openai.NotFoundError):
        theirs.models.retrieve("parrot")


def test_refusals_are_theirs_and_name_the_field(theirs, clip):
    with pytest.raises(openai.NotFoundError) as caught:
        transcribe(theirs, clip, model="parrot")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as caught:
        transcribe(theirs, clip, response_format="yaml")
    assert caught.value.param == "response_format"
    with pytest.raises(openai.BadRequestError) as caught:
        transcribe(theirs, clip, file=("letter.mp3", b"Dear Sir or Madam"))
    assert caught.value.code == "media_unreadable"


def test_a_request_that_is_no_form_is_refused_in_their_shape(stack: RunningStack):
    answer = httpx2.post(f"{stack.url}/v1/audio/transcriptions", json={"model": "whisper-1"})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
