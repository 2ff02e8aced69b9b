"""Many channels to one: FFmpeg's own mix, unless that would lose somebody."""

import numpy as np
import pytest

from chunking.decode.downmix import Mixer, to_pcm

RATE = 16_000


def speech(seconds: float = 3.0, level: float = 0.1) -> np.ndarray:
    noise = np.random.default_rng(1).normal(size=round(seconds * RATE))
    return (level * noise).astype(np.float32)


def mixed(*channels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mix of whole channels, second by second, and the plain mean that was offered."""
    mixer, out = Mixer(len(channels), RATE), []
    stacked = np.stack(channels).astype(np.float32)
    plain = to_pcm(np.clip(np.nan_to_num(stacked), -1, 1).mean(axis=0))
    for start in range(0, stacked.shape[1], RATE):
        piece = slice(start, start + RATE)
        out.append(mixer.mix(stacked[:, piece].copy(), plain[piece]))
    return np.concatenate(out), plain


def test_ordinary_sound_is_passed_on_sample_by_sample():
    for channels in ([speech()], [speech(), speech()], [speech(), 0.7 * speech()]):
        out, plain = mixed(*channels)
        assert np.array_equal(out, plain)


def test_mirrored_channels_do_not_cancel():
    out, plain = mixed(speech(), -speech())
    assert not plain.any()
    assert np.array_equal(out, to_pcm(speech()))


def test_one_voice_among_silent_channels_keeps_its_level():
    out, _ = mixed(speech(), *[np.zeros(3 * RATE)] * 7)
    assert np.array_equal(out, to_pcm(speech()))


def test_a_constant_offset_is_taken_out_and_rumble_is_left_alone():
    out, _ = mixed(speech() + 0.4)
    assert abs(out.mean()) < 0.001 * 32768
    rumble = speech() + 0.2 * np.sin(2 * np.pi * 0.7 * np.arange(3 * RATE) / RATE)
    out, plain = mixed(rumble.astype(np.float32))
    assert np.array_equal(out, plain)


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_no_crash(broken: float):
    channel = speech()
    channel[RATE + 5] = broken
    out, _ = mixed(channel)
    assert len(out) == len(channel)
    assert np.array_equal(out[2 * RATE :], to_pcm(channel[2 * RATE :]))


def test_the_change_from_one_mix_to_the_other_makes_no_step():
    late = np.concatenate([speech(2.0), np.zeros(40 * RATE, np.float32)])
    out, _ = mixed(np.full(42 * RATE, 0.005, np.float32), late)
    steps = np.abs(np.diff(out[3 * RATE :].astype(int)))
    assert steps.max() <= 2
