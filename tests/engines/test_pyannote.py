"""The real pyannote.audio on a pipeline of our own: who speaks when, and by what he is known."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from operator import eq
from pathlib import Path

import numpy as np
import pytest

from bench import shards
from chunking.cut import DEFAULT_CONFIG, AudioChunker
from core.errors import EngineError
from core.settings import settings
from engines import catalog
from engines.base import SpeakerHints
from tests import talks
from tests.engines import tiny
from tests.engines.tiny import digits, digits_wav
from transcripts.speakers.linking import Shard, link_speakers
from transcripts.types import Diarization, Interval, Turn

pytestmark = tiny.needs("pyannote.audio", "pyannote")

TWO = SpeakerHints(2, 2)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.engines import tiny_pipeline

    return tiny_pipeline.build(tmp_path_factory.mktemp("models") / "pipeline")


@pytest.fixture(autouse=True)
def configured(pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PYANNOTE_MODEL", str(pipeline))
    monkeypatch.setenv("PYANNOTE_DEVICE", "cpu")
    settings.cache_clear()
    return monkeypatch


def diarize(audio: Path, hints: SpeakerHints = TWO) -> Diarization:
    from engines.pyannote import PyannoteDiarizer

    return PyannoteDiarizer().diarize(audio, hints)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("audio")
    return digits_wav(folder, 0.5, 14.8), digits_wav(folder, 14.8, 37.8)


def right(turns: tuple[Turn, ...], start: float, end: float) -> float:
    """The share of the digits that are given to who says them, slt being the first to speak."""
    said = [digit for digit in digits() if start <= digit.start < end - 0.5]
    speakers = [voice_of(turns, digit.start - start + 0.2) for digit in said]
    expected = [["slt", "rms"].index(digit.voice) for digit in said]
    return sum(map(eq, speakers, expected)) / len(said)


def voice_of(turns: tuple[Turn, ...], time: float) -> int | None:
    speaking = [turn.speaker for turn in turns if turn.start <= time <= turn.end]
    return speaking[0] if speaking else None


def test_the_diarizer_alone_finds_the_same_and_knows_a_voice_again(pieces):
    from engines.speaker_diarizer import DiarizationConfig, SpeakerDiarizer

    diarizer = SpeakerDiarizer(DiarizationConfig(min_speakers=2, max_speakers=2, device="cpu"))
    first, second = (diarizer.diarize(piece) for piece in pieces)
    assert first == diarize(pieces[0])
    shards = [Shard(Interval(0.5, 14.8), first), Shard(Interval(14.8, 37.8), second)]
    assert {turn.speaker for turn in diarizer.turns(shards)} == {0, 1}
    config = DiarizationConfig(device="cuda:77")
    with pytest.raises(EngineError, match="cuda:77"):
        SpeakerDiarizer(config)


def test_every_digit_has_its_speaker(pieces):
    found = diarize(pieces[0], TWO)
    assert right(found.turns, 0.5, 14.8) == 1
    assert list(found.turns) == sorted(found.turns, key=lambda turn: turn.start)


def test_voices_are_known_by_numbers_that_json_can_hold(pieces):
    found = diarize(pieces[0], TWO)
    assert set(found.embeddings) == {0, 1}
    for vector in found.embeddings.values():
        assert len(vector) == 512
        assert all(type(value) is float and math.isfinite(value) for value in vector)
    assert all(type(turn.start) is float for turn in found.turns)


def test_the_same_file_gives_the_same_voices(pieces):
    from engines.pyannote import PyannoteDiarizer

    diarizer = PyannoteDiarizer()
    first = diarizer.diarize(pieces[0], TWO)
    assert diarizer.diarize(pieces[0], TWO) == first


def test_two_shards_have_one_pair_of_speakers(pieces):
    """What embeddings are for: the voices of both shards are found to be the same two."""
    first, second = (diarize(piece, TWO) for piece in pieces)
    turns = link_speakers(
        [Shard(Interval(0.5, 14.8), first), Shard(Interval(14.8, 37.8), second)], threshold=0.5
    )
    assert {turn.speaker for turn in turns} == {0, 1}
    assert right(turns, 0.0, 37.8) >= 0.9


def test_who_speaks_keeps_one_identity_over_shards(tmp_path: Path):
    from engines.pyannote import PyannoteDiarizer

    said = talks.write(tmp_path / "talk.wav", acts=3, seconds=120)
    chunker = AudioChunker(replace(DEFAULT_CONFIG, shard_duration=120))
    cutting = chunker.take_apart(tmp_path / "talk.wav", tmp_path)
    assert len(cutting.shards) == 3
    found = shards.turns(
        catalog.PYANNOTE, PyannoteDiarizer(), cutting, cutting.shards, tmp_path, most=2
    )
    assert {turn.speaker for turn in found} == {0, 1}
    assert talks.rightly_told(said, found) >= 0.95


def test_no_more_speakers_are_found_than_there_may_be(pieces):
    found = diarize(pieces[0], SpeakerHints(None, 1))
    assert {turn.speaker for turn in found.turns} == {0}


@pytest.mark.parametrize("seconds", [0, 0.05, 3.0])
def test_silence_has_no_speakers(tmp_path: Path, seconds: float):
    silent = np.zeros(int(seconds * tiny.RATE), np.int16)
    assert diarize(tiny.write_wav(tmp_path / "silent.wav", silent)).turns == ()


def test_nothing_is_told_to_its_makers(pieces):
    from pyannote.audio.telemetry.metrics import is_metrics_enabled

    import engines.pyannote

    assert os.environ["PYANNOTE_METRICS_ENABLED"] == "0"
    assert engines.pyannote is not None
    assert not is_metrics_enabled()


@pytest.mark.parametrize(
    ("model", "token", "sentence"),
    [
        ("pyannote/speaker-diarization-community-1", None,
         r"HF_TOKEN is not set\..*accept its conditions.*huggingface\.co.*PYANNOTE_MODEL"),
        ("pyannote/speaker-diarization-community-1", "hf_some", r"HF_HUB_OFFLINE.*PYANNOTE_MODEL"),
        ("/nowhere", None, r"PYANNOTE_MODEL is /nowhere, which is not a folder with a config"),
        ("{empty}", None, r"which is not a folder with a config\.yaml"),
        ("{half}", None, r"which is not a folder with a config\.yaml and its models"),
    ],
)  # fmt: skip
def test_a_model_that_is_not_here_is_said_with_what_to_do(
    configured, pipeline: Path, tmp_path: Path, model: str, token: str | None, sentence: str
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "config.yaml").write_text((pipeline / "config.yaml").read_text())
    configured.setenv(
        "PYANNOTE_MODEL", model.format(empty=tmp_path / "empty", half=tmp_path / "half")
    )
    if token:
        configured.setenv("HF_TOKEN", token)
    settings.cache_clear()
    with pytest.raises(EngineError, match=f"(?s){sentence}"):
        diarize(tmp_path / "never-read.wav")


def test_a_gpu_that_is_not_there_is_said(configured):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    configured.setenv("PYANNOTE_DEVICE", "cuda")
    settings.cache_clear()
    with pytest.raises(EngineError, match=r"PYANNOTE_DEVICE is cuda, but PyTorch finds no GPU"):
        diarize(Path("never-read.wav"))


def test_half_as_much_is_looked_at_when_memory_runs_out(pieces, configured):
    from engines.pyannote import PyannoteDiarizer

    diarizer = PyannoteDiarizer()
    whole = diarizer.diarize(pieces[0], TWO)
    apply, sizes = diarizer._pipeline.apply, []

    def limited(*args, **options):
        sizes.append(diarizer._pipeline.embedding_batch_size)
        if sizes[-1] > 8:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return apply(*args, **options)

    configured.setattr(diarizer._pipeline, "apply", limited)
    again = diarizer.diarize(pieces[0], TWO)
    assert sizes == [32, 16, 8]
    assert [turn.speaker for turn in again.turns] == [turn.speaker for turn in whole.turns]

    configured.setattr(diarizer._pipeline, "embedding_batch_size", 1)
    configured.setattr(diarizer._pipeline, "apply", _full)
    with pytest.raises(EngineError, match="not enough memory for pyannote"):
        diarizer.diarize(pieces[0], TWO)


def _full(*_: object, **__: object) -> None:
    raise RuntimeError("CUDA out of memory.")
