"""What is drawn of a recording: as loud as it is, and small however long it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking import tracks
from chunking.cut import AudioChunker
from chunking.vad.detector import Detector
from chunking.vad.speech import FRAME_SECONDS
from chunking.waveform import MAX_VALUES, build_waveform
from tests.unit.media import babble, pcm, silence, write_wav

FRAME_SAMPLES = round(16_000 * FRAME_SECONDS)


def loudness(sound: bytes, block: int = 1 << 20) -> np.ndarray:
    detector = Detector()
    for start in range(0, len(sound), 2 * block):
        detector.feed(sound[start : start + 2 * block])
    return detector.measure_loudness()


def square(amplitude: float, frames: int) -> bytes:
    """Every other sample up and down, so that its RMS is its amplitude."""
    return (
        (np.tile([amplitude, -amplitude], frames * FRAME_SAMPLES // 2) * 32767)
        .astype("<i2")
        .tobytes()
    )


def test_silence_is_nothing_and_full_scale_all():
    sound = pcm(silence(3 * FRAME_SECONDS)) + square(1.0, 2) + square(0.5, 2)
    assert loudness(sound).tolist() == [0, 0, 0, 100, 100, 50, 50]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5000))
def test_blocks_make_no_difference(block: int):
    sound = pcm(babble(1, seed=3))
    assert loudness(sound, block).tolist() == loudness(sound).tolist()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=3), st.randoms())
def test_it_is_small_and_misses_no_sound(lengths: list[int], random):
    sounds = [np.frombuffer(random.randbytes(length), np.uint8) % 101 for length in lengths]
    drawn = build_waveform(sounds, max(lengths) * FRAME_SECONDS)
    values = drawn["values"]
    assert len(values) <= MAX_VALUES
    assert max(values, default=0) == max((max(one, default=0) for one in sounds), default=0)
    covered = len(values) * drawn["seconds_per_value"]
    assert covered == pytest.approx(max(lengths) * FRAME_SECONDS, abs=drawn["seconds_per_value"])


@pytest.mark.parametrize("take", [tracks.cut_mix, tracks.cut_channels])
def test_of_two_channels_the_louder_is_drawn(tmp_path: Path, take):
    path = write_wav(tmp_path / "a.wav", np.append(babble(2), silence(2)), silence(4))
    drawn = take(AudioChunker(), path, tmp_path).waveform
    assert drawn["duration"] == pytest.approx(4)
    speech, pause = np.split(np.array(drawn["values"]), [round(2 / FRAME_SECONDS)])
    assert speech.max() > 10
    assert pause[2:].max() <= 1
