"""Words become sentences of one speaker."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcripts.segments import segment
from transcripts.types import Segment, Word


def said(line: str, *, speaker: int | None = 0, pace: float = 0.4) -> list[Word]:
    """The words of a line without pauses; each ``_`` is a pause of one word."""
    words, now = [], 0.0
    for text in line.split():
        if text != "_":
            words.append(Word(text, now, now + pace, speaker=speaker))
        now += pace
    return words


def lines(segments: tuple[Segment, ...]) -> list[str]:
    return [part.text for part in segments]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("I know. You do", ["I know.", "You do"]),
        ("really? yes! good", ["really?", "yes!", "good"]),
        ('he said "go." then left', ['he said "go."', "then left"]),
        ("ask Dr. Silva or Mrs. Jones", ["ask Dr. Silva or Mrs. Jones"]),
        ("J. Smith came at 5 p.m. and left", ["J. Smith came at 5 p.m. and left"]),
        ("so do I. Fine", ["so do I.", "Fine"]),
        ("it is 3. 5 percent of 2.5 litres", ["it is 3. 5 percent of 2.5 litres"]),
        ("that was in 1999. Then came more", ["that was in 1999.", "Then came more"]),
        ("well... perhaps not", ["well... perhaps not"]),
        ("well... Perhaps not", ["well...", "Perhaps not"]),
        ("no. never", ["no.", "never"]),
        ("one two _ three", ["one two three"]),
        ("one two _ _ three", ["one two", "three"]),
    ],
)
def test_segments_end_with_sentences_and_at_long_pauses(line: str, expected: list[str]) -> None:
    assert lines(segment(said(line))) == expected


def test_segments_end_where_the_speaker_changes() -> None:
    words = [
        Word("how", 0.0, 0.2, speaker=0),
        Word("are", 0.2, 0.4, speaker=0),
        Word("fine", 0.4, 0.6, speaker=1),
        Word("what", 0.6, 0.8),
    ]
    segments = segment(words)
    assert [(part.text, part.speaker) for part in segments] == [
        ("how are", 0),
        ("fine", 1),
        ("what", None),
    ]


def test_a_long_sentence_is_cut_at_its_best_pause() -> None:
    words = said("a b c d e f g h _ i j k l m n o p q r s t")
    assert lines(segment(words, max_words=15)) == ["a b c d e f g h", "i j k l m n o p q r s t"]


def test_a_long_sentence_is_cut_at_a_comma_when_there_is_no_pause() -> None:
    words = said("a b c d e f g h i, j k l m n o p q r s t")
    assert lines(segment(words, max_words=15))[0] == "a b c d e f g h i,"


def test_a_long_sentence_without_any_border_is_cut_into_equal_parts() -> None:
    segments = segment(said("word " * 41), max_words=40)
    assert [len(part.words) for part in segments] == [21, 20]


def test_time_limits_a_segment_too() -> None:
    segments = segment(said("word " * 20, pace=1.0), max_duration=10.0)
    assert [part.end - part.start for part in segments] == [10.0, 10.0]


def test_no_words_make_no_segments() -> None:
    assert segment([]) == ()


@st.composite
def word_lists(draw: st.DrawFn) -> list[Word]:
    words, now, speaker = [], 0.0, None
    for text in draw(st.lists(st.sampled_from(["so", "yes.", "well,", "Dr.", "3."]), max_size=60)):
        now += draw(st.sampled_from([0.0, 0.0, 0.1, 0.5, 3.0]))
        speaker = draw(st.sampled_from([speaker, speaker, 0, 1]))
        words.append(Word(text, now, now + draw(st.sampled_from([0.0, 0.3, 2.0])), None, speaker))
    return words


@settings(max_examples=150, deadline=None)
@given(word_lists(), st.integers(1, 20), st.floats(0.5, 10))
def test_segments_hold_each_word_once_in_order_and_keep_their_limits(
    words: list[Word], max_words: int, max_duration: float
) -> None:
    segments = segment(words, max_words=max_words, max_duration=max_duration)
    assert [word for part in segments for word in part.words] == words
    for part in segments:
        assert {word.speaker for word in part.words} == {part.speaker}
        assert len(part.words) <= max_words
        assert len(part.words) == 1 or part.end - part.start <= max_duration + 1e-9
        gaps = zip(part.words, part.words[1:], strict=False)
        assert all(after.start - before.end < 0.8 for before, after in gaps)
    assert segments == segment(words, max_words=max_words, max_duration=max_duration)
