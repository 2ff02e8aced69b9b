"""The classic diarizer finds the two voices of the sample conversation."""

from __future__ import annotations

import math
import random
import wave
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from simpleder import DER

from bench import shards
from chunking.cut import DEFAULT_CONFIG, AudioChunker
from engines import catalog
from engines.base import Diarizer, SpeakerHints
from engines.speaker_features.grouping import measure_differences
from engines.speaker_features.mel_cepstra import CEPSTRUM_SIZE, compute_cepstra
from engines.speaker_features.tracking import find_best_path
from tests import talks
from transcripts.types import Diarization

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
RATE = 16_000


@pytest.fixture(scope="module")
def classic() -> Diarizer:
    return catalog.load_diarizer(catalog.CLASSIC)


@pytest.fixture(scope="module")
def conversation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with av.open(str(SAMPLES / "conversation.flac")) as file:
        frames = [frame.to_ndarray()[0] for frame in file.decode(audio=0)]
    return _wav(tmp_path_factory.mktemp("classic"), np.concatenate(frames).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def found(classic: Diarizer, conversation: Path) -> Diarization:
    return classic.diarize(conversation, SpeakerHints())


def _wav(folder: Path, samples: bytes) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples)
    return path


def _part(path: Path, folder: Path, start: float, end: float) -> Path:
    with wave.open(str(path)) as file:
        file.setpos(int(start * RATE))
        return _wav(folder, file.readframes(int((end - start) * RATE)))


def _said() -> list[tuple[str, float, float]]:
    lines = [line.split() for line in (SAMPLES / "conversation.rttm").read_text().splitlines()]
    return [(line[7], float(line[3]), float(line[3]) + float(line[4])) for line in lines]


def _told(voices: Diarization) -> list[tuple[str, float, float]]:
    return [(str(turn.speaker), turn.start, turn.end) for turn in voices.turns]


def _speakers(voices: Diarization) -> set[int]:
    return {turn.speaker for turn in voices.turns}


def test_it_finds_two_voices_and_their_turns(found: Diarization) -> None:
    assert _speakers(found) == {0, 1}
    assert DER(_said(), _told(found)) < 0.08


def test_turns_are_in_order_and_do_not_overlap(found: Diarization) -> None:
    assert found.turns[0].speaker == 0
    assert all(one.end <= other.start for one, other in pairwise(found.turns))
    assert all(turn.start < turn.end for turn in found.turns)


def test_the_same_recording_has_the_same_turns_each_time(
    classic: Diarizer, conversation: Path, found: Diarization
) -> None:
    assert classic.diarize(conversation, SpeakerHints()) == found


def test_one_voice_alone_is_one_speaker(classic: Diarizer, conversation: Path, tmp_path) -> None:
    with wave.open(str(conversation)) as file:
        pcm = file.readframes(file.getnframes())
    hers = b"".join(
        pcm[2 * int(start * RATE) : 2 * int(end * RATE)] + bytes(RATE)
        for name, start, end in _said()
        if name == "anna"
    )
    assert _speakers(classic.diarize(_wav(tmp_path, hers), SpeakerHints())) == {0}


@pytest.mark.parametrize(
    ("least", "most", "count"), [(1, 1, 1), (None, 1, 1), (3, None, 3), (4, 4, 4), (2, 5, 2)]
)
def test_bounds_are_kept(
    classic: Diarizer, conversation: Path, least: int | None, most: int | None, count: int
) -> None:
    assert len(_speakers(classic.diarize(conversation, SpeakerHints(least, most)))) == count


@pytest.mark.parametrize("samples", [0, 1, 399, 800, 4_000, 160_000])
def test_nobody_speaks_in_silence(classic: Diarizer, tmp_path: Path, samples: int) -> None:
    found = classic.diarize(_wav(tmp_path, bytes(2 * samples)), SpeakerHints(min_speakers=2))
    assert found == Diarization(())


def test_a_moment_of_speech_is_nobody_and_a_sentence_is_one(
    classic: Diarizer, conversation: Path, tmp_path: Path
) -> None:
    moment = _part(conversation, tmp_path, 1.0, 1.1)
    assert classic.diarize(moment, SpeakerHints()) == Diarization(())
    sentence = _part(conversation, tmp_path, 0.6, 4.3)
    assert _speakers(classic.diarize(sentence, SpeakerHints())) == {0}


def test_voiceprints_join_the_speakers_of_two_shards(
    classic: Diarizer, conversation: Path, tmp_path: Path
) -> None:
    first, second = (
        classic.diarize(_part(conversation, tmp_path, start, end), SpeakerHints())
        for start, end in ((0, 54), (54, 108))
    )
    ours, theirs = _named(first, 0), _named(second, 54)
    near = catalog.CLASSIC.same_speaker
    for one in ("anna", "robert"):
        for other in ("anna", "robert"):
            assert (_distance(ours[one], theirs[other]) < near) is (one == other)


def test_who_speaks_keeps_one_identity_over_shards(classic: Diarizer, tmp_path: Path) -> None:
    said = talks.write(tmp_path / "talk.wav", acts=3, seconds=120)
    chunker = AudioChunker(replace(DEFAULT_CONFIG, shard_duration=120))
    cutting = chunker.take_apart(tmp_path / "talk.wav", tmp_path)
    assert len(cutting.shards) == 3
    found = shards.turns(catalog.CLASSIC, classic, cutting, cutting.shards, tmp_path)
    assert {turn.speaker for turn in found} == {0, 1}
    assert talks.rightly_told(said, found) == 1


def _named(voices: Diarization, offset: float) -> dict[str, tuple[float, ...]]:
    """The voiceprints by the true name of who spoke longest in the turns of each."""
    shares: dict[int, dict[str, float]] = {}
    for turn in voices.turns:
        for name, start, end in _said():
            shared = min(turn.end, end - offset) - max(turn.start, start - offset)
            own = shares.setdefault(turn.speaker, {})
            own[name] = own.get(name, 0) + max(0, shared)
    return {max(own, key=own.__getitem__): voices.embeddings[who] for who, own in shares.items()}


def _distance(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return 1 - product / math.hypot(*one) / math.hypot(*other)


def test_cepstra_do_not_depend_on_where_blocks_begin() -> None:
    sound = np.frombuffer(random.Random(3).randbytes(2 * 31 * RATE), np.int16)
    whole, later = compute_cepstra(sound), compute_cepstra(sound[RATE:])
    assert whole.shape == (3098, CEPSTRUM_SIZE)
    np.testing.assert_allclose(whole[100:], later, atol=1e-3)


def test_difference_of_one_voice_is_near_zero_and_of_two_is_not() -> None:
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(CEPSTRUM_SIZE, CEPSTRUM_SIZE))
    frames = (rng.normal(size=(9000, CEPSTRUM_SIZE)) @ spread).astype(np.float32)
    apart = measure_differences([frames[:4500], frames[4500:], frames[:4500] + 6 * spread[0]])
    assert abs(apart[0, 1]) < 0.3
    assert apart[0, 2] > 1


def test_best_path_changes_only_where_it_pays() -> None:
    likely = np.array([[0, 3], [0, 3], [1, 0], [0, 3], [9, 0], [9, 0]], float)
    assert find_best_path(likely, np.full(6, 5.0)).tolist() == [1, 1, 1, 1, 0, 0]
    assert find_best_path(likely, np.zeros(6)).tolist() == [1, 1, 0, 1, 0, 0]
