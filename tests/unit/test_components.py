"""The parts by the names of the architecture, without the service around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import EngineError, Transient
from core.states import Priority
from engines import catalog
from engines.base import Hints
from engines.catalog import EngineSpec, Requirement
from engines.speaker_diarizer import DiarizationConfig, SpeakerDiarizer
from engines.whisper_processor import WhisperConfig, WhisperProcessor
from tasks.queue_manager import QueueManager
from transcripts.merger import TranscriptionMerger
from transcripts.speakers.linking import Shard
from transcripts.stitch import TranscribedChunk
from transcripts.types import Diarization, Interval, Transcription, Turn, Word


class Doubtful:
    """Needs some tries before it hears."""

    fails = 0

    def __init__(self, config: WhisperConfig) -> None:
        self.config = config

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        if Doubtful.fails > 0:
            Doubtful.fails -= 1
            raise Transient("not now", retry_in=0)
        return Transcription((Word(str(hints.model), 0.0, 1.0),), hints.language)


@pytest.fixture
def doubtful(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = EngineSpec(
        name="whisperx", title="WhisperX", factory="tests.unit.test_components:Doubtful",
        requires=Requirement("json"), memory_mb=1,
    )  # fmt: skip
    monkeypatch.setattr(catalog, "WHISPERX", spec)


@pytest.mark.usefixtures("doubtful")
def test_what_may_pass_is_tried_again_so_many_times():
    processor = WhisperProcessor(WhisperConfig(model_name="small", max_retries=2))
    Doubtful.fails = 2
    assert processor.transcribe("chunk.wav", language="en").words[0].text == "small"
    Doubtful.fails = 3
    with pytest.raises(Transient):
        processor.transcribe("chunk.wav")


@pytest.mark.skipif(catalog.WHISPERX.is_installed(), reason="WhisperX is installed")
def test_without_whisperx_the_processor_says_what_installs_it():
    with pytest.raises(EngineError, match="pip install"):
        WhisperProcessor()


def voices(*turns: tuple[float, float, int], **embeddings: tuple[float, ...]) -> Diarization:
    prints = {int(name[1:]): vector for name, vector in embeddings.items()}
    return Diarization(tuple(Turn(*turn) for turn in turns), prints)


#: One speaker heard twice, whose voice differs by a cosine of 0.6.
APART = [
    Shard(Interval(0.0, 10.0), voices((0.0, 9.0, 0), _0=(1.0, 0.0))),
    Shard(Interval(10.0, 20.0), voices((0.0, 9.0, 0), _0=(0.6, 0.8))),
]


@pytest.mark.parametrize(("threshold", "speakers"), [(0.5, {0}), (0.7, {0, 1}), (None, {0, 1})])
def test_voices_as_alike_as_that_are_one(threshold: float | None, speakers: set[int]):
    config = DiarizationConfig(diarizer="classic", confidence_threshold=threshold)
    turns = SpeakerDiarizer(config).turns(APART)
    assert {turn.speaker for turn in turns} == speakers


def test_who_says_less_is_no_speaker():
    shard = Shard(Interval(0.0, 20.0), voices((0.0, 0.5, 0), (1.0, 9.0, 1), (9.0, 18.0, 2)))
    config = DiarizationConfig(diarizer="classic", min_speaker_duration=1.0)
    turns = SpeakerDiarizer(config).turns([shard])
    assert [(turn.start, turn.speaker) for turn in turns] == [(1.0, 0), (9.0, 1)]


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_likeness_is_a_share(threshold: float):
    with pytest.raises(ValueError, match="confidence_threshold"):
        DiarizationConfig(confidence_threshold=threshold)


def test_words_are_told_once_and_have_their_speaker():
    chunks = [
        TranscribedChunk(Interval(0.0, 2.0), (Word("Hello", 0.2, 0.8), Word("there.", 0.9, 1.5))),
        TranscribedChunk(Interval(2.0, 4.0), (Word("Good", 2.2, 2.8), Word("day.", 2.9, 3.5))),
    ]
    turns = [Turn(0.0, 2.0, 0), Turn(2.0, 4.0, 1)]
    segments = TranscriptionMerger().merge(chunks, turns)
    assert [(one.speaker, one.text) for one in segments] == [(0, "Hello there."), (1, "Good day.")]
    assert [one.speaker for one in TranscriptionMerger().merge(chunks, ())] == [None, None]


def test_queues_and_what_goes_first():
    manager = QueueManager()
    assert {"prepare", "asr.sphinx", "diarize.classic", "merge"} <= set(manager.names())
    high, normal, low = (manager.priority(one) for one in Priority)
    assert high < normal < low
    assert manager.priority(Priority.NORMAL, 36_000.0) > normal
