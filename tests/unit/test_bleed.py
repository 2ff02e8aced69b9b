"""What a channel only hears of another is nobody's word twice."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chunking import tracks
from chunking.cut import AudioChunker
from chunking.vad.bleed import find_bleed, subtract_intervals
from tests.unit.media import babble, silence, write_wav
from transcripts.speakers.channels import merge_channels
from transcripts.stitch import TranscribedChunk
from transcripts.types import Interval, Word

RATE = 16_000
#: Somebody on the left, somebody on the right, both at once, the left again (seconds).
TURNS = ([(0.5, 4.5), (9.5, 12.5), (14.0, 17.0)], [(5.0, 9.0), (10.5, 13.5)])


def call(decibels: float, echo: float = 0.0, hiss: float = 1e-4) -> list[np.ndarray]:
    """Two channels, each of which also hears the other, *decibels* lower and *echo* later."""
    rng = np.random.default_rng(1)
    own = [silence(18.0).copy() for _ in TURNS]
    for channel, turns in enumerate(TURNS):
        for start, end in turns:
            sound = babble(end - start)
            first = round(start * RATE)
            own[channel][first : first + len(sound)] += sound
    factor, late = 10 ** (decibels / 20), round(echo * RATE)
    mixed = [
        mine + factor * np.concatenate([np.zeros(late), other[: len(other) - late]])
        for mine, other in zip(own, own[::-1], strict=True)
    ]
    return [one + rng.normal(0, hiss, len(one)) for one in mixed]


def found_in(path: Path, folder: Path) -> list[tuple[Interval, ...]]:
    pieces = tracks.cut_channels(AudioChunker(), path, folder)
    return [
        tuple(span for piece in pieces.chunks if piece.channel == channel for span in piece.bleed)
        for channel in (0, 1)
    ]


def shared(spans: tuple[Interval, ...], start: float, end: float) -> float:
    return sum(max(0.0, min(end, span.end) - max(start, span.start)) for span in spans)


@pytest.mark.parametrize(("decibels", "echo"), [(-12, 0.0), (-30, 0.2)])
def test_what_a_channel_hears_of_the_other_is_found(
    tmp_path: Path, decibels: float, echo: float
) -> None:
    path = write_wav(tmp_path / "call.wav", *call(decibels, echo))
    left, right = found_in(path, tmp_path)
    # Where only the other speaks, no speech but bleed may be left; far from it there is none.
    pieces = tracks.cut_channels(AudioChunker(), path, _new(tmp_path))
    for one in pieces.metadata("call.wav")["chunks"]:
        others = [(5.3, 9.0)] if one["channel"] == 0 else [(0.8, 4.5), (14.3, 17.0)]
        own = tuple(Interval(*span) for span in one["speech"])
        assert all(shared(own, *turn) <= 0.2 for turn in others)
    assert shared(left, 0.6, 4.4) + shared(left, 14.1, 16.9) == 0
    assert shared(right, 5.5, 8.9) <= 0.1


def _new(folder: Path) -> Path:
    folder = folder / "again"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("decibels", [-20, -90])
def test_who_speaks_at_the_same_time_is_no_bleed(tmp_path: Path, decibels: float) -> None:
    path = write_wav(tmp_path / "call.wav", *call(decibels))
    for spans in found_in(path, tmp_path):
        assert shared(spans, 10.6, 12.4) <= 0.6


def test_clean_channels_and_lone_ones_hear_nothing_of_others(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "call.wav", *call(-90))
    assert all(shared(spans, 0, 18) <= 0.2 for spans in found_in(path, tmp_path))
    assert find_bleed([], []) == ()
    pcm = tmp_path / "lone.pcm"
    pcm.write_bytes(b"\0\0" * RATE)
    assert find_bleed([pcm], [[Interval(0, 1)]]) == ((),)


def test_tracks_of_different_lengths(tmp_path: Path) -> None:
    long, short = tmp_path / "long.pcm", tmp_path / "short.pcm"
    sound = (32767 * babble(4.0)).astype("<i2")
    long.write_bytes(sound.tobytes())
    short.write_bytes((sound[: 2 * RATE] // 10).tobytes())
    first, second = find_bleed([long, short], [[Interval(0, 4)], [Interval(0, 2)]])
    assert first == ()
    assert second[0].start == 0
    assert second[-1].end <= 2.0
    assert shared(second, 0, 2) > 1.7


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 9))), st.lists(st.integers(0, 60)))
def test_without_leaves_the_rest(spans: list[tuple[int, int]], edges: list[int]) -> None:
    edges = sorted(set(edges))
    holes = [Interval(a, b) for a, b in zip(edges[::2], edges[1::2], strict=False)]
    whole = [Interval(start, start + length) for start, length in sorted(spans)]
    for span in whole:
        left = {
            at
            for one in subtract_intervals([span], holes)
            for at in range(int(one.start), int(one.end))
        }
        gone = {at for hole in holes for at in range(int(hole.start), int(hole.end))}
        assert left == set(range(int(span.start), int(span.end))) - gone


# The words


def heard(*words: tuple[str, float]) -> list[TranscribedChunk]:
    return [
        TranscribedChunk(
            Interval(0, 20), tuple(Word(text, at, at + 0.3, 0.9) for text, at in words)
        )
    ]


QUESTION = [("how", 1.0), ("are", 1.4), ("you", 1.8)]
ANSWER = [("very", 4.0), ("well", 4.4)]


def told(
    bleed_of: dict[int, list[Interval]], *channels: list[TranscribedChunk]
) -> list[tuple[int, str]]:
    segments = merge_channels(dict(enumerate(channels)), bleed_of)
    return [(one.speaker, one.text) for one in segments]


def test_words_of_another_channel_are_left_out() -> None:
    left = heard(*QUESTION, ("fairy", 4.1), ("well", 4.4))
    right = heard(("how", 1.05), ("far", 1.4), *ANSWER)
    bled = {0: [Interval(3.9, 4.8)], 1: [Interval(0.9, 2.2)]}
    assert told(bled, left, right) == [(0, "how are you"), (1, "very well")]


def test_words_that_only_the_bleed_has_are_kept() -> None:
    assert told({1: [Interval(0.9, 2.2)]}, heard(("you", 1.8)), heard(("how", 1.0), *ANSWER)) == [
        (1, "how"),
        (0, "you"),
        (1, "very well"),
    ]


def test_a_word_of_ones_own_at_the_edge_of_bleed_is_kept() -> None:
    right = heard(("yes", 2.0), *ANSWER)
    assert told({1: [Interval(0.9, 2.12)]}, heard(*QUESTION), right)[1] == (1, "yes")


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans()), max_size=20))
def test_each_word_is_told_once(words: list[tuple[int, int, bool]]) -> None:
    """Whoever speaks in turn, the other channel hears all of it, and all of that is bleed."""
    said = [(f"w{n}", n * 0.5, is_left) for n, (_, _, is_left) in enumerate(words)]
    channels = [heard(*((text, at) for text, at, _ in said))] * 2
    bled = {
        channel: [
            Interval(at - 0.05, at + 0.35) for _, at, is_left in said if is_left == bool(channel)
        ]
        for channel in (0, 1)
    }
    segments = merge_channels(dict(enumerate(channels)), bled)
    found = sorted((word.start, word.text, word.speaker) for one in segments for word in one.words)
    assert found == [(at, text, int(not is_left)) for text, at, is_left in said]
    assert all(a <= b for a, b in pairwise([one.start for one in segments]))
