"""What engines noted about stretches of a recording, as warnings for who reads the transcript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from transcripts.types import Note
from transcripts.warning import TranscriptWarning, WarningCode

#: Places of one kind that are named; of more, only how many there are.
MOST = 100
#: Two stretches this near with the same text are one (seconds).
TOUCHING = 10.0


def to_warnings(notes: Iterable[Note]) -> list[TranscriptWarning]:
    """One for each stretch, in order; what is noted too often has one more that counts the rest."""
    placed, counts = [], Counter[WarningCode]()
    for note in _join(notes):
        counts[note.code] += 1
        if counts[note.code] <= MOST:
            placed.append(TranscriptWarning(note.code, note.text, note.start, note.end))
    rest = [_count(code, count - MOST) for code, count in counts.items() if count > MOST]
    return [*placed, *rest]


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
