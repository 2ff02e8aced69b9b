"""Speaker numbers of a transcript, and their mapping when it is merged again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.models import SegmentRow, Transcript
from transcripts.speakers.continuity import carry_over
from transcripts.types import Turn


def list_numbers(session: Session, transcript_id: uuid.UUID) -> set[int]:
    """Return the speaker numbers of the diarizer and of edits."""
    condition = SegmentRow.transcript_id == transcript_id
    displayed = session.scalars(select(SegmentRow.speaker_tag).where(condition).distinct())
    edited_rows = session.scalars(
        select(SegmentRow).where(condition, SegmentRow.heard_words.is_not(None))
    )
    return {
        number
        for number in {*displayed, *map(_diarized_speaker, edited_rows)}
        if number is not None
    }


def is_speaker_edited(row: SegmentRow) -> bool:
    """Return whether a caller changed the speaker of the segment."""
    return row.speaker_tag != _diarized_speaker(row)


def carry_numbers(
    session: Session, transcript: Transcript, segments: Sequence[dict[str, Any]]
) -> dict[int, int]:
    """Map the speaker numbers of stored segments to those of new ones, without lost speakers.

    Diarized speakers are matched by their times. Speakers added by callers are matched in the same
    way, or else get a new number.
    """
    rows = session.scalars(select(SegmentRow).where(SegmentRow.transcript_id == transcript.id))
    speaker_rows = [(row.start, row.end, _diarized_speaker(row), row.speaker_tag) for row in rows]
    diarized_speakers = {diarized for _, _, diarized, _ in speaker_rows}
    added = sorted(
        {
            displayed
            for _, _, _, displayed in speaker_rows
            if displayed not in diarized_speakers and displayed is not None
        }
    )
    old_turns = [
        Turn(start, end, speaker)
        for start, end, diarized, displayed in speaker_rows
        if (speaker := displayed if displayed in added else diarized) is not None
    ]
    new_turns = [
        Turn(segment["start"], segment["end"], segment["speaker_tag"])
        for segment in segments
        if segment["speaker_tag"] is not None
    ]
    identity = {turn.speaker: turn.speaker for turn in old_turns}
    numbers = {old: new for new, old in carry_over(identity, old_turns, new_turns).items()}
    next_number = max((turn.speaker for turn in new_turns), default=-1) + 1
    unmatched = [speaker for speaker in added if speaker not in numbers]
    return numbers | {speaker: next_number + index for index, speaker in enumerate(unmatched)}


def _diarized_speaker(row: SegmentRow) -> int | None:
    """Return the diarizer's speaker of the segment."""
    if not row.heard_words:
        return row.speaker_tag
    speaker: int | None = row.heard_words[0]["speaker_tag"]
    return speaker
