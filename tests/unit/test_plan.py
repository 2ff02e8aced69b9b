"""Where recordings are cut: properties that hold for every recording, and some pictures."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking.plan.planner import Planner, PlanSettings, Window, plan_shards, plan_windows
from transcripts.types import Interval

NEAR = 1e-6


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[Interval], float]:
    """Speech and duration, from one word to half an hour, with pauses of all lengths."""
    lengths = st.one_of(
        st.floats(0.03, 8), st.floats(0.03, 8), st.floats(8, 40), st.floats(40, 150)
    )
    pauses = st.one_of(st.floats(0.05, 1.5), st.floats(0.05, 1.5), st.floats(1.5, 60))
    pairs = draw(st.lists(st.tuples(pauses, lengths), max_size=25))
    spans, now = [], draw(st.floats(0, 5))
    for pause, length in pairs:
        spans.append(Interval(now, now + length))
        now += length + pause
    return spans, now + draw(st.floats(0, 20))


plan_settings = st.builds(
    lambda target, overlap, stretch: PlanSettings(
        chunk_duration=target,
        chunk_overlap=overlap * target,
        max_chunk_duration=stretch * target,
    ),
    target=st.floats(10, 120),
    overlap=st.sampled_from([0.0, 0.1, 1 / 6, 0.5]),
    stretch=st.sampled_from([1.0, 1.2, 2.0]),
)


def any_plan(test):
    """Run *test* for many recordings and settings."""
    many = settings(max_examples=60, deadline=None)
    return many(given(recording=recordings(), how=plan_settings)(test))


def covered(moment: float, windows: tuple[Window, ...]) -> bool:
    return any(window.start - NEAR <= moment <= window.end + NEAR for window in windows)


@any_plan
def test_all_speech_lies_in_windows(recording, how) -> None:
    speech, duration = recording
    windows = plan_windows(speech, duration, how)
    borders = [edge for window in windows for edge in (window.start, window.end)]
    for span in speech:
        inside = [span.start, span.end, *(b for b in borders if span.start < b < span.end)]
        assert all(covered(moment, windows) for moment in inside)
        for left, right in itertools.pairwise(sorted(inside)):
            assert covered((left + right) / 2, windows)


@any_plan
def test_windows_are_in_order_and_inside_the_recording(recording, how) -> None:
    speech, duration = recording
    windows = plan_windows(speech, duration, how)
    assert all(0 <= window.start < window.end <= duration + NEAR for window in windows)
    for window, following in itertools.pairwise(windows):
        assert window.start < following.start
        assert window.end < following.end


@any_plan
def test_no_window_is_longer_than_the_maximum(recording, how) -> None:
    speech, duration = recording
    assert all(
        window.duration <= how.max_duration + NEAR for window in plan_windows(speech, duration, how)
    )


@any_plan
def test_windows_overlap_only_where_a_cut_fell_into_long_speech(recording, how) -> None:
    speech, duration = recording
    windows = plan_windows(speech, duration, how)
    for window, following in itertools.pairwise(windows):
        shared = window.end - following.start
        assert max(0.0, shared) == pytest.approx(window.overlap, abs=NEAR)
        if window.overlap:
            assert window.overlap == pytest.approx(how.chunk_overlap)
            cut = (window.end + following.start) / 2
            assert any(s.start < cut < s.end and s.duration > how.max_duration for s in speech)
    assert not windows or windows[-1].overlap == 0


@any_plan
def test_a_window_holds_no_long_silence(recording, how) -> None:
    speech, duration = recording
    windows = plan_windows(speech, duration, how)
    if windows == (Window(0.0, duration),):
        return
    for left, right in itertools.pairwise(speech):
        if right.start - left.end > how.longest_silence + NEAR:
            middle = (left.end + right.start) / 2
            assert not any(window.start < middle < window.end for window in windows)


@any_plan
def test_windows_begin_and_end_near_speech(recording, how) -> None:
    speech, duration = recording
    windows = plan_windows(speech, duration, how)
    if windows == (Window(0.0, duration),):
        return
    for window in windows:
        inside = [s for s in speech if s.start < window.end and s.end > window.start]
        assert inside[0].start - window.start <= how.edge_silence + NEAR
        assert window.end - inside[-1].end <= how.edge_silence + NEAR


@any_plan
def test_no_two_neighbours_could_have_been_one_short_window(recording, how) -> None:
    speech, duration = recording
    for left, right in itertools.pairwise(plan_windows(speech, duration, how)):
        together = right.end - left.start
        pause = right.start - left.end
        if pause < how.longest_silence - 2 * how.edge_silence - NEAR:
            assert together > 0.75 * how.chunk_duration


@any_plan
def test_the_same_recording_gets_the_same_plan(recording, how) -> None:
    speech, duration = recording
    shuffled = [*speech[::2], *speech[1::2]]
    assert plan_windows(speech, duration, how) == plan_windows(shuffled, duration, how)


@any_plan
def test_a_recording_no_longer_than_a_chunk_is_not_cut(recording, how) -> None:
    speech, duration = recording
    if duration <= how.chunk_duration:
        assert plan_windows(speech, duration, how) == ((Window(0.0, duration),) if speech else ())


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 2.0), st.floats(0.3, 6.0), st.floats(300, 3000))
def test_the_number_of_windows_is_near_the_length_over_the_target(pause, phrase, total) -> None:
    count = int(total / (phrase + pause))
    speech = [Interval(i * (phrase + pause), i * (phrase + pause) + phrase) for i in range(count)]
    windows = plan_windows(speech, total)
    assert 0.85 * total / 30 - 1 <= len(windows) <= 1.15 * total / 30 + 1
    assert all(window.overlap == 0 for window in windows)


@settings(max_examples=40, deadline=None)
@given(recording=recordings(), target=st.floats(60, 300))
def test_shards_cover_speech_and_never_overlap(recording, target) -> None:
    speech, duration = recording
    parts = plan_shards(speech, duration, target)
    assert all(covered(span.start, parts) and covered(span.end, parts) for span in speech)
    assert all(part.duration <= 1.2 * target + NEAR and part.overlap == 0 for part in parts)
    assert all(a.end <= b.start + NEAR for a, b in itertools.pairwise(parts))


def every(phrase: float, pause: float, total: float) -> list[Interval]:
    count = int(total / (phrase + pause))
    return [Interval(i * (phrase + pause), i * (phrase + pause) + phrase) for i in range(count)]


@pytest.mark.parametrize("pause", [0.15, 0.3, 0.4, 0.49, 0.5, 0.51, 0.7, 1.0])
def test_the_length_of_pauses_makes_no_cliff(pause: float) -> None:
    windows = plan_windows(every(4.0, pause, 1800), 1800)
    assert 57 <= len(windows) <= 63
    assert all(22 <= window.duration <= 36 for window in windows)


def test_the_longest_pause_in_reach_is_taken() -> None:
    speech = [Interval(0, 26), Interval(27.2, 29.9), Interval(30.05, 33), Interval(33.2, 55)]
    assert plan_windows(speech, 55)[0].end == pytest.approx(26.6)


def test_a_pause_of_a_tenth_of_a_second_is_better_than_a_cut_into_speech() -> None:
    first, second = plan_windows([Interval(0, 20), Interval(20.1, 45)], 45)
    assert (first.end, first.overlap, second.start) == (pytest.approx(20.05), 0, first.end)


def test_speech_without_any_pause_is_cut_with_overlap() -> None:
    windows = plan_windows([Interval(0, 100)], 100)
    assert [window.overlap for window in windows] == [5, 5, 5, 0]
    assert all(27 < window.duration < 31 for window in windows)


def test_a_lonely_word_gets_a_window_with_silence_around_it() -> None:
    (window,) = plan_windows([Interval(60, 60.4)], 120)
    assert (window.start, window.end) == (pytest.approx(59.2), pytest.approx(61.2))


def test_the_end_of_a_recording_is_no_sliver() -> None:
    windows = plan_windows(every(3.0, 0.4, 61), 61)
    assert len(windows) == 2
    assert min(window.duration for window in windows) > 25


@pytest.mark.parametrize("make", [plan_windows, plan_shards])
def test_without_speech_there_is_no_window(make) -> None:
    assert make([], 3600.0) == ()
    assert make([Interval(5, 5), Interval(-3, -1), Interval(4000, 4001)], 3600.0) == ()


@pytest.mark.parametrize(("minutes", "count"), [(5, 1), (29, 1), (31, 2), (60, 3), (120, 5)])
def test_shards_of_a_conversation(minutes: int, count: int) -> None:
    parts = plan_shards(every(5.0, 0.8, minutes * 60), minutes * 60)
    assert abs(len(parts) - count) <= (minutes > 31)
    assert all(part.duration > 900 or len(parts) == 1 for part in parts)


def test_ten_hours_without_a_long_pause() -> None:
    long = plan_windows(every(0.9, 0.12, 36000), 36000)
    assert len(long) == pytest.approx(1200, rel=0.05)


@pytest.mark.parametrize(
    "wrong",
    [
        {"chunk_duration": 0},
        {"chunk_overlap": 20},
        {"chunk_overlap": -1},
        {"max_chunk_duration": 10},
        {"min_silence_duration": 0},
        {"edge_silence": -1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        PlanSettings(**wrong)


@any_plan
def test_what_is_settled_early_is_what_is_planned_at_the_end(recording, how) -> None:
    speech, duration = recording
    planner, told = Planner(how), []
    for span in speech:
        planner.feed([span])
        told += planner.pop_settled()
    told += planner.finish(duration)
    if duration > how.chunk_duration:
        assert tuple(told) == plan_windows(speech, duration, how)


def test_windows_between_pauses_are_settled_soon() -> None:
    """Ten hours of phrases: what is not settled is some minutes, at any time."""
    chance = random.Random(1)
    planner, now, told = Planner(), 0.0, [Window(0.0, 0.0)]
    while now < 36_000:
        length = chance.uniform(1.0, 8.0)
        planner.feed([Interval(now, now + length)])
        told += planner.pop_settled()
        now += length + chance.uniform(0.2, 1.5)
        assert now - told[-1].end < 1200
