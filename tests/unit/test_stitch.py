"""Words of overlapping windows come together once each."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcripts.stitch import TranscribedChunk, shift_words, stitch
from transcripts.types import Interval, Word

#: Short on purpose, so that the same words stand near one another.
VOCABULARY = ["no", "yes", "the", "a", "house", "river", "seven", "and then", "nobody", "knew"]


def said(text: str, start: float, pace: float = 0.5) -> tuple[Word, ...]:
    """The words of a text, one every *pace* seconds, with a short pause after each."""
    return tuple(
        Word(word, start + at * pace, start + at * pace + pace * 0.8)
        for at, word in enumerate(text.split())
    )


def chunk(start: float, end: float, words: tuple[Word, ...]) -> TranscribedChunk:
    return TranscribedChunk(Interval(start, end), words)


def texts(words: tuple[Word, ...]) -> str:
    return " ".join(word.text for word in words)


def test_words_of_windows_apart_follow_one_another() -> None:
    first = chunk(0, 5, said("good morning", 1))
    second = chunk(7, 12, said("good morning to you", 7.5))
    assert stitch([first, second]) == first.words + second.words


def test_a_word_said_on_both_sides_of_a_cut_is_kept_twice() -> None:
    first = chunk(0, 10, (Word("no", 9.7, 10.0),))
    second = chunk(10 - 1e-9, 20, (Word("no", 10.0, 10.3),))
    assert texts(stitch([first, second])) == "no no"


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        pytest.param(
            said("one two three four five six seven eight nine te", 0),
            said("x seven eight nine ten eleven", 2.5),
            "one two three four five six seven eight nine ten eleven",
            id="both edges are cut in half",
        ),
        pytest.param(
            said("we say no no no and go", 0),
            said("no no no and go home", 1.05),
            "we say no no no and go home",
            id="repeated words are told apart by their times",
        ),
        pytest.param(
            said("a Good, day to you all", 0),
            said("good day to you all sir", 0.5),
            "a Good, day to you all sir",
            id="case and punctuation do not matter",
        ),
        pytest.param(
            said("one two wrong four five six", 0),
            said("two three four five six seven", 0.5),
            "one two wrong four five six seven",
            id="a difference off the middle stays with the first hearing",
        ),
    ],
)
def test_the_doubled_part_is_told_once(
    first: tuple[Word, ...], second: tuple[Word, ...], whole: str
) -> None:
    overlap = chunk(second[0].start, second[-1].end, second)
    assert texts(stitch([chunk(0, first[-1].end, first), overlap])) == whole


def test_hearings_without_a_common_word_change_over_in_the_middle() -> None:
    first = chunk(0, 10, said("one two three four five six seven eight", 6))
    second = chunk(6, 16, said("uno dos tres cuatro cinco seis siete ocho nueve", 6))
    assert texts(stitch([first, second])) == "one two three four cinco seis siete ocho nueve"


def test_without_a_common_word_the_change_avoids_splitting_words() -> None:
    first = chunk(0, 10, (Word("early", 6, 7.5), Word("long", 7.6, 8.2)))
    second = chunk(6, 16, (Word("fruh", 6, 7.5), Word("lang", 7.7, 8.5), Word("end", 11, 12)))
    assert texts(stitch([first, second])) == "early lang end"


def test_the_change_falls_where_many_words_agree_rather_than_one_by_chance() -> None:
    first = chunk(0, 6.6, said("go one two three four five bad the worse", 0))
    second = chunk(0.5, 16, said("one two three four five good the best end", 0.5))
    assert texts(stitch([first, second])) == "go one two three four five good the best end"


def test_of_repeated_words_the_one_at_the_same_time_is_meant() -> None:
    first = chunk(0, 6, said("so no no", 4.6, pace=0.4))
    second = chunk(5.2, 16, said("no but", 5.4, pace=0.4))
    assert texts(stitch([first, second])) == "so no no but"


def test_a_short_word_heard_a_little_later_is_still_the_same_word() -> None:
    first = chunk(0, 10, (Word("both", 6.0, 6.5), Word("yes", 8.5, 8.6)))
    second = chunk(5, 15, (Word("both", 6.0, 6.5), Word("yes", 8.95, 9.05)))
    assert texts(stitch([first, second])) == "both yes"


def test_what_only_one_window_heard_is_kept() -> None:
    words = said("all of this was heard by one", 5)
    silent = ()
    assert stitch([chunk(0, 10, words), chunk(5, 15, silent)]) == words
    assert stitch([chunk(0, 10, silent), chunk(5, 15, words)]) == words


def test_what_only_one_window_heard_is_kept_beside_what_both_heard() -> None:
    first = chunk(0, 10, (*said("both heard", 5), *said("this late part", 8)))
    second = chunk(5, 15, (*said("both heard", 5), *said("goodbye", 12)))
    assert texts(stitch([first, second])) == "both heard this late part goodbye"


def sure(text: str, start: float, pace: float = 0.5) -> tuple[Word, ...]:
    """As `said`, with confidence 0.9, or 0.3 for each word with a question mark, which goes."""
    return tuple(
        Word(word.text.rstrip("?"), word.start, word.end, 0.3 if "?" in word.text else 0.9)
        for word in said(text, start, pace)
    )


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("one two free? four five six", "two three four five six", "one two three four five six"),
        ("one two three four five six", "two three four hive? six", "one two three four five six"),
        ("one two three four five six", "two free? four five six", "one two three four five six"),
        ("one two for? thee? five six", "two three four five six", "one two three four five six"),
        ("one two three? four five six", "two free? four five six", "one two three four five six"),
        ("one two three four five sick", "two three four five six?", "one two three four five six"),
    ],
    ids=["first half", "second half", "was right", "two words", "both doubt", "at the edge"],
)
def test_between_words_that_both_heard_the_surer_one_is_believed(
    first: str, second: str, whole: str
) -> None:
    chunks = [chunk(0, 3, sure(first, 0)), chunk(0.5, 3.5, sure(second, 0.5))]
    assert texts(stitch(chunks)) == whole


def test_an_engine_without_confidences_is_not_believed_more_or_less() -> None:
    first = chunk(0, 3, said("one two free four five six", 0))
    second = chunk(0.5, 3.5, sure("two three four five six", 0.5))
    assert texts(stitch([first, second])) == "one two free four five six"


def test_a_missing_chunk_leaves_a_gap() -> None:
    words = said("before", 8), said("after", 31)
    chunks = [chunk(0, 10, words[0]), chunk(30, 40, words[1])]
    assert stitch(chunks) == words[0] + words[1]


def test_a_window_inside_another_adds_nothing() -> None:
    whole = chunk(0, 10, said("all there is", 1))
    assert stitch([whole, chunk(2, 6, said("there is", 2))]) == whole.words


def test_impossible_times_become_possible_ones() -> None:
    wild = (
        Word("late", 4.0, 99.0),
        Word("timeless", math.nan, math.nan),
        Word("backwards", 6.0, 5.0),
        Word("beyond", 30.0, 31.0),
    )
    heard = stitch([chunk(0, 10, wild), chunk(10, 20, said("next", 10))])
    assert texts(heard) == "late backwards timeless beyond next"
    assert [word.start for word in heard] == [4.0, 6.0, 10.0, 10.0, 10.0]
    assert all(word.start <= word.end <= 20 for word in heard)


def test_nothing_heard_is_an_empty_transcript() -> None:
    assert stitch([]) == ()
    assert stitch([chunk(0, 10, ())]) == ()


def test_shift_moves_words_and_keeps_the_rest_of_them() -> None:
    (word,) = shift_words([Word("yes", 1.0, 1.5, confidence=0.5, speaker=3)], 60.0)
    assert word == Word("yes", 61.0, 61.5, confidence=0.5, speaker=3)


@st.composite
def windows_apart(draw: st.DrawFn) -> list[TranscribedChunk]:
    chunks, now = [], 0.0
    for _ in range(draw(st.integers(0, 4))):
        start = now = now + draw(st.sampled_from([0.0, 0.3, 5.0]))
        words = []
        for _ in range(draw(st.integers(0, 8))):
            begin = now + draw(st.sampled_from([0.0, 0.01, 0.4]))
            now = begin + draw(st.sampled_from([0.0, 0.1, 0.9]))
            words.append(Word(draw(st.sampled_from(VOCABULARY)), begin, now))
        chunks.append(chunk(start, now, tuple(words)))
    return chunks


@settings(max_examples=100, deadline=None)
@given(windows_apart())
def test_windows_that_do_not_overlap_lose_and_change_nothing(
    chunks: list[TranscribedChunk],
) -> None:
    assert stitch(chunks) == tuple(word for heard in chunks for word in heard.words)


def speech(random: random.Random, seconds: float) -> list[Word]:
    words, now = [], 0.0
    while now < seconds:
        now += random.choice([0.0, 0.0, 0.05, 0.3, 0.8])
        end = now + random.uniform(0.12, 0.6)
        words.append(Word(random.choice(VOCABULARY), now, end))
        now = end
    return words


def heard_in(window: Interval, words: list[Word], random: random.Random) -> TranscribedChunk:
    """What an engine makes of a window: times a little off, and rubbish for words cut in half."""
    heard = []
    for word in words:
        start, end = max(word.start, window.start), min(word.end, window.end)
        if end - start < 0.05:
            continue
        text = word.text if end - start > 0.99 * (word.end - word.start) else "(rubbish)"
        off = random.uniform(-0.1, 0.1)
        heard.append(Word(text, start + off, end + off))
    return TranscribedChunk(window, tuple(heard))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.floats(2.5, 6.0), st.floats(12.0, 30.0))
def test_a_text_heard_in_overlapping_windows_comes_back_word_for_word(
    seed: int, overlap: float, length: float
) -> None:
    rng = random.Random(seed)
    words = speech(rng, 100)
    starts = itertools.takewhile(
        lambda start: start + overlap < words[-1].end,
        (at * (length - overlap) for at in itertools.count()),
    )
    chunks = [heard_in(Interval(start, start + length), words, rng) for start in starts]
    told = stitch(chunks)

    assert [word.text for word in told] == [word.text for word in words]
    assert all(abs(a.start - b.start) < 0.5 for a, b in zip(told, words, strict=True))
    assert [word.start for word in told] == sorted(word.start for word in told)
    assert told == stitch(chunks)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.floats(5.0, 6.0))
def test_what_one_window_was_unsure_of_is_taken_from_the_other(seed: int, overlap: float) -> None:
    rng = random.Random(seed)
    words = [Word(f"{at} {VOCABULARY[at % 7]}", at * 0.5, at * 0.5 + 0.45, 0.9) for at in range(60)]
    split = Interval(15 - overlap / 2, 15 + overlap / 2)
    first = [word for word in words if word.end <= split.end]
    second = [word for word in words if word.start >= split.start]
    # No two doubts are neighbours, and both hear the outermost doubled words well.
    doubts = [word for word in first if split.start + 1 <= word.start and word.end < split.end - 1]
    for word in doubts[:: rng.choice([2, 3])]:
        unsure = rng.choice([first, second])
        unsure[unsure.index(word)] = Word("(rubbish)", word.start, word.end, 0.2)
    told = stitch([chunk(0, split.end, tuple(first)), chunk(split.start, 30, tuple(second))])
    assert told == tuple(words)


@st.composite
def any_chunks(draw: st.DrawFn) -> list[TranscribedChunk]:
    """Windows in recording order, that may overlap in any way, with words of any times."""
    chunks, time = [], st.one_of(st.floats(-5, 60), st.just(math.nan))
    for start in sorted(draw(st.lists(st.integers(0, 40), max_size=5))):
        window = Interval(float(start), float(start + draw(st.integers(0, 12))))
        word = st.builds(Word, st.sampled_from(VOCABULARY), time, time)
        chunks.append(TranscribedChunk(window, tuple(draw(st.lists(word, max_size=6)))))
    return chunks


@settings(max_examples=150, deadline=None)
@given(any_chunks())
def test_times_are_sane_whatever_was_heard(chunks: list[TranscribedChunk]) -> None:
    told = stitch(chunks)
    starts = [word.start for word in told]
    assert starts == sorted(starts)
    assert all(math.isfinite(word.start) and word.start <= word.end for word in told)
    assert len(told) <= sum(len(heard.words) for heard in chunks)
