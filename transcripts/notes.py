"""What engines noted about stretches of a recording, as sentences for who reads the transcript."""

from __future__ import annotations

from collections.abc import Iterable

from transcripts.types import Note

#: Stretches that are named; of more, only how many there are.
MOST = 10
#: Two stretches this near with the same text are one (seconds).
TOUCHING = 10.0


def sentences(notes: Iterable[Note]) -> list[str]:
    """One for each stretch, in order, and for what is noted too often one that counts the rest."""
    by_text: dict[str, list[Note]] = {}
    for note in sorted(notes, key=lambda note: (note.start, note.end, note.text)):
        same = by_text.setdefault(note.text, [])
        if same and note.start - same[-1].end <= TOUCHING:
            same[-1] = Note(same[-1].start, max(same[-1].end, note.end), note.text)
        else:
            same.append(note)
    stretches = sorted(
        (note for same in by_text.values() for note in same), key=lambda note: note.start
    )
    named = [f"{one.start:.1f} s to {one.end:.1f} s: {one.text}" for one in stretches[:MOST]]
    more = len(stretches) - MOST
    return [*named, f"{more} further stretches have such notes"] if more > 0 else named
