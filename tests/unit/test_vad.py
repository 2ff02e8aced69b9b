"""What is taken for speech, and what is not."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.decode import decoder
from chunking.vad.detector import Detector
from chunking.vad.speech import (
    FRAME_SECONDS,
    VadSettings,
    find_context_start,
    find_settled_speech,
    find_speech,
)
from tests.unit.media import babble, noise, pcm, silence, tone
from transcripts.types import Interval


def detect(*pieces: np.ndarray, how: VadSettings | None = None) -> list[Interval]:
    detector = Detector(how or VadSettings())
    detector.feed(pcm(np.concatenate(pieces)))
    return detector.finish()


def heard(spans: list[Interval]) -> float:
    return sum(span.duration for span in spans)


def frames(*parts: tuple[float, bool, float]) -> tuple[np.ndarray, np.ndarray]:
    """(seconds, voiced, dBFS) to what webrtcvad and the level meter would say."""
    counts = [round(seconds / FRAME_SECONDS) for seconds, _, _ in parts]
    voiced = np.repeat([each[1] for each in parts], counts)
    # Speech moves: two values that are 12 dB apart, four times a second.
    wave = np.where(np.arange(len(voiced)) % 8 < 4, 6.0, -6.0)
    levels = np.repeat([each[2] for each in parts], counts) + wave * voiced
    return voiced, levels.astype(np.float32)


@pytest.mark.parametrize("level", [-6, -20, -35])
def test_speech_between_silences_is_found(level: float) -> None:
    (span,) = detect(silence(1), babble(2, level=level), silence(1))
    assert span.start == pytest.approx(1, abs=0.25)
    assert span.end == pytest.approx(3, abs=0.25)


@pytest.mark.parametrize("pause", [0.4, 0.6, 1.0, 3.0])
def test_a_pause_parts_speech(pause: float) -> None:
    spans = detect(silence(0.5), babble(2), silence(pause), babble(2), silence(0.5))
    assert len(spans) == 2
    assert spans[0].end < 2.5 + pause / 2 < spans[1].start


@pytest.mark.parametrize(
    ("name", "sound"),
    [
        ("digital silence", silence(20)),
        ("white noise", noise(20, level=-10)),
        ("soft hiss", noise(20, level=-65)),
        ("faint hiss", noise(20, level=-80)),
        ("tone", tone(20)),
        ("hum", tone(20, pitch=100)),
    ],
)
def test_sound_that_never_changes_is_not_speech(name: str, sound: np.ndarray) -> None:
    assert detect(sound) == [], name


@pytest.mark.parametrize("margin", [20, 10, 5])
def test_speech_over_noise_is_not_lost(margin: float) -> None:
    sound = babble(10) + noise(10, level=-20 - margin)
    assert heard(detect(sound)) > 9


def test_a_soft_voice_in_a_loud_recording_is_kept() -> None:
    spans = detect(babble(20, level=-12), silence(20), babble(5, level=-42), silence(1))
    assert any(span.start > 35 for span in spans)


def test_a_recording_quiet_as_a_whole_asks_for_gain() -> None:
    sound = pcm(np.concatenate([silence(1), babble(3, level=-62), silence(1)]))
    first = Detector()
    first.feed(sound)
    first.finish()
    second = Detector(gain=first.measure_quiet_gain())
    second.feed(sound)
    assert first.measure_quiet_gain() > 20
    assert heard(second.finish()) > 2.5


@pytest.mark.parametrize("sound", [silence(5), babble(5), np.concatenate([silence(50), babble(5)])])
def test_other_recordings_ask_for_none(sound: np.ndarray) -> None:
    detector = Detector()
    detector.feed(pcm(sound))
    assert detector.measure_quiet_gain() == 0
    assert Detector().measure_quiet_gain() == 0


@pytest.mark.parametrize("size", [30, 318, 960, 10_000])
def test_it_does_not_matter_how_the_stream_is_cut(size: int) -> None:
    sound = pcm(np.concatenate([silence(0.5), babble(1.5), silence(0.7), babble(1)]))
    whole, pieces = Detector(), Detector()
    whole.feed(sound)
    for start in range(0, len(sound), size):
        pieces.feed(sound[start : start + size])
    assert pieces.finish() == whole.finish()


@pytest.mark.parametrize("samples", [0, 1, 100, 479, 480, 481, 800])
def test_recordings_shorter_than_a_word_are_no_error(samples: int) -> None:
    spans = detect(babble(1)[:samples])
    assert all(0 <= span.start < span.end <= samples / 16_000 for span in spans)


def test_spans_are_in_order_apart_and_inside() -> None:
    sound = np.concatenate([piece for n in range(8) for piece in (babble(0.7), silence(0.1 * n))])
    spans = detect(sound)
    assert spans[0].start >= 0
    assert spans[-1].end <= len(sound) / 16_000
    assert all(a.end < b.start for a, b in itertools.pairwise(spans))


@pytest.mark.parametrize(
    ("parts", "count"),
    [
        ([(1, True, -20)], 1),
        ([(1, True, -20), (0.12, False, -60), (1, True, -20)], 1),  # a gap within a word
        ([(1, True, -20), (0.3, False, -60), (1, True, -20)], 2),
        ([(1, False, -60), (0.03, True, -20), (1, False, -60)], 0),  # a click
        ([(1, True, -20), (1, True, -60)], 1),  # webrtcvad goes on too long: the gate ends it
        ([(1, False, -20)], 0),  # loud, but not a voice
    ],
)
def test_smoothing(parts: list[tuple[float, bool, float]], count: int) -> None:
    assert len(find_speech(*frames(*parts), VadSettings())) == count


def test_the_gate_lets_go_below_where_it_opened() -> None:
    how = VadSettings(padding=0)
    fading = find_speech(*frames((0.6, True, -30), (0.6, True, -38.5)), how)
    never = find_speech(*frames((0.6, True, -20), (0.6, False, -90), (0.6, True, -60)), how)
    assert fading[0].end > 1
    assert len(never) == 1


def test_padding_never_closes_a_pause() -> None:
    first, second = find_speech(
        *frames((1, True, -20), (0.3, False, -80), (1, True, -20)), VadSettings(padding=2)
    )
    assert first.end < second.start
    assert (first.start, second.end) == (0, pytest.approx(2.3, abs=0.05))


def test_a_higher_threshold_hears_less() -> None:
    sound = [babble(3, level=-15), silence(1), babble(3, level=-38), silence(1)]
    strict = detect(*sound, how=VadSettings(silence_threshold=-25, quiet_range=5))
    assert heard(strict) < heard(detect(*sound))


def speech_in(path: Path) -> tuple[list[Interval], float]:
    detector = Detector()
    with decoder.stream(path) as stream:
        for block in stream:
            detector.feed(block)
    return detector.finish(), stream.result.seconds


@pytest.mark.parametrize("name", ["lj_0001.wav", "quilter.wav", "cards_001.wav", "sv_4.wav"])
def test_read_speech_is_heard(recordings: Path, name: str) -> None:
    spans, seconds = speech_in(recordings / "dev" / name)
    assert heard(spans) > 0.75 * seconds


@pytest.mark.parametrize("name", ["katie_steve_a", "call_2ch_8k_mulaw", "three_speakers"])
def test_no_turn_of_a_conversation_is_lost(recordings: Path, name: str) -> None:
    spans, _ = speech_in(recordings / "dev" / f"{name}.wav")
    for line in (recordings / "dev" / f"{name}.rttm").read_text().splitlines():
        start, duration = map(float, line.split()[3:5])
        shared = sum(
            max(0.0, min(span.end, start + duration) - max(span.start, start)) for span in spans
        )
        assert shared > 0.5 * duration, line


@pytest.mark.parametrize("name", ["silence_60s", "white_noise_30s", "room_hiss_30s"])
def test_recordings_of_nothing_hold_no_speech(recordings: Path, name: str) -> None:
    assert speech_in(recordings / "hostile" / f"{name}.wav")[0] == []


def test_every_good_recording_has_speech(recordings: Path) -> None:
    listed = json.loads((recordings / "dev" / "manifest.json").read_text())["files"]
    short = [each["file"] for each in listed if each["duration"] < 2.5]
    assert [name for name in short if not speech_in(recordings / "dev" / name)[0]] == []


@st.composite
def sounds(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Decisions and levels of up to ten minutes: speech, clicks, music, hiss, silence."""
    length = st.one_of(st.integers(1, 8), st.integers(8, 60), st.integers(60, 1500))
    part = st.tuples(length, st.booleans(), st.sampled_from([-70, -50, -44, -38, -30, -20]))
    parts = draw(st.lists(part, min_size=1, max_size=60))
    chance = np.random.default_rng(draw(st.integers(0, 1000)))
    moves = draw(st.sampled_from([0.0, 1.0, 6.0]))
    counts = [count for count, _, _ in parts]
    levels = np.repeat([float(level) for _, _, level in parts], counts)
    levels += chance.normal(0, moves, len(levels)) if moves else 0
    levels = np.clip(np.round(2 * levels) / 2, -127, 0).astype(np.float32)
    return np.repeat([voiced for _, voiced, _ in parts], counts), levels


@settings(max_examples=150, deadline=None)
@given(sound=sounds(), looks=st.lists(st.integers(1, 3000), max_size=20))
def test_what_is_settled_early_is_what_is_found_at_the_end(sound, looks: list[int]) -> None:
    voiced, levels = sound
    how, told, since, heard = VadSettings(), [], 0, 0
    for more in looks:
        heard = min(heard + more, len(voiced))
        first = find_context_start(since, how)
        now = slice(first, heard)
        spans, since = find_settled_speech(voiced[now], levels[now], how, first=first, since=since)
        told += spans
    assert told == find_speech(voiced, levels, how)[: len(told)]


def test_speech_is_settled_soon() -> None:
    detector, since = Detector(), 0
    for _ in range(20):
        detector.feed(pcm(np.concatenate([babble(3), silence(0.8)] * 10)))
        _, since = detector.find_settled_speech(since)
    assert since * FRAME_SECONDS > 20 * 38 - 30


def test_when_a_recording_is_known_not_to_be_quiet() -> None:
    detector = Detector()
    detector.feed(pcm(babble(20, level=-30)))
    assert detector.is_loud(1000)
    assert not detector.is_loud(4000)
    detector.feed(pcm(silence(980)))
    assert detector.measure_quiet_gain() == 0
