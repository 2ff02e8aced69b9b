"""Edits of the texts and speakers of segments."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.db.models import SegmentRow, Transcript
from core.edits import editable_transcript, speaker_numbers
from core.errors import EditConflict, InvalidInput, NotFound
from transcripts.edited_text import time_edited_text
from transcripts.formats import segments_json
from transcripts.serialization import words_from_json
from transcripts.spacing import join_words
from transcripts.types import Interval, Segment
from transcripts.warning import TranscriptWarning, WarningCode


def edit_segment(
    session: Session,
    transcript_id: uuid.UUID,
    position: int,
    changes: Mapping[str, Any],
    *,
    expected: Mapping[str, Any] | None = None,
    owner_id: uuid.UUID | None = None,
) -> SegmentRow:
    """Change the ``text`` of a segment, its ``speaker_tag``, or both.

    An empty text means that nothing was said; a speaker of None is unknown. *expected*: the values
    that the caller saw. The words of a new text get their times from the engine's words. These are
    kept: if a caller sets their text and speaker again, the segment is as before.

    Raises `NotFound`, also if *owner_id* is not the transcript's owner (None for callers who may
    see everything), `Conflict` if the job is not completed, `EditConflict` if the current values
    differ from *expected*, and `InvalidInput` for a speaker who is neither known nor the next
    number.
    """
    editable_transcript.lock_transcript(
        session, transcript_id, owner_id=owner_id, problem="the words are not known"
    )
    row = session.get(SegmentRow, (transcript_id, position), populate_existing=True)
    if row is None:
        raise NotFound(f"the transcript has no segment {position}")
    if any(getattr(row, column) != value for column, value in (expected or {}).items()):
        raise EditConflict(
            "another caller changed this segment meanwhile",
            text=row.text,
            speaker_tag=row.speaker_tag,
        )
    speaker = changes.get("speaker_tag", row.speaker_tag)
    if speaker != row.speaker_tag:
        _check_speaker(session, transcript_id, speaker)
    text = changes.get("text", row.text if _is_text_edited(row) else None)
    for column, value in _edited_columns(
        _recognized_words(row), text, Interval(row.start, row.end), speaker
    ).items():
        setattr(row, column, value)
    session.flush()
    return row


def reapply_edits(
    session: Session,
    transcript: Transcript,
    segments: Sequence[dict[str, Any]],
    numbers: Mapping[int, int],
) -> list[TranscriptWarning]:
    """Apply the edits of callers to new segments with the same engine words.

    *numbers*: maps the old speaker numbers to the new ones. Call it before the stored segments are
    deleted. Return a warning for each edit that no longer fits.
    """
    query = select(SegmentRow).where(
        SegmentRow.transcript_id == transcript.id, SegmentRow.heard_words.is_not(None)
    )
    new_segments = {
        _segment_key(new_segment["start"], new_segment["end"], new_segment["words"]): new_segment
        for new_segment in segments
    }
    warnings = []
    for row in session.scalars(query.order_by(SegmentRow.position)):
        segment = new_segments.get(_segment_key(row.start, row.end, _recognized_words(row)))
        if segment is None:
            subject = f"text {row.text!r}" if _is_text_edited(row) else "assigned speaker"
            warnings.append(
                _removal_warning(row, f"the {subject} was removed: this place has other words now")
            )
        else:
            warnings += _reapply_edit(row, segment, numbers)
    return warnings


def _reapply_edit(
    row: SegmentRow, segment: dict[str, Any], numbers: Mapping[int, int]
) -> list[TranscriptWarning]:
    speaker, warnings = segment["speaker_tag"], []
    if speaker_numbers.is_speaker_edited(row):
        if row.speaker_tag is None or row.speaker_tag in numbers:
            speaker = None if row.speaker_tag is None else numbers[row.speaker_tag]
        else:
            sentence = "the assigned speaker was removed: the speaker was not detected again"
            warnings = [_removal_warning(row, sentence)]
    text = row.text if _is_text_edited(row) else None
    segment |= _edited_columns(segment["words"], text, Interval(row.start, row.end), speaker)
    return warnings


def _removal_warning(row: SegmentRow, sentence: str) -> TranscriptWarning:
    return TranscriptWarning(WarningCode.EDIT_REMOVED, sentence, row.start, row.end)


def _check_speaker(session: Session, transcript_id: uuid.UUID, speaker: int | None) -> None:
    """Raise `InvalidInput` unless the speaker is known, or new with the next number."""
    numbers = speaker_numbers.list_numbers(session, transcript_id)
    next_number = max(numbers, default=-1) + 1
    if speaker is not None and speaker not in numbers and speaker != next_number:
        choices = ", ".join(map(str, sorted(numbers))) or "none"
        raise InvalidInput(
            f"speaker_tag: the transcript has no speaker {speaker}; there are: {choices}; "
            f"a new speaker is {next_number}, and null is unknown",
            field="speaker_tag",
        )


def _recognized_words(row: SegmentRow) -> list[dict[str, Any]]:
    return row.words if row.heard_words is None else row.heard_words


def _is_text_edited(row: SegmentRow) -> bool:
    """Return whether the text is edited, and not only the speaker."""
    return [word["word"] for word in row.words] != [word["word"] for word in _recognized_words(row)]


def _edited_columns(
    recognized: Sequence[Mapping[str, Any]],
    text: str | None,
    interval: Interval,
    speaker: int | None,
) -> dict[str, Any]:
    """Return the columns of a segment with this text (None: the engine's) and speaker."""
    columns: dict[str, Any] = {"words": [{**word, "speaker_tag": speaker} for word in recognized]}
    if text is not None:
        words = time_edited_text(words_from_json(recognized), text, interval, speaker)
        segment = segments_json([Segment(words, speaker)])[0] if words else _EMPTY_COLUMNS
        columns = {name: segment[name] for name in ("text", "confidence", "words")}
    is_unedited = columns["words"] == [*recognized]
    return {
        **columns,
        "speaker_tag": speaker,
        "heard_words": None if is_unedited else [*recognized],
    }


_EMPTY_COLUMNS: Mapping[str, Any] = {"text": "", "confidence": None, "words": []}


def _segment_key(start: float, end: float, words: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    return start, end, join_words(words_from_json(words))
