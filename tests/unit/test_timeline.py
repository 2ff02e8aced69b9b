"""Sound stays at its time, whatever a container leaves out or claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.decode.child import DecoderFlusher
from chunking.decode.timeline import (
    MAX_OVERLAP_SECONDS,
    PROOF_SECONDS,
    TOLERANCE_SECONDS,
    Overlap,
    Silence,
    Timeline,
)
from tests.unit.media import encode, silence

#: Seconds of a frame, and of all.
FRAME, SECONDS = 0.02, 8.0
#: Seconds by which a click may be misplaced.
NEAR = 0.02


@dataclass(frozen=True, slots=True)
class Frame:
    """Sound that was recorded at a time (seconds)."""

    time: float
    length: float = FRAME


def row(start: float, end: float) -> list[Frame]:
    """Frames without a gap."""
    return [Frame(start + at * FRAME) for at in range(round((end - start) / FRAME))]


def place(
    given: Sequence[tuple[Frame, float | None]],
    *,
    origin: float = 0.0,
    longest: float = 3600.0,
    lead: float = 0.0,
    declared: float | None = None,
) -> tuple[list[tuple[float, Frame]], Timeline]:
    """Where each frame comes to lie, for frames with their timestamps."""
    timeline, now, placed = Timeline(origin, longest, lead), 0.0, []

    def follow(steps: object) -> None:
        nonlocal now
        for step in steps:  # type: ignore[attr-defined]
            match step:
                case Silence(until):
                    now = until
                case Overlap(seconds):
                    now -= seconds
                case frame:
                    placed.append((now, frame))
                    now += frame.length

    for frame, stamp in given:
        follow(timeline.add(frame, stamp, frame.length))
    follow(timeline.finish(declared))
    assert [frame for _, frame in placed] == [frame for frame, _ in given], "none is lost"
    return placed, timeline


def stamped(some: Sequence[Frame], shift: float = 0.0) -> list[tuple[Frame, float | None]]:
    return [(frame, frame.time + shift) for frame in some]


@given(st.sets(st.integers(0, 399), max_size=390), st.integers(0, 2**32), st.floats(0, 0.012))
@settings(max_examples=200, deadline=None)
def test_what_is_left_stays_at_its_time(lost: set[int], seed: int, jitter: float):
    """Any frames may be missing, and timestamps may be a little off."""
    random = Random(seed)
    left = [frame for at, frame in enumerate(row(0, SECONDS)) if at not in lost]
    given = [(frame, frame.time + random.uniform(0, jitter)) for frame in left]
    placed, _ = place(given, declared=SECONDS)
    assert all(abs(at - frame.time) <= NEAR for at, frame in placed)


def test_a_late_start_is_silence():
    placed, timeline = place(stamped(row(5, 8)))
    assert placed[0][0] == pytest.approx(5.0)
    assert timeline.silences == [(0.0, pytest.approx(5.0))]


def test_a_clock_that_begins_anywhere_is_none():
    placed, timeline = place(stamped(row(0, 3), shift=36_000), origin=36_000)
    assert (placed[0][0], timeline.silences) == (0.0, [])


@pytest.mark.parametrize(("late", "begins"), [(0.05, 0.0), (0.15, 0.15)])
def test_what_an_encoder_puts_ahead_is_no_hole(late: float, begins: float):
    placed, _ = place(stamped(row(late, 4 + late)), lead=0.1)
    assert placed[0][0] == pytest.approx(begins)


def test_jitter_is_not_chased():
    random = Random(1)
    given = [(frame, frame.time + random.choice([0, 0, 0.05])) for frame in row(0, SECONDS)]
    _, timeline = place(given)
    assert timeline.silences == []


@pytest.mark.parametrize("wrong", [5.0, 1e6, -1e6, -0.5])
def test_one_wrong_timestamp_changes_nothing(wrong: float):
    given = stamped(row(0, SECONDS))
    given[100] = (given[100][0], wrong)
    placed, timeline = place(given)
    assert timeline.silences == []
    assert all(at == pytest.approx(frame.time) for at, frame in placed)


def test_days_are_not_believed():
    first, second = row(0, 3), row(3, 6)
    placed, _ = place([*stamped(first), *stamped(second, shift=1e6)], longest=86_400)
    assert placed[-1][0] == pytest.approx(second[-1].time)


def test_a_jump_back_is_no_overlap():
    first, second = row(0, 4), row(4, 8)
    placed, _ = place([*stamped(first), *stamped(second, shift=-4)])
    assert placed[-1][0] == pytest.approx(second[-1].time)


def test_what_is_there_twice_is_left_out_once():
    twice = MAX_OVERLAP_SECONDS / 2
    placed, _ = place([*stamped(row(0, 4)), *stamped(row(4 - twice, 8))])
    assert placed[-1][0] == pytest.approx(8 - FRAME)


def test_a_gap_shortly_before_the_end_is_believed_as_far_as_the_file_is_long():
    rest = row(6, 6 + PROOF_SECONDS / 2)
    placed, _ = place([*stamped(row(0, 4)), *stamped(rest)], declared=6 + PROOF_SECONDS / 2)
    assert placed[-1][0] == pytest.approx(rest[-1].time)
    placed, _ = place([*stamped(row(0, 4)), *stamped(rest)], declared=4.5)
    assert placed[-1][0] == pytest.approx(4 + PROOF_SECONDS / 2 - FRAME)


def test_a_frame_without_a_timestamp_follows_the_one_before():
    given = [(frame, None if at % 2 else frame.time) for at, frame in enumerate(row(2, 6))]
    placed, _ = place(given)
    assert all(at == pytest.approx(frame.time) for at, frame in placed)
    assert TOLERANCE_SECONDS < NEAR


RATE = 48_000


@pytest.fixture(scope="module", params=["a.webm", "a.m4a", "a.mka"])
def clicks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A click a second."""
    sound = silence(20, RATE)
    for second in range(20):
        sound[second * RATE + RATE // 2 :][:48] = 0.9
    codec = {"a.webm": "libopus", "a.m4a": "aac", "a.mka": "flac"}[request.param]
    return encode(tmp_path_factory.mktemp("clicks") / request.param, sound, codec=codec, rate=RATE)


@pytest.mark.parametrize("seed", range(20))
def test_clicks_keep_their_time_when_packets_are_lost(clicks: Path, seed: int):
    random = Random(seed)
    rate = random.choice([0.01, 0.2, 0.6])
    placed, now = np.zeros(40 * RATE), 0
    with av.open(str(clicks)) as container:
        stream = container.streams.audio[0]
        timeline = Timeline(0.0, 3600.0)

        def follow(steps: object) -> None:
            nonlocal now
            for step in steps:  # type: ignore[attr-defined]
                match step:
                    case Silence(until):
                        now = round(until * RATE)
                    case Overlap(seconds):
                        now -= round(seconds * RATE)
                    case frame:
                        sound = frame.to_ndarray().reshape(frame.samples, -1)[:, 0]
                        scale = 1.0 if np.issubdtype(sound.dtype, np.floating) else 32768.0
                        placed[now : now + len(sound)] = sound / scale
                        now += len(sound)

        continuity = DecoderFlusher(stream)
        for packet in container.demux(stream):
            if packet.size and random.random() < rate:
                continue
            continuity.flush_if_discontinuous(packet)
            for frame in packet.decode():
                follow(timeline.add(frame, frame.time, frame.samples / frame.rate))
        follow(timeline.finish(20.0))
    heard = np.flatnonzero(np.abs(placed) > 0.3) / RATE
    wrong = [time for time in heard if abs(time % 1 - 0.5) > NEAR]
    assert wrong == []
    assert rate > 0.5 or len({round(time - 0.5) for time in heard}) >= 8
