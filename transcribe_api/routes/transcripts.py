"""Transcripts: what callers may change of them."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core import segment_edits, speaker_names
from core.db import transaction
from transcribe_api import access, bodies, parse, render
from transcribe_api.documented import Answer, documented
from transcribe_api.schemas.named import ShownSpeakers, SpeakerNames
from transcribe_api.schemas.results import SegmentChange, SpokenSegment

bp = Blueprint("transcripts", __name__, url_prefix="/api/transcribe/transcripts")


@bp.patch("/<transcript_id>/speakers")
@documented(Answer(200, ShownSpeakers), body=SpeakerNames, refusals=(409,))
def name_speakers(transcript_id: str) -> ResponseReturnValue:
    """Name some speakers; the answer tells what is shown of each of them all."""
    row_id = parse.row_id(transcript_id, "transcript_id")
    given = bodies.read(SpeakerNames)
    with transaction() as session:
        shown = speaker_names.give(session, row_id, given.names, of=access.caller().sees)
    return jsonify({"names": shown})


@bp.patch("/<transcript_id>/segments/<position>")
@documented(Answer(200, SpokenSegment), body=SegmentChange, refusals=(409,))
def change_segment(transcript_id: str, position: str) -> ResponseReturnValue:
    """Put another text or speaker where something was heard; the answer is the whole segment."""
    row_id = parse.row_id(transcript_id, "transcript_id")
    place = parse.position(position)
    given = bodies.read(SegmentChange)
    with transaction() as session:
        row = segment_edits.change(
            session, row_id, place, given.wanted, seen=given.seen, of=access.caller().sees
        )
        return jsonify(render.segment(row))
