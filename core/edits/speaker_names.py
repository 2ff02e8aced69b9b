"""Names of the speakers of a transcript, given by callers."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.models import SegmentRow, Transcript
from core.edits import editable_transcript
from core.errors import InvalidInput
from transcripts.speakers.assignment import label
from transcripts.warning import TranscriptWarning, WarningCode


def rename_speakers(
    session: Session,
    transcript_id: uuid.UUID,
    names: Mapping[str, str | None],
    *,
    owner_id: uuid.UUID | None = None,
) -> dict[str, str]:
    """Set speaker names by number; None or an empty name removes a name.

    Return the displayed names of all speakers. Raises `NotFound`, also if *owner_id* is not the
    transcript's owner (None for callers who may see everything), `Conflict` if the job is not
    completed, and `InvalidInput` for a number that the transcript does not have.
    """
    transcript = editable_transcript.lock_transcript(
        session, transcript_id, owner_id=owner_id, problem="the speakers are not known"
    )
    speakers = _list_speakers(session, transcript_id)
    for number in names:
        _check_number(number, speakers)
    updated = {**transcript.speaker_names, **names}
    transcript.speaker_names = {number: name for number, name in updated.items() if name}
    names_by_number = {int(number): name for number, name in transcript.speaker_names.items()}
    return {str(speaker): label(speaker, names_by_number) for speaker in speakers}


def carry_names(transcript: Transcript, numbers: Mapping[int, int]) -> list[TranscriptWarning]:
    """Move the names to the *numbers* of their speakers in new segments.

    Return a warning for each name whose speaker no longer exists.
    """
    names = {int(number): name for number, name in transcript.speaker_names.items()}
    carried = {
        numbers[old_number]: name for old_number, name in names.items() if old_number in numbers
    }
    transcript.speaker_names = {str(number): name for number, name in sorted(carried.items())}
    return [
        TranscriptWarning(
            WarningCode.NAME_REMOVED,
            f"the name {name!r} was removed: its speaker was not detected again",
        )
        for name in names.values()
        if name not in carried.values()
    ]


def _list_speakers(session: Session, transcript_id: uuid.UUID) -> list[int]:
    query = select(SegmentRow.speaker_tag).where(
        SegmentRow.transcript_id == transcript_id, SegmentRow.speaker_tag.is_not(None)
    )
    return sorted(speaker for speaker in session.scalars(query.distinct()) if speaker is not None)


def _check_number(number: str, speakers: Collection[int]) -> None:
    numbers = [str(speaker) for speaker in speakers]
    if number not in numbers:
        choices = ", ".join(numbers) or "none"
        raise InvalidInput(
            f"names.{number}: the transcript has no such speaker; there are: {choices}",
            field=f"names.{number}",
        )
