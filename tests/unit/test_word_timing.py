"""What an engine writes is kept to the letter, whatever it times."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.whisper_model.word_timing import fit_words, spread_text
from transcripts.segments import segment
from transcripts.serialization import words_from_json, words_to_json
from transcripts.spacing import join_words
from transcripts.types import Interval, Word

WINDOW = Interval(2.0, 32.0)


def timed(*texts: str) -> list[Word]:
    """Tokens of half a second each."""
    return [Word(text, at / 2, at / 2 + 0.5, 0.9) for at, text in enumerate(texts)]


def folded(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("tokens", "words"),
    [
        ((" Call", " 409", "-866", "-5088", " now."), ["Call", "409-866-5088", "now."]),
        ((" at", " gmail", ".com"), ["at", "gmail.com"]),
        ((" B", "-A", "-L", "-L."), ["B-A-L-L."]),
        ((" rock", "'n'", "roll"), ["rock'n'roll"]),
        ((" 3", ".14", " and", " 1", ",000"), ["3.14", "and", "1,000"]),
        ((" well", " -", " no"), ["well", "-", "no"]),
        (("我", "用", "i", "Phone", "手", "机", "。"), ["我", "用", "iPhone", "手", "机。"]),
        (("こん", "にち", "は", "、", "田中"), ["こん", "にち", "は、", "田中"]),
    ],
)
def test_what_is_written_as_one_word_stays_one_word(tokens: tuple[str, ...], words: list[str]):
    text = "".join(tokens)
    found = fit_words(text, timed(*tokens), WINDOW)
    assert [word.text for word in found] == words
    assert join_words(found) == folded(text)


def test_a_word_out_of_parts_lasts_from_the_first_to_the_last():
    (word,) = fit_words("409-866-5088", timed("409", "-866", "-5088"), WINDOW)
    assert (word.start, word.end) == (0.0, 1.5)
    assert word.confidence == pytest.approx(0.9)


def test_spaces_that_a_script_does_not_set_are_kept():
    words = fit_words("你好 世界", timed("你好", " 世界"), WINDOW)
    assert [word.space_before for word in words] == [None, True]
    assert join_words(words) == "你好 世界"
    stored = words_from_json(words_to_json(words))
    assert join_words(stored) == "你好 世界"
    (whole,) = segment(words, max_pause=9)
    assert whole.text == "你好 世界"


def test_words_without_punctuation_take_that_of_the_text():
    """As services tell them: the words beside the text, bare."""
    words = fit_words("Well, I said: go!", timed("well", "I", "said", "go"), WINDOW)
    assert [word.text for word in words] == ["Well,", "I", "said:", "go!"]
    assert [word.start for word in words] == [0.0, 0.5, 1.0, 1.5]


def test_a_word_that_was_not_timed_shares_the_time_of_the_one_before():
    words = fit_words("one two three", timed("one", "three"), WINDOW)
    assert [word.text for word in words] == ["one", "two", "three"]
    assert words[0].start <= words[1].start <= words[2].start == 0.5


def test_without_any_times_the_words_share_the_window():
    words = fit_words("one two", [], WINDOW)
    assert (words[0].start, words[-1].end) == (2.0, 32.0)
    assert fit_words("  ", [], WINDOW) == []


_TEXT = st.text(st.sampled_from("ab 1-.,'’ \n你好。用アイ กข 한글ñé"), min_size=1, max_size=60)


@given(text=_TEXT, cuts=st.lists(st.integers(0, 60), max_size=12))
def test_the_text_is_what_the_engine_gave(text: str, cuts: list[int]):
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    tokens = [text[a:b] for a, b in pairwise(places)]
    words = fit_words(text, timed(*tokens), WINDOW)
    assert join_words(words) == folded(text)
    assert all(word.text and word.start <= word.end for word in words)


@given(text=_TEXT, heard=st.lists(st.text("ab你x", min_size=1, max_size=3), max_size=8))
def test_the_text_is_kept_whatever_words_are_timed(text: str, heard: list[str]):
    assert join_words(fit_words(text, timed(*heard), WINDOW)) == folded(text)


@given(text=_TEXT)
def test_a_text_that_is_timed_as_a_whole_is_kept(text: str):
    assert join_words(spread_text(text, WINDOW)) == folded(text)
