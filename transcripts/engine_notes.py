"""Convert the notes of engines about intervals of a recording to warnings of the transcript."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from transcripts.types import Note
from transcripts.warning import TranscriptWarning, WarningCode

#: Most warnings of one code that are listed one by one; one more warning counts the rest.
MAX_WARNINGS_PER_CODE = 100
#: Notes with the same text that are at most this far apart are merged (seconds).
TOUCHING_SECONDS = 10.0


def to_warnings(notes: Iterable[Note]) -> list[TranscriptWarning]:
    """Return one warning per interval, by start, and one per code to count those over the limit."""
    warnings, counts = [], Counter[WarningCode]()
    for note in _merge_notes(notes):
        counts[note.code] += 1
        if counts[note.code] <= MAX_WARNINGS_PER_CODE:
            warnings.append(TranscriptWarning(note.code, note.text, note.start, note.end))
    rest = [
        _build_rest_warning(code, count - MAX_WARNINGS_PER_CODE)
        for code, count in counts.items()
        if count > MAX_WARNINGS_PER_CODE
    ]
    return [*warnings, *rest]


def _merge_notes(notes: Iterable[Note]) -> list[Note]:
    """Return the notes by start; notes with the same text on adjacent intervals are merged."""
    by_text: dict[tuple[WarningCode, str], list[Note]] = {}
    for note in sorted(notes, key=lambda note: (note.start, note.end, note.text)):
        group = by_text.setdefault((note.code, note.text), [])
        if group and note.start - group[-1].end <= TOUCHING_SECONDS:
            end = max(group[-1].end, note.end)
            group[-1] = Note(group[-1].start, end, note.text, note.code)
        else:
            group.append(note)
    joined = (note for group in by_text.values() for note in group)
    return sorted(joined, key=lambda note: note.start)


def _build_rest_warning(code: WarningCode, count: int) -> TranscriptWarning:
    return TranscriptWarning(code, f"{count} more intervals have this warning")
