"""Notes of engines become warnings, and not too many."""

from __future__ import annotations

from transcripts.engine_notes import MAX_WARNINGS_PER_CODE, to_warnings
from transcripts.types import Note
from transcripts.warning import TranscriptWarning, WarningCode


def test_a_note_says_what_and_where():
    doubts = Note(3.0, 61.25, "words are doubtful", WarningCode.WORDS_DOUBTFUL)
    assert to_warnings([doubts]) == [
        TranscriptWarning(WarningCode.WORDS_DOUBTFUL, "words are doubtful", 3.0, 61.25)
    ]


def test_what_is_noted_of_chunk_after_chunk_is_said_once():
    notes = [Note(30.0 * at, 30.0 * at + 29, "no alignment model") for at in range(200)]
    [warning] = to_warnings(reversed(notes))
    assert (warning.start, warning.end, warning.sentence) == (0.0, 5999.0, "no alignment model")


def test_other_notes_stay_apart_and_in_order():
    notes = [Note(50, 60, "b"), Note(0, 10, "a"), Note(12, 14, "a"), Note(90, 95, "a")]
    told = [(warning.start, warning.end, warning.sentence) for warning in to_warnings(notes)]
    assert told == [(0, 14, "a"), (50, 60, "b"), (90, 95, "a")]


def test_too_many_of_a_kind_are_counted_and_another_kind_is_named_all_the_same():
    doubts = [
        Note(100.0 * at, 100.0 * at + 1, "a", WarningCode.WORDS_DOUBTFUL)
        for at in range(MAX_WARNINGS_PER_CODE + 7)
    ]
    hole = Note(1e6, 1e6 + 5, "no words", WarningCode.SPEECH_WITHOUT_WORDS)
    told = to_warnings([*doubts, hole])
    assert len(told) == MAX_WARNINGS_PER_CODE + 2
    assert told[-2].sentence == "no words"
    assert told[-1] == TranscriptWarning(
        WarningCode.WORDS_DOUBTFUL, "7 more intervals have this warning"
    )


def test_no_notes_no_warnings():
    assert to_warnings([]) == []
