"""Texts and speakers that callers give to segments in the place of what was heard."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import finished, speaker_numbers
from core.errors import ChangedMeanwhile, InvalidInput, NotFound
from core.models import SegmentRow, Transcript
from transcripts.editing import retyped
from transcripts.formats import segments_json
from transcripts.spacing import join_words
from transcripts.stored import words_from_json
from transcripts.types import Segment, Span
from transcripts.warning import TranscriptWarning, WarningCode


def change(
    session: Session,
    transcript_id: uuid.UUID,
    position: int,
    wanted: Mapping[str, Any],
    *,
    seen: Mapping[str, Any] | None = None,
    of: uuid.UUID | None = None,
) -> SegmentRow:
    """Give a segment another ``text``, another ``speaker_tag``, or both.

    An empty text says that nothing was said; None is nobody in particular. *seen*: what the caller
    saw of the two. Words of a text are timed by those that were heard, which are kept: whoever
    gives them and their speaker again has all as it was. Raises `NotFound`, also when *of* is not
    the transcript's owner (None stands for whoever may see everything), `Conflict` while the job is
    not completed, `ChangedMeanwhile` when something else was there, and `InvalidInput` for a
    speaker who is neither known nor the next one.
    """
    finished.transcript(session, transcript_id, of=of, else_="the words are not known")
    row = session.get(SegmentRow, (transcript_id, position), populate_existing=True)
    if row is None:
        raise NotFound(f"the transcript has no segment {position}")
    if any(getattr(row, column) != value for column, value in (seen or {}).items()):
        raise ChangedMeanwhile(
            "somebody else changed this segment meanwhile",
            text=row.text,
            speaker_tag=row.speaker_tag,
        )
    speaker = wanted.get("speaker_tag", row.speaker_tag)
    if speaker != row.speaker_tag:
        _check(session, transcript_id, speaker)
    text = wanted.get("text", row.text if _is_retyped(row) else None)
    for column, value in _edited(_heard(row), text, Span(row.start, row.end), speaker).items():
        setattr(row, column, value)
    session.flush()
    return row


def keep(
    session: Session,
    transcript: Transcript,
    segments: Sequence[dict[str, Any]],
    numbers: Mapping[int, int],
) -> list[TranscriptWarning]:
    """Put what callers gave into new segments in which the same words were heard.

    *numbers*: those that speakers have now, by those that they had. Call it before the stored
    segments are removed. Returns a warning for all that has no place any more.
    """
    query = select(SegmentRow).where(
        SegmentRow.transcript_id == transcript.id, SegmentRow.heard_words.is_not(None)
    )
    new = {_place(one["start"], one["end"], one["words"]): one for one in segments}
    lost = []
    for row in session.scalars(query.order_by(SegmentRow.position)):
        segment = new.get(_place(row.start, row.end, _heard(row)))
        if segment is None:
            what = f"text {row.text!r}" if _is_retyped(row) else "speaker that was given"
            lost.append(
                _removed(row, f"the {what} was taken away: other words are heard there now")
            )
        else:
            lost += _put(row, segment, numbers)
    return lost


def _put(
    row: SegmentRow, segment: dict[str, Any], numbers: Mapping[int, int]
) -> list[TranscriptWarning]:
    speaker, lost = segment["speaker_tag"], []
    if speaker_numbers.is_given(row):
        if row.speaker_tag is None or row.speaker_tag in numbers:
            speaker = None if row.speaker_tag is None else numbers[row.speaker_tag]
        else:
            gone = "the speaker that was given was taken away: no such speaker was found again"
            lost = [_removed(row, gone)]
    text = row.text if _is_retyped(row) else None
    segment |= _edited(segment["words"], text, Span(row.start, row.end), speaker)
    return lost


def _removed(row: SegmentRow, sentence: str) -> TranscriptWarning:
    return TranscriptWarning(WarningCode.EDIT_REMOVED, sentence, row.start, row.end)


def _check(session: Session, transcript_id: uuid.UUID, speaker: int | None) -> None:
    """Somebody new has the next number: numbers of nobody would only be errors."""
    known = speaker_numbers.known(session, transcript_id)
    following = max(known, default=-1) + 1
    if speaker is not None and speaker not in known and speaker != following:
        there_are = ", ".join(map(str, sorted(known))) or "none"
        raise InvalidInput(
            f"speaker_tag: the transcript has no speaker {speaker}; there are: {there_are}; "
            f"somebody new is {following}, and null is nobody in particular",
            field="speaker_tag",
        )


def _heard(row: SegmentRow) -> list[dict[str, Any]]:
    return row.words if row.heard_words is None else row.heard_words


def _is_retyped(row: SegmentRow) -> bool:
    """Whether the text is another one, and not the speaker alone."""
    return [word["word"] for word in row.words] != [word["word"] for word in _heard(row)]


def _edited(
    heard: Sequence[Mapping[str, Any]], text: str | None, place: Span, speaker: int | None
) -> dict[str, Any]:
    """What a segment's text, None for the one that was heard, and its speaker make of it."""
    columns: dict[str, Any] = {"words": [{**word, "speaker_tag": speaker} for word in heard]}
    if text is not None:
        words = retyped(words_from_json(heard), text, place, speaker)
        said = segments_json([Segment(words, speaker)])[0] if words else _NOTHING
        columns = {name: said[name] for name in ("text", "confidence", "words")}
    is_as_heard = columns["words"] == [*heard]
    return {**columns, "speaker_tag": speaker, "heard_words": None if is_as_heard else [*heard]}


_NOTHING: Mapping[str, Any] = {"text": "", "confidence": None, "words": []}


def _place(start: float, end: float, words: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    return start, end, join_words(words_from_json(words))
