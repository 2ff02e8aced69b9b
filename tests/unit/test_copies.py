"""Channels that carry one signal are one channel; two people are never one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, lfilter

from chunking import tracks
from chunking.cut import AudioChunker
from chunking.decode import decoder
from chunking.tracks import ChannelsAlike
from chunking.vad.copies import find_copies
from chunking.vad.detector import Detector
from tests.conftest import ROOT
from tests.unit.media import write_wav
from transcripts.warning import WarningCode

RATE = decoder.SAMPLE_RATE
SAMPLE = ROOT / "samples/conversation.flac"
#: Seconds of the sample that are enough to know its channels by.
SECONDS = 40


@cache
def read_sample() -> np.ndarray:
    with decoder.stream(SAMPLE) as stream:
        pcm = np.frombuffer(b"".join(stream), "<i2")[: SECONDS * RATE]
    return pcm.astype(np.float64) / 32768


@cache
def read_people() -> tuple[np.ndarray, np.ndarray]:
    """The two people of the sample, each on a channel of their own."""
    sample = read_sample()
    people = {"anna": np.zeros_like(sample), "robert": np.zeros_like(sample)}
    for line in SAMPLE.with_suffix(".rttm").read_text().splitlines():
        fields = line.split()
        start, seconds, name = float(fields[3]), float(fields[4]), fields[7]
        first, last = round(RATE * start), round(RATE * (start + seconds))
        people[name][first:last] = sample[first:last]
    return people["anna"], people["robert"]


def delay(samples: np.ndarray, seconds: float) -> np.ndarray:
    count = round(seconds * RATE)
    return np.concatenate([np.zeros(count), samples[: len(samples) - count]])


def add_noise(samples: np.ndarray, level: float) -> np.ndarray:
    return samples + np.random.default_rng(1).normal(0, 10 ** (level / 20), len(samples))


def filter_telephone(samples: np.ndarray) -> np.ndarray:
    return np.asarray(lfilter(*butter(4, [300, 3400], "band", fs=RATE), samples))


def add_room(samples: np.ndarray) -> np.ndarray:
    taps = np.arange(1, round(0.3 * RATE))
    tail = 0.05 * np.random.default_rng(2).normal(0, 1, len(taps)) * np.exp(-taps / RATE / 0.03)
    return np.asarray(np.convolve(samples, np.append(1.0, tail)))[: len(samples)]


def find(folder: Path, *channels: np.ndarray) -> tuple[int | None, ...]:
    paths, speech = [], []
    for number, samples in enumerate(channels):
        pcm = (32767 * np.clip(samples, -1, 1)).astype("<i2").tobytes()
        paths.append(folder / f"{number}.pcm")
        paths[-1].write_bytes(pcm)
        detector = Detector()
        detector.feed(pcm)
        speech.append(detector.finish())
    return find_copies(paths, speech)


COPIES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "equal": lambda samples: samples,
    "quieter": lambda samples: 0.2 * samples,
    "inverted": lambda samples: -samples,
    "delayed and quieter": lambda samples: 0.4 * delay(samples, 0.03),
    "delayed by the most": lambda samples: add_noise(0.7 * delay(samples, 0.3), -60),
    "filtered": filter_telephone,
    "with an echo": add_room,
    "all at once": lambda samples: add_noise(0.3 * delay(filter_telephone(samples), 0.2), -70),
}


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found(tmp_path: Path, copy: str):
    samples = read_sample()
    assert find(tmp_path, samples, COPIES[copy](samples)) == (None, 0)


def test_the_earlier_one_is_the_original(tmp_path: Path):
    samples = read_sample()
    assert find(tmp_path, delay(samples, 0.05), samples) == (1, None)


def test_copies_of_one_channel_among_others(tmp_path: Path):
    first, second = read_people()
    assert find(tmp_path, first, second, 0.5 * first, -second) == (None, None, 0, 1)


@pytest.mark.parametrize("seconds", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("decibels", [-1, -3, -6, -12, -20])
def test_two_people_who_are_on_both_channels_are_two(
    tmp_path: Path, decibels: float, seconds: float
):
    first, second = read_people()
    gain = 10 ** (decibels / 20)
    left = add_noise(first + gain * delay(second, seconds), -65)
    right = add_noise(second + gain * delay(first, seconds), -65)
    assert find(tmp_path, left, right) == (None, None)


def test_two_people_who_speak_at_the_same_time_are_two(tmp_path: Path):
    first = read_sample()
    second = np.roll(first, 17 * RATE)
    for gain in (0.0, 0.5):
        assert find(tmp_path, first + gain * second, second + gain * first) == (None, None)


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_a_short_answer_of_somebody_else_makes_a_channel(tmp_path: Path, seconds: float):
    samples = read_sample()
    other = 0.5 * samples
    answer = samples[5 * RATE : 5 * RATE + round(seconds * RATE)]
    other[20 * RATE : 20 * RATE + len(answer)] += answer
    assert find(tmp_path, samples, other) == (None, None)


def test_silence_is_no_copy(tmp_path: Path):
    samples = read_sample()
    assert find(tmp_path, samples, np.zeros_like(samples)) == (None, None)
    assert find(tmp_path, samples[:0], samples[:0]) == (None, None)


def test_copies_are_not_cut(tmp_path: Path):
    first, second = read_people()
    path = write_wav(tmp_path / "call.wav", first, second, first)
    parts = tracks.cut_channels(AudioChunker(), path, tmp_path)
    assert {part.channel for part in parts.chunks} == {0, 1}
    [warning] = parts.warnings
    assert warning.code is WarningCode.CHANNELS_ALIKE
    assert warning.sentence.startswith("Channel 3 carries the same signal as channel 1")


def test_channels_that_are_all_alike_are_not_cut_separately(tmp_path: Path):
    samples = read_sample()
    path = write_wav(tmp_path / "mono.wav", samples, -0.5 * delay(samples, 0.03))
    with pytest.raises(ChannelsAlike):
        tracks.cut_channels(AudioChunker(), path, tmp_path)
    assert list(tmp_path.glob("*.pcm")) == [], "the mix is decoded in their place"
