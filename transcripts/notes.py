"""What engines noted about stretches of a recording, as warnings for who reads the transcript."""

from __future__ import annotations

from collections.abc import Iterable

from transcripts.types import Note
from transcripts.warning import TranscriptWarning, WarningCode

#: Places of one kind that are named; of more, only how many there are.
MOST = 100
#: Two stretches this near with the same text are one (seconds).
TOUCHING = 10.0


def to_warnings(notes: Iterable[Note]) -> list[TranscriptWarning]:
    """One for each stretch, in order; what is noted too often has one more that counts the rest."""
    by_code: dict[WarningCode, list[TranscriptWarning]] = {}
    for note in _join(notes):
        warning = TranscriptWarning(note.code, note.text, note.start, note.end)
        by_code.setdefault(note.code, []).append(warning)
    placed = [warning for same in by_code.values() for warning in same[:MOST]]
    rest = [_count(code, len(same) - MOST) for code, same in by_code.items() if len(same) > MOST]
    return [*sorted(placed, key=lambda warning: warning.start or 0.0), *rest]


def _join(notes: Iterable[Note]) -> list[Note]:
    """By start; what is said of one stretch after the other is said once of all."""
    by_text: dict[tuple[WarningCode, str], list[Note]] = {}
    for note in sorted(notes, key=lambda note: (note.start, note.end, note.text)):
        same = by_text.setdefault((note.code, note.text), [])
        if same and note.start - same[-1].end <= TOUCHING:
            end = max(same[-1].end, note.end)
            same[-1] = Note(same[-1].start, end, note.text, note.code)
        else:
            same.append(note)
    joined = (note for same in by_text.values() for note in same)
    return sorted(joined, key=lambda note: note.start)


def _count(code: WarningCode, more: int) -> TranscriptWarning:
    return TranscriptWarning(code, f"{more} further places have such a warning")
