"""OpenAI's own client works when its ``base_url`` is ours."""

from __future__ import annotations

import re
import wave
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path

import httpx2
import numpy as np
import openai
import pysubs2
import pytest

from tests.integration.conftest import SAMPLE, RunningStack, write_sample

pytestmark = pytest.mark.processes

CLIP_SECONDS = 12
#: The first four sentences of the conversation end here.
FOUR_SENTENCES = 15
#: Seconds of a large file in which nothing is said, before those four; 48 kHz, stereo, 16 bit.
QUIET, FRAME_RATE, FRAME_BYTES = 340, 48_000, 4


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


@pytest.mark.sphinx
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


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More than twice what OpenAI takes: minutes of nothing, and then four sentences."""
    folder = tmp_path_factory.mktemp("large")
    with wave.open(str(write_sample(folder / "talk.wav", seconds=FOUR_SENTENCES))) as talk:
        said = np.frombuffer(talk.readframes(talk.getnframes()), "<i2")
        spread = np.repeat(said, 2 * FRAME_RATE // talk.getframerate())
    with wave.open(str(folder / "large.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(FRAME_RATE)
        file.writeframes(bytes(QUIET * FRAME_RATE * FRAME_BYTES) + spread.tobytes())
    assert (folder / "large.wav").stat().st_size > 60_000_000
    return folder / "large.wav"


def likeness(heard: str) -> float:
    """To the four sentences, word by word; 1 is the same."""
    reference = SAMPLE.with_suffix(".txt").read_text().splitlines()[:4]
    said = re.findall(r"[a-z']+", heard.lower())
    return SequenceMatcher(None, said, " ".join(reference).split(), autojunk=False).ratio()


@pytest.mark.lengthy
@pytest.mark.parametrize("form", ["json", "text", "srt", "vtt", "verbose_json", "diarized_json"])
def test_a_file_of_more_than_sixty_megabytes_is_transcribed_in_every_format(
    theirs, large, form: str
):
    told = transcribe(theirs, large, response_format=form)
    text = told if isinstance(told, str) else told.text
    if form in ("srt", "vtt"):
        cues = pysubs2.SSAFile.from_string(told, format_=form)
        assert cues[0].start >= QUIET * 1000
        text = " ".join(cue.plaintext for cue in cues)
    assert likeness(text) > 0.7
    if form in ("verbose_json", "diarized_json"):
        assert told.duration == pytest.approx(QUIET + FOUR_SENTENCES, abs=0.1)
        assert all(QUIET <= one.start <= one.end <= told.duration for one in told.segments)


@pytest.mark.lengthy
def test_a_file_of_more_than_sixty_megabytes_is_streamed_and_ends_with_all_of_it(theirs, large):
    *deltas, done = list(transcribe(theirs, large, stream=True))
    assert done.type == "transcript.text.done"
    assert "".join(one.delta for one in deltas) == done.text
    assert likeness(done.text) > 0.7


@pytest.mark.sphinx
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
