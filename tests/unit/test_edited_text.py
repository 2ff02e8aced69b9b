"""A text that was typed is timed by the words that were heard in its place."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcripts.edited_text import time_edited_text
from transcripts.spacing import join_texts, join_words
from transcripts.types import Interval, Word


def heard(text: str, *, seconds: float = 0.8) -> list[Word]:
    """A word a second, each somewhat shorter."""
    return [
        Word(word, float(at), at + seconds, 0.9, speaker=1) for at, word in enumerate(text.split())
    ]


def timed(before: str, after: str) -> list[tuple[str, float, float, float | None]]:
    words = heard(before)
    place = Interval(0, words[-1].end) if words else Interval(0, 4)
    return [
        (word.text, round(word.start, 3), round(word.end, 3), word.confidence)
        for word in time_edited_text(words, after, place, 1)
    ]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(
            "see you", "See you!", [("See", 0, 0.8, 0.9), ("you!", 1, 1.8, 0.9)], id="letters"
        ),
        pytest.param(
            "see shoe there", "see you there",
            [("see", 0, 0.8, 0.9), ("you", 1, 1.8, None), ("there", 2, 2.8, 0.9)], id="one for one",
        ),
        pytest.param(
            "a noise b", "a no ice b",
            [("a", 0, 0.8, 0.9), ("no", 1, 1.4, None), ("ice", 1.4, 1.8, None), ("b", 2, 2.8, 0.9)],
            id="two for one share its time",
        ),
        pytest.param(
            "a no ice b", "a noise b",
            [("a", 0, 0.8, 0.9), ("noise", 1, 2.8, None), ("b", 3, 3.8, 0.9)], id="one for two",
        ),
        pytest.param(
            "a b", "a c d b",
            [("a", 0, 0.8, 0.9), ("c", 0.8, 0.9, None), ("d", 0.9, 1, None), ("b", 1, 1.8, 0.9)],
            id="new ones fill the gap",
        ),
        pytest.param(
            "a b", "a b c", [("a", 0, 0.8, 0.9), ("b", 1, 1.8, 0.9), ("c", 1.8, 1.8, None)],
            id="... also where there is none",
        ),
        pytest.param("a b c", "a c", [("a", 0, 0.8, 0.9), ("c", 2, 2.8, 0.9)], id="taken away"),
        pytest.param("a b", " ", [], id="nothing was said"),
        pytest.param("", "a b", [("a", 0, 2, None), ("b", 2, 4, None)], id="nothing was heard"),
        pytest.param("a -", "a –", [("a", 0, 0.8, 0.9), ("–", 1, 1.8, None)], id="only signs"),
    ],
)  # fmt: skip
def test_words_take_their_times_from_what_was_heard(before: str, after: str, told: list) -> None:
    assert timed(before, after) == told


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("你好 世界 。", "你好大世界。", ["你好", "大", "世界。"]),
        ("สวัสดี ครับ", "สวัสดีค่ะ", ["สวัสดี", "ค่", "ะ"]),
        ("Hello。", "Hello。", ["Hello。"]),
        ("用 Linux", "用Linux。好", ["用", "Linux。", "好"]),
    ],
)
def test_without_spaces_words_are_those_that_are_known_or_characters(
    before: str, after: str, words: list[str]
) -> None:
    assert [word.text for word in time_edited_text(heard(before), after, Interval(0, 9))] == words


@st.composite
def spoken(draw: st.DrawFn) -> tuple[list[Word], Interval]:
    """Words in the order of their starts; some overlap, and some take no time."""
    times = st.integers(0, 100).map(lambda tenths: tenths / 10)
    starts = sorted(draw(st.lists(times, max_size=8)))
    words = [
        Word(draw(texts), start, start + draw(st.sampled_from([0.0, 0.2, 3.0])), 0.5)
        for start in starts
    ]
    ends = [word.end for word in words]
    return words, Interval(min(starts, default=1), max(ends, default=5))


#: Of scripts with spaces and without.
texts = st.one_of(*(st.text(one, min_size=1, max_size=3) for one in ("aAb,.é", "你好。")))


@settings(max_examples=300, deadline=None)
@given(spoken(), st.lists(texts, max_size=12).map(" ".join))
def test_times_stay_in_order_and_in_their_place(
    said: tuple[list[Word], Interval], text: str
) -> None:
    words, place = said
    typed = time_edited_text(words, text, place, 3)
    starts = [word.start for word in typed]
    assert starts == sorted(starts)
    assert all(place.start <= word.start <= word.end <= place.end for word in typed)
    assert all(word.speaker == 3 for word in typed)
    assert "".join(word.text for word in typed) == "".join(text.split())
    assert all(word.confidence in (None, 0.5) for word in typed)


@settings(max_examples=300, deadline=None)
@given(spoken())
def test_who_types_what_was_heard_changes_nothing(said: tuple[list[Word], Interval]) -> None:
    words, place = said
    text = " ".join(word.text for word in words)
    typed = [replace(word, space_before=None) for word in time_edited_text(words, text, place)]
    assert typed == words
    shown = join_texts(word.text for word in words)
    assert join_texts(word.text for word in time_edited_text(words, shown, place)) == shown


def test_spaces_are_kept_as_they_were_typed() -> None:
    words = time_edited_text([], "你好 世界 用iPhone", Interval(0.0, 4.0))
    assert join_words(words) == "你好 世界 用iPhone"
