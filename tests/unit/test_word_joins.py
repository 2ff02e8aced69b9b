"""Cuts into speech leave nothing behind: no half words, no full stops, no capitals."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcripts.stitch import TranscribedChunk, stitch
from transcripts.text.word_joins import merge_words, normalize_word, smooth_boundary
from transcripts.types import Interval, Word


def said(text: str, start: float = 0.0, pace: float = 0.5) -> tuple[Word, ...]:
    return tuple(
        Word(word, start + at * pace, start + at * pace + pace * 0.8)
        for at, word in enumerate(text.split())
    )


def heard(start: float, end: float, text: str) -> TranscribedChunk:
    """A window with a word each half second of it."""
    return TranscribedChunk(Interval(start, end), said(text, start))


def texts(words: Sequence[Word]) -> str:
    return " ".join(word.text for word in words)


@pytest.mark.parametrize(
    ("first", "second"),
    [("Don't,", "dont"), ("«Straße»", "STRASSE"), ("e-mail", "email"), ("50%", "50%."), ("…", "…")],
)
def test_what_sounds_the_same_is_the_same(first: str, second: str) -> None:
    assert normalize_word(first) == normalize_word(second)


@pytest.mark.parametrize(
    ("first", "second"), [("5", "5%"), ("$5", "5"), ("A", "A&B"), ("C", "C++"), ("-", "–")]
)
def test_what_is_read_out_is_part_of_the_word(first: str, second: str) -> None:
    assert normalize_word(first) != normalize_word(second)


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("house.", "House", "house"),
        ("house", "House,", "house,"),
        ("House.”", "house", "House"),
        ("東京。", "東京", "東京"),
        ("50%.", "50%", "50%"),
        ("...", "...", "..."),
    ],
)
def test_a_word_begins_as_the_first_heard_it_and_ends_as_the_second(
    first: str, second: str, whole: str
) -> None:
    word = merge_words(Word(first, 1.0, 1.4, 0.5), Word(second, 1.1, 1.5, 0.9))
    assert word == Word(whole, 1.0, 1.4, 0.5)


@pytest.mark.parametrize(
    ("last", "coming", "told"),
    [
        pytest.param("He saw the.", "house and", "He saw the house and", id="a small letter"),
        pytest.param("He saw Mr.", "smith and", "He saw Mr. smith and", id="an abbreviation"),
        pytest.param("He saw it?", "house and", "He saw it? house and", id="a question is one"),
        pytest.param("he saw the.", "house and", "he saw the. house and", id="no capitals at all"),
        pytest.param("and so the", "And so", "and so the and so", id="small elsewhere"),
        pytest.param("so the", "Anna and", "so the Anna and", id="small nowhere"),
        pytest.param("so will Will", "Will go", "so will Will Will go", id="a name elsewhere"),
        pytest.param("and so.", "And so", "and so. And so", id="nothing to tell by"),
    ],
)
def test_a_cut_in_a_short_pause_leaves_no_full_stop_and_no_capital(
    last: str, coming: str, told: str
) -> None:
    first = heard(0, 0.5 * len(last.split()), last)
    second = heard(first.window.end, first.window.end + 9, coming)
    assert texts(stitch([first, second])) == told


def test_after_a_long_pause_a_sentence_begins_as_it_is_written() -> None:
    assert texts(smooth_boundary(said("He saw the."), said("house", 4.0))) == "the. house"


def test_capitals_and_full_stops_of_a_cut_into_speech_go() -> None:
    first = heard(0, 5, "We went to the old river house and then. The.")
    second = heard(2.5, 9, "River house and then the boat came in.")
    assert texts(stitch([first, second])) == (
        "We went to the old river house and then the boat came in."
    )


def test_half_a_word_at_a_cut_is_left_out_although_the_other_heard_nothing_there() -> None:
    first = TranscribedChunk(
        Interval(0, 10), (*said("one two three four", 7), Word("thank", 9.7, 10.0))
    )
    second = TranscribedChunk(
        Interval(6, 16), (*said("one two three four", 7), *said("five", 10.9))
    )
    assert texts(stitch([first, second])) == "one two three four five"


def test_a_word_at_a_cut_is_kept_where_the_other_window_is_deaf() -> None:
    first = TranscribedChunk(Interval(0, 10), (*said("one two", 5), Word("three", 9.6, 10.0)))
    second = TranscribedChunk(Interval(5, 15), (*said("one two", 5), *said("four", 13)))
    assert texts(stitch([first, second])) == "one two three four"


def test_real_repetitions_across_a_cut_stay() -> None:
    whole = said("so no no no no no no but yes", 0, 0.4)
    first = TranscribedChunk(Interval(0, 2.4), whole[:6])
    second = TranscribedChunk(Interval(0.8, 4), tuple(whole[2:]))
    assert stitch([first, second]) == whole


#: Each word in all the ways in which an engine may write it; the last is how it is told here.
WAYS = [
    *(["no"], ["yes"], ["the"], ["a"], ["house"], ["Anna"], ["of"], ["and"], ["to"], ["knew"]),
    *(
        ["don't", "do not"],
        ["twenty-one", "21", "twenty one"],
        ["I'm", "I am"],
        ["5%", "5 percent"],
    ),
]
TOLD = {way.lower(): ways[-1].lower().split() for ways in WAYS for way in ways}
#: What engines make of the half of a word, next to words that nobody said.
HALVES = ["(half)", "Of", "te", "the", None]


@dataclass(frozen=True)
class Said:
    ways: list[str]
    start: float
    end: float
    mark: str
    is_first: bool


def speech(rng: random.Random, seconds: float) -> list[Said]:
    """Words of 0.15 to 0.75 s, hardly a pause; some are said twice and more, one after another."""
    words: list[Said] = []
    now = 0.0
    while now < seconds:
        now += rng.choice([0.0, 0.0, 0.0, 0.02, 0.05, 0.3, 0.8])
        ways = _next(rng, words[-1].ways if words else ["no"])
        end = now + rng.uniform(0.15, 0.5) * (1.0 if len(ways) == 1 else 1.5)
        mark = rng.choices([".", ",", ""], [10, 8, 82])[0]
        words.append(Said(ways, now, end, mark, not words or words[-1].mark == "."))
        now = end
    return words


def _next(rng: random.Random, last: list[str]) -> list[str]:
    if len(last) == 1 and rng.random() < 0.12:
        return last
    return rng.choice([ways for ways in WAYS if len(ways) == 1 or ways is not last])


def listened(
    window: Interval, words: Sequence[Said], rng: random.Random, noise: float
) -> TranscribedChunk:
    """What an engine makes of it: starts and ends *noise* off at most, anything for half words.

    It begins with a capital, and ends with a full stop where the recording goes on.
    """
    found: list[Word] = []
    for word in words:
        start, end = max(word.start, window.start), min(word.end, window.end)
        if end - start < 0.05:
            continue
        parts = _written(word, rng, is_whole=(start, end) == (word.start, word.end))
        step = (end - start) / max(1, len(parts))
        for at, part in enumerate(parts):
            begin = start + at * step
            times = [time + rng.uniform(-noise, noise) for time in (begin, begin + step)]
            _add(found, part, times[0], times[1], window)
    if found:
        found[0] = _with_text(found[0], found[0].text[0].upper() + found[0].text[1:])
        if found[-1].text[-1].isalnum() and window.end < words[-1].end:
            found[-1] = _with_text(found[-1], found[-1].text + ".")
    return TranscribedChunk(window, tuple(found))


def _written(word: Said, rng: random.Random, *, is_whole: bool) -> list[str]:
    if not is_whole:
        return [half for half in [rng.choice(HALVES)] if half]
    text = rng.choice(word.ways) + word.mark
    return (text[0].upper() + text[1:] if word.is_first else text).split()


def _add(found: list[Word], text: str, start: float, end: float, window: Interval) -> None:
    """In the order in which they were said, without overlap, inside of the window."""
    start = min(max(start, window.start), window.end)
    if found:
        start = max(start, found[-1].start)
        found[-1] = Word(found[-1].text, found[-1].start, min(found[-1].end, start))
    found.append(Word(text, start, min(max(end, start + 0.02), window.end)))


def _with_text(word: Word, text: str) -> Word:
    return Word(text, word.start, word.end)


def read(words: Sequence[str], *, marks: bool) -> list[str]:
    """The words in the way in which they are told here."""
    found: list[str] = []
    for word in " ".join(words).split():
        bare, mark = re.fullmatch(r"(.*?)([.,]*)", word).groups()
        found += TOLD.get(bare.lower(), [bare.lower()])
        found[-1] += mark if marks else ""
    return found


def windows(length: float, overlap: float, end: float) -> list[Interval]:
    starts = [0.0]
    starts += itertools.takewhile(
        lambda start: start + overlap < end, itertools.count(length - overlap, length - overlap)
    )
    return [Interval(start, end + 1 if start == starts[-1] else start + length) for start in starts]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([3.0, 4.0, 5.0, 6.0]), st.floats(0.0, 0.2))
def test_whatever_is_said_comes_back_word_for_word(seed: int, overlap: float, noise: float) -> None:
    rng = random.Random(seed)
    words = speech(rng, 60)
    parts = windows(13.0, overlap, words[-1].end)
    told = stitch([listened(window, words, rng, noise) for window in parts])
    truth = [word.ways[-1] + word.mark for word in words]
    heard_words = [word.text for word in told]
    assert read(heard_words, marks=False) == read(truth, marks=False)
    if overlap >= 5.0:
        assert read(heard_words, marks=True) == read(truth, marks=True)
