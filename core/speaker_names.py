"""The names that callers give to the speakers of a transcript."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import finished
from core.errors import InvalidInput
from core.models import SegmentRow, Transcript
from transcripts.speakers import label
from transcripts.warning import TranscriptWarning, WarningCode


def give(
    session: Session,
    transcript_id: uuid.UUID,
    names: Mapping[str, str | None],
    *,
    of: uuid.UUID | None = None,
) -> dict[str, str]:
    """Name speakers by their numbers; None or an empty name takes a name away.

    Returns what a reader now sees of every speaker. Raises `NotFound`, also when *of* is not the
    transcript's owner (None stands for whoever may see everything), `Conflict` while the speakers
    are not known yet, and `InvalidInput` for a number that the transcript does not have.
    """
    transcript = finished.transcript(
        session, transcript_id, of=of, else_="the speakers are not known"
    )
    speakers = _speakers(session, transcript_id)
    for number in names:
        _check(number, speakers)
    given = {**transcript.speaker_names, **names}
    transcript.speaker_names = {number: name for number, name in given.items() if name}
    shown = {int(number): name for number, name in transcript.speaker_names.items()}
    return {str(speaker): label(speaker, shown) for speaker in speakers}


def keep(transcript: Transcript, numbers: Mapping[int, int]) -> list[TranscriptWarning]:
    """Have the names follow their speakers to the *numbers* that those have in new segments.

    Returns a warning for each name that nobody has any more.
    """
    names = {int(number): name for number, name in transcript.speaker_names.items()}
    kept = {numbers[one]: name for one, name in names.items() if one in numbers}
    transcript.speaker_names = {str(number): name for number, name in sorted(kept.items())}
    return [
        TranscriptWarning(
            WarningCode.NAME_REMOVED,
            f"the name {name!r} was taken away: its speaker was not found again",
        )
        for name in names.values()
        if name not in kept.values()
    ]


def _speakers(session: Session, transcript_id: uuid.UUID) -> list[int]:
    query = select(SegmentRow.speaker_tag).where(
        SegmentRow.transcript_id == transcript_id, SegmentRow.speaker_tag.is_not(None)
    )
    return sorted(speaker for speaker in session.scalars(query.distinct()) if speaker is not None)


def _check(number: str, speakers: Collection[int]) -> None:
    known = [str(speaker) for speaker in speakers]
    if number not in known:
        there_are = ", ".join(known) or "none"
        raise InvalidInput(
            f"names.{number}: the transcript has no such speaker; there are: {there_are}",
            field=f"names.{number}",
        )
