"""From what was heard in chunks, and who spoke when, to the segments of one transcript."""

from __future__ import annotations

from collections.abc import Sequence

from transcripts.segments import segment
from transcripts.speakers.assignment import assign_speakers
from transcripts.stitch import TranscribedChunk, stitch
from transcripts.types import Segment, Turn


class TranscriptionMerger:
    """Has no state: all that it does follows from what it is given."""

    def merge(
        self, chunks: Sequence[TranscribedChunk], turns: Sequence[Turn]
    ) -> tuple[Segment, ...]:
        """Every word once, each of one speaker, in segments of a sentence or a part of one.

        Chunks and turns are in recording order and in times of the recording. Without turns,
        nobody is told apart.
        """
        return segment(assign_speakers(stitch(chunks), turns))
