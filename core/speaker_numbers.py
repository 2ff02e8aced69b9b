"""Numbers of a transcript's speakers: which there are, and which they get when it is made anew."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.models import SegmentRow, Transcript
from transcripts.renaming import carried
from transcripts.types import Turn


def known(session: Session, transcript_id: uuid.UUID) -> set[int]:
    """Who speaks in the transcript, as it was heard or as callers have it."""
    mine = SegmentRow.transcript_id == transcript_id
    shown = session.scalars(select(SegmentRow.speaker_tag).where(mine).distinct())
    changed = session.scalars(select(SegmentRow).where(mine, SegmentRow.heard_words.is_not(None)))
    return {one for one in {*shown, *map(_heard, changed)} if one is not None}


def is_given(row: SegmentRow) -> bool:
    """Whether who speaks in the segment is what a caller said."""
    return row.speaker_tag != _heard(row)


def following(
    session: Session, transcript: Transcript, segments: Sequence[dict[str, Any]]
) -> dict[int, int]:
    """The numbers that speakers of the stored segments have in new ones; without who is not found.

    Who was heard is found by when he was heard. Somebody whom only callers know is found as if he
    had been heard, or else has a number of his own again.
    """
    rows = session.scalars(select(SegmentRow).where(SegmentRow.transcript_id == transcript.id))
    stored = [(row.start, row.end, _heard(row), row.speaker_tag) for row in rows]
    heard = {was for _, _, was, _ in stored}
    made = sorted({now for _, _, _, now in stored if now not in heard and now is not None})
    before = [
        Turn(start, end, speaker)
        for start, end, was, now in stored
        if (speaker := now if now in made else was) is not None
    ]
    new = [
        Turn(one["start"], one["end"], one["speaker_tag"])
        for one in segments
        if one["speaker_tag"] is not None
    ]
    own = {turn.speaker: turn.speaker for turn in before}
    numbers = {was: now for now, was in carried(own, before, new).items()}
    unused = max((turn.speaker for turn in new), default=-1) + 1
    lonely = [speaker for speaker in made if speaker not in numbers]
    return numbers | {speaker: unused + at for at, speaker in enumerate(lonely)}


def _heard(row: SegmentRow) -> int | None:
    """Who the diarizer says to speak in the segment."""
    if not row.heard_words:
        return row.speaker_tag
    speaker: int | None = row.heard_words[0]["speaker_tag"]
    return speaker
