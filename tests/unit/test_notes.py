"""Notes of engines become sentences, and not too many."""

from __future__ import annotations

from transcripts.notes import MOST, sentences
from transcripts.types import Note


def test_a_note_says_where():
    assert sentences([Note(3.0, 61.25, "words are doubtful")]) == [
        "3.0 s to 61.2 s: words are doubtful"
    ]


def test_what_is_noted_of_chunk_after_chunk_is_said_once():
    notes = [Note(30.0 * at, 30.0 * at + 29, "no alignment model") for at in range(200)]
    assert sentences(reversed(notes)) == ["0.0 s to 5999.0 s: no alignment model"]


def test_other_notes_stay_apart_and_in_order():
    notes = [Note(50, 60, "b"), Note(0, 10, "a"), Note(12, 14, "a"), Note(90, 95, "a")]
    assert sentences(notes) == ["0.0 s to 14.0 s: a", "50.0 s to 60.0 s: b", "90.0 s to 95.0 s: a"]


def test_too_many_are_counted():
    told = sentences([Note(100.0 * at, 100.0 * at + 1, "a") for at in range(MOST + 7)])
    assert len(told) == MOST + 1
    assert told[-1] == "7 further stretches have such notes"


def test_no_notes_no_sentences():
    assert sentences([]) == []
