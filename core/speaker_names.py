"""The names that callers give to the speakers of a transcript."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import finished
from core.errors import InvalidInput
from core.models import SegmentRow, Transcript
from transcripts.renaming import carried
from transcripts.speakers import label
from transcripts.types import Turn


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


def keep(session: Session, transcript: Transcript, segments: Sequence[dict[str, Any]]) -> list[str]:
    """Have the names follow their speakers from the segments that are stored to new ones.

    Call it before the stored ones are removed. Returns a sentence for each name that nobody has
    any more.
    """
    names = {int(number): name for number, name in transcript.speaker_names.items()}
    if not names:
        return []
    kept = carried(names, _turns(session, transcript.id), _new_turns(segments))
    transcript.speaker_names = {str(number): name for number, name in sorted(kept.items())}
    return [
        f"the name {name!r} was taken away: its speaker was not found again"
        for name in names.values()
        if name not in kept.values()
    ]


def _turns(session: Session, transcript_id: uuid.UUID) -> list[Turn]:
    query = select(SegmentRow.start, SegmentRow.end, SegmentRow.speaker_tag).where(
        SegmentRow.transcript_id == transcript_id
    )
    rows = session.execute(query).all()
    return [Turn(start, end, speaker) for start, end, speaker in rows if speaker is not None]


def _new_turns(segments: Sequence[dict[str, Any]]) -> list[Turn]:
    return [
        Turn(one["start"], one["end"], one["speaker_tag"])
        for one in segments
        if one["speaker_tag"] is not None
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
