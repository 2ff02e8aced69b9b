"""The texts that callers give to segments in the place of what was heard."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import finished
from core.errors import ChangedMeanwhile, NotFound
from core.models import SegmentRow, Transcript
from transcripts.editing import retyped
from transcripts.formats import segments_json
from transcripts.spacing import join
from transcripts.stored import words_from_json
from transcripts.types import Segment, Span


def change(
    session: Session,
    transcript_id: uuid.UUID,
    position: int,
    text: str,
    *,
    former: str | None = None,
    of: uuid.UUID | None = None,
) -> SegmentRow:
    """Give a segment another text; an empty one says that nothing was said.

    *former*: the text that the caller saw. Its words are timed by those that were heard, which are
    kept: whoever types them again has their times and confidences back. Raises `NotFound`, also
    when *of* is not the transcript's owner (None stands for whoever may see everything),
    `Conflict` while the job is not completed, and `ChangedMeanwhile` when the text was another.
    """
    finished.transcript(session, transcript_id, of=of, else_="the words are not known")
    row = session.get(SegmentRow, (transcript_id, position), populate_existing=True)
    if row is None:
        raise NotFound(f"the transcript has no segment {position}")
    if former is not None and former != row.text:
        raise ChangedMeanwhile("somebody else changed this segment meanwhile", text=row.text)
    heard = row.words if row.heard_words is None else row.heard_words
    for column, value in _edited(heard, text, Span(row.start, row.end), row.speaker_tag).items():
        setattr(row, column, value)
    session.flush()
    return row


def keep(session: Session, transcript: Transcript, segments: Sequence[dict[str, Any]]) -> list[str]:
    """Put the texts that callers typed into new segments in which the same words were heard.

    Call it before the stored segments are removed. Returns a sentence for each text that has no
    place any more.
    """
    query = select(SegmentRow).where(
        SegmentRow.transcript_id == transcript.id, SegmentRow.heard_words.is_not(None)
    )
    new = {_place(one["start"], one["end"], one["words"]): one for one in segments}
    lost = []
    for row in session.scalars(query.order_by(SegmentRow.position)):
        segment = new.get(_place(row.start, row.end, row.heard_words or ()))
        if segment is None:
            lost.append(
                f"the text {row.text!r}, typed at {row.start:.1f} s, was taken away: "
                "other words are heard there now"
            )
        else:
            place = Span(row.start, row.end)
            segment |= _edited(segment["words"], row.text, place, segment["speaker_tag"])
    return lost


def _edited(
    heard: Sequence[Mapping[str, Any]], text: str, place: Span, speaker: int | None
) -> dict[str, Any]:
    """The columns of a segment that follow from its text."""
    words = retyped(words_from_json(heard), text, place, speaker)
    said = segments_json([Segment(words, speaker)])[0] if words else _NOTHING
    columns = {name: said[name] for name in ("text", "confidence", "words")}
    return {**columns, "heard_words": None if columns["words"] == [*heard] else [*heard]}


_NOTHING: Mapping[str, Any] = {"text": "", "confidence": None, "words": []}


def _place(start: float, end: float, words: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    return start, end, join(word["word"] for word in words)
