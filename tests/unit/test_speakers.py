"""Every word gets its speaker, and changes of speaker fall where people change."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcripts.speakers.assignment import assign_speakers, label
from transcripts.types import Turn, Word


def said(line: str, start: float = 0.0, pace: float = 0.4) -> list[Word]:
    """The words of a line without pauses; each ``_`` is a pause of one word."""
    words, now = [], start
    for text in line.split():
        if text != "_":
            words.append(Word(text, now, now + pace))
        now += pace
    return words


def shown(words: tuple[Word, ...]) -> str:
    """The words with a bar at every change of speaker."""
    parts = []
    for at, word in enumerate(words):
        if at and word.speaker != words[at - 1].speaker:
            parts.append("|")
        parts.append(word.text)
    return " ".join(parts)


@pytest.mark.parametrize(
    ("line", "change", "expected"),
    [
        pytest.param(
            "shall we go now yes we should go",
            1.6,
            "shall we go now | yes we should go",
            id="no pause: where the turns change",
        ),
        pytest.param(
            "shall we go now? yes we should go",
            2.0,
            "shall we go now? | yes we should go",
            id="a turn change a word late moves back to the question mark",
        ),
        pytest.param(
            "shall we go now _ yes we should go",
            2.4,
            "shall we go now | yes we should go",
            id="... or to the pause",
        ),
        pytest.param(
            "shall we go now? yes we should go",
            0.8,
            "shall we go now? | yes we should go",
            id="a turn change two words early moves forward",
        ),
        pytest.param(
            "shall we go _ right now yes we should go",
            2.4,
            "shall we go right now | yes we should go",
            id="a pause two words away is one of many",
        ),
        pytest.param(
            "shall we go, right now yes we should go",
            2.0,
            "shall we go, right now | yes we should go",
            id="... and so is a comma",
        ),
        pytest.param(
            "shall we go right now? yes we should go",
            0.8,
            "shall we | go right now? yes we should go",
            id="three words are too far",
        ),
        pytest.param(
            "so shall we go. then _ yes we should go",
            2.0,
            "so shall we go. then | yes we should go",
            id="a turn change at a pause stays, whatever is near",
        ),
        pytest.param(
            "shall we go _ yes",
            1.6,
            "shall we go | yes",
            id="a short answer keeps its only word",
        ),
    ],
)
def test_changes_fall_at_pauses_and_punctuation(line: str, change: float, expected: str) -> None:
    words = said(line)
    turns = [Turn(0, change, 0), Turn(change, words[-1].end, 1)]
    assert shown(assign_speakers(words, turns)) == expected


def test_a_change_moves_by_two_words_at_most() -> None:
    words = said("go there now? yes we should go today my friend", pace=0.2)
    moved, stays = [Turn(0, 1.0, 0), Turn(1.0, 2, 1)], [Turn(0, 1.2, 0), Turn(1.2, 2, 1)]
    assert (
        shown(assign_speakers(words, moved)) == "go there now? | yes we should go today my friend"
    )
    assert (
        shown(assign_speakers(words, stays)) == "go there now? yes we should | go today my friend"
    )


def test_a_change_at_a_short_pause_stays_beside_a_clearer_one() -> None:
    texts = [("you", 0.0), ("want", 0.4), ("it", 0.8), ("yes", 1.4), ("if", 2.3), ("so", 2.7)]
    words = [Word(text, start, start + 0.4) for text, start in texts]
    turns = [Turn(0, 1.2, 0), Turn(1.4, 3.1, 1)]
    assert shown(assign_speakers(words, turns)) == "you want it | yes if so"


def test_a_pause_inside_of_a_turn_does_not_draw_the_change_to_it() -> None:
    """Without punctuation each turn has pauses; those that the turns end at are not longer."""
    words = said("so we went there _ and then did you like it oh yes _ we did")
    turns = [Turn(0, 2.8, 0), Turn(2.8, 4.4, 1), Turn(4.4, 7.0, 0)]
    assert shown(assign_speakers(words, turns)) == (
        "so we went there and then | did you like it | oh yes we did"
    )


def test_both_who_speak_at_once_are_heard() -> None:
    words = sorted([*said("we should go there now"), *said("no never", 0.5)], key=lambda w: w.start)
    told = assign_speakers(words, [Turn(0, 2.0, 0), Turn(0.5, 1.3, 1)])
    assert len(told) == len(words)
    assert {word.speaker for word in told} == {0, 1}


def test_an_answer_of_two_words_is_not_given_to_the_question() -> None:
    words = said("do you want it yes please. _ that is good")
    turns = [Turn(0, 1.6, 0), Turn(1.6, 2.4, 1), Turn(2.8, 4.0, 0)]
    assert shown(assign_speakers(words, turns)) == "do you want it | yes please. | that is good"


def test_a_short_answer_inside_a_long_turn_has_its_own_speaker() -> None:
    words = said("and then we went yes to the river")
    assert shown(assign_speakers(words, [Turn(0, 3.2, 0), Turn(1.6, 2.0, 1)])) == (
        "and then we went | yes | to the river"
    )


def test_turns_that_run_into_one_another_change_in_the_middle_of_both() -> None:
    words = said("one two three four five six seven eight nine")
    assert shown(assign_speakers(words, [Turn(0, 2.8, 0), Turn(1.2, 9, 1)])) == (
        "one two three four five | six seven eight nine"
    )


def test_the_larger_overlap_wins_also_when_it_comes_in_pieces() -> None:
    word = Word("absolutely", 0.0, 1.0)
    turns = [Turn(0, 0.3, 1), Turn(0.3, 0.7, 0), Turn(0.7, 1.0, 1)]
    assert [word.speaker for word in assign_speakers([word], turns)] == [1]


@pytest.mark.parametrize(
    ("start", "speaker"),
    [(2.5, 0), (3.4, 0), (4.9, 1), (5.3, 1), (3.9, 0), (0.0, 0), (3.0, 0), (15.9, 1), (16.1, None)],
)
def test_a_word_in_no_turn_goes_to_the_nearest_if_it_is_near(
    start: float, speaker: int | None
) -> None:
    turns = [Turn(1, 3, 0), Turn(5.4, 15, 1)]
    (word,) = assign_speakers([Word("well", start, start + 0.2)], turns)
    assert word.speaker == speaker


def test_the_nearest_turn_is_the_one_that_ended_last() -> None:
    turns = [Turn(0, 10, 0), Turn(1, 2, 1)]
    assert [word.speaker for word in assign_speakers([Word("well", 10.5, 10.8)], turns)] == [0]


def test_a_word_without_length_belongs_to_the_turn_around_it() -> None:
    words = assign_speakers(
        [Word("so", 2.0, 2.0), Word("yes", 3.0, 3.0)], [Turn(0, 3, 0), Turn(3, 5, 1)]
    )
    assert [word.speaker for word in words] == [0, 1]


def test_without_turns_nobody_speaks() -> None:
    words = [Word("hello", 0, 1, speaker=4)]
    assert assign_speakers(words, []) == (Word("hello", 0, 1),)
    assert assign_speakers([], [Turn(0, 1, 0)]) == ()


def test_speakers_are_called_by_number_or_by_name() -> None:
    assert label(0) == "SPEAKER_00"
    assert label(123, {}) == "SPEAKER_123"
    assert label(1, {1: "Dr.\n Silva "}) == "Dr. Silva"
    assert label(1, {1: "  "}) == "SPEAKER_01"


@st.composite
def conversations(draw: st.DrawFn) -> tuple[list[Word], list[Turn]]:
    words, now = [], 0.0
    for text in draw(st.lists(st.sampled_from(["so", "yes.", "well,", "no?"]), max_size=30)):
        now += draw(st.sampled_from([0.0, 0.1, 0.5, 3.0]))
        words.append(Word(text, now, now + draw(st.sampled_from([0.0, 0.2, 0.6]))))
    turn = st.tuples(st.floats(0, 30), st.floats(0, 8), st.integers(0, 3))
    turns = [Turn(start, start + length, who) for start, length, who in draw(st.lists(turn))]
    return words, turns


@settings(max_examples=200, deadline=None)
@given(conversations())
def test_words_change_in_nothing_but_their_speaker(
    conversation: tuple[list[Word], list[Turn]],
) -> None:
    words, turns = conversation
    assigned = assign_speakers(words, turns)
    assert [(w.text, w.start, w.end) for w in assigned] == [(w.text, w.start, w.end) for w in words]
    assert {word.speaker for word in assigned} <= {None, *(turn.speaker for turn in turns)}
    assert assigned == assign_speakers(words, turns[::-1])


@settings(max_examples=200, deadline=None)
@given(conversations())
def test_without_changes_to_move_the_greatest_overlap_decides(
    conversation: tuple[list[Word], list[Turn]],
) -> None:
    words, turns = conversation
    # After punctuation a change of speaker stays where the turns have it.
    words = [Word("yes.", word.start, word.end) for word in words]
    for word in assign_speakers(words, turns):
        heard: dict[int, float] = {}
        for turn in turns:
            overlap = min(word.end, turn.end) - max(word.start, turn.start)
            heard[turn.speaker] = heard.get(turn.speaker, 0.0) + max(0.0, overlap)
        most = max(heard.values(), default=0.0)
        if most > 0.03:
            assert word.speaker is not None
            assert heard[word.speaker] >= most - 0.03


@st.composite
def dialogues(draw: st.DrawFn) -> tuple[list[list[Word]], list[Turn]]:
    """What two people say in turn, and their turns as a diarizer sees them, a little off."""
    said, turns, now, begin = [], [], 0.0, 0.0
    for number, length in enumerate(draw(st.lists(st.integers(1, 6), min_size=1, max_size=8))):
        line = []
        for _ in range(length):
            text = draw(st.sampled_from(["yes", "no.", "well,", "then"]))
            now += draw(st.sampled_from([0.0, 0.0, 0.1, 0.5]))
            end = now + draw(st.sampled_from([0.3, 0.6]))
            line.append(Word(text, now, end))
            now = end
        change = now + draw(st.floats(-0.07, 0.07))
        turns.append(Turn(begin, change, number % 2))
        said, begin = [*said, line], change
    return said, turns


@settings(max_examples=200, deadline=None)
@given(dialogues())
def test_a_short_answer_between_two_turns_keeps_its_speaker(
    dialogue: tuple[list[list[Word]], list[Turn]],
) -> None:
    said, turns = dialogue
    words = iter(assign_speakers([word for line in said for word in line], turns))
    for number, line in enumerate(said):
        speakers = [next(words).speaker for _ in line]
        if len(line) <= 2:
            assert speakers == [number % 2] * len(line)
