"""Merge transcribed chunks and speaker turns into the segments of one transcript."""

from __future__ import annotations

from collections.abc import Sequence

from transcripts.segments import segment
from transcripts.speakers.assignment import assign_speakers
from transcripts.stitch import TranscribedChunk, stitch
from transcripts.types import Segment, Turn


class TranscriptionMerger:
    """Stateless merger of transcribed chunks and turns."""

    def merge(
        self, chunks: Sequence[TranscribedChunk], turns: Sequence[Turn]
    ) -> tuple[Segment, ...]:
        """Return segments with every word once; each is a sentence, or part of one, of one speaker.

        Chunks and turns are in recording order, with times from the start of the recording. Without
        turns, no word has a speaker.
        """
        return segment(assign_speakers(stitch(chunks), turns))
