"""Windows of half a minute: they cover a chunk, meet in pauses, and leave silence out."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.arrays import Samples
from engines.wav import RATE
from engines.whisper_model.windows import (
    LEAD_SECONDS,
    MAX_SECONDS,
    cut_windows,
    slice_window,
    split_window,
)


def noise(seconds: float, level: float = 0.1, seed: int = 0) -> Samples:
    random = np.random.default_rng(seed)
    return (random.standard_normal(round(seconds * RATE)) * level).astype(np.float32)


def talk(*stretches: tuple[float, float]) -> Samples:
    """Loud and quiet stretches in turn, in seconds."""
    parts = [part for loud, quiet in stretches for part in (noise(loud), noise(quiet, 1e-5))]
    return np.concatenate(parts)


def test_what_fits_is_one_window():
    (window,) = cut_windows(noise(29.9))
    assert (window.start, round(window.end, 2)) == (0, 29.9)
    assert window.loud_seconds == pytest.approx(29.9, abs=0.1)


def test_windows_meet_in_pauses():
    windows = cut_windows(talk((13.7, 0.6), (4.2, 0.9), (19.0, 0.5)))
    assert len(windows) == 2
    assert 18.5 < windows[0].end < 19.4
    assert windows[1].start >= windows[0].end


def test_a_window_begins_shortly_before_its_first_sound():
    sound = np.concatenate([noise(3.0, 1e-5), noise(5.0)])
    (window,) = cut_windows(sound)
    assert window.start == pytest.approx(3.0 - LEAD_SECONDS, abs=0.03)


def test_a_quiet_voice_after_a_loud_one_is_not_left_out():
    sound = np.concatenate([noise(4, 1e-5), noise(3, 0.003), noise(5, 0.3), noise(3, 0.003)])
    (window,) = cut_windows(sound)
    assert window.start < 4
    assert window.end == pytest.approx(15, abs=0.03)


@pytest.mark.parametrize("sound", [noise(0), noise(50, 0), noise(50, 1e-5), noise(0.01, 0)])
def test_silence_has_no_windows(sound: Samples):
    assert cut_windows(sound) == ()


def test_half_a_minute_of_silence_in_the_middle_is_heard_by_nobody():
    windows = cut_windows(talk((25, 60), (25, 1)))
    assert sum(window.loud_seconds for window in windows) == pytest.approx(50, abs=0.5)
    assert not any(30 < window.start < 80 for window in windows)


def test_less_than_a_frame_of_sound_is_a_window():
    (window,) = cut_windows(noise(0.01))
    assert len(slice_window(noise(0.01), window)) == 160


def test_what_is_left_of_a_window_begins_shortly_before_its_first_sound():
    sound = talk((10, 2), (8, 1))
    (window,) = cut_windows(sound)
    halves = split_window(sound, window, until=10.5)
    assert halves is not None
    first, rest = halves
    assert (first.start, first.end, rest.end) == (window.start, 10.5, window.end)
    assert rest.start == pytest.approx(12 - LEAD_SECONDS, abs=0.03)
    assert first.loud_seconds + rest.loud_seconds == pytest.approx(window.loud_seconds, abs=0.05)


@pytest.mark.parametrize("until", [0.0, 0.9, 10.5, 21.0])
def test_little_sound_is_no_window_of_its_own(until: float):
    sound = talk((10, 2), (0.8, 1))
    (window,) = cut_windows(np.concatenate([sound, noise(0.01)]))
    assert split_window(sound, window, until) is None


@settings(deadline=None)
@given(
    stretches=st.lists(st.tuples(st.floats(0.05, 40), st.floats(0.05, 8)), min_size=1, max_size=8)
)
def test_windows_are_short_in_order_and_miss_nothing_that_is_loud(stretches):
    sound = talk(*stretches)
    windows = cut_windows(sound)
    assert windows == cut_windows(sound)
    assert all(0 < window.duration <= MAX_SECONDS for window in windows)
    assert all(one.end <= other.start for one, other in itertools.pairwise(windows))
    heard = np.zeros(len(sound), bool)
    for window in windows:
        heard[round(window.start * RATE) : round(window.end * RATE)] = True
    assert not np.abs(sound[~heard]).max(initial=0) > 0.01
