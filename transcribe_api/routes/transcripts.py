"""Transcripts: edits of segments and speaker names."""

from __future__ import annotations

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue

from core.db.transactions import transaction
from core.edits import segment_edits, speaker_names
from transcribe_api.http.auth import guard
from transcribe_api.http.requests import json_bodies, parsing
from transcribe_api.http.responses import rendering
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.named import SpeakerLabels, SpeakerNames
from transcribe_api.schemas.results import ResultSegment, SegmentChange

bp = Blueprint("transcripts", __name__, url_prefix="/api/transcribe/transcripts")


@bp.patch("/<transcript_id>/speakers")
@document_route(Answer(200, SpeakerLabels), body=SpeakerNames, refusals=(409,))
def name_speakers(transcript_id: str) -> ResponseReturnValue:
    """Name some speakers; the response has the displayed names of all speakers."""
    row_id = parsing.parse_row_id(transcript_id, "transcript_id")
    body = json_bodies.parse_body(SpeakerNames)
    with transaction() as session:
        names = speaker_names.rename_speakers(
            session, row_id, body.names, owner_id=guard.caller().visible_owner
        )
    return jsonify({"names": names})


@bp.patch("/<transcript_id>/segments/<position>")
@document_route(Answer(200, ResultSegment), body=SegmentChange, refusals=(409,))
def change_segment(transcript_id: str, position: str) -> ResponseReturnValue:
    """Change a segment's text or speaker; the response is the whole segment."""
    row_id = parsing.parse_row_id(transcript_id, "transcript_id")
    segment_position = parsing.parse_position(position)
    body = json_bodies.parse_body(SegmentChange)
    with transaction() as session:
        row = segment_edits.edit_segment(
            session,
            row_id,
            segment_position,
            body.changes,
            expected=body.expected,
            owner_id=guard.caller().visible_owner,
        )
        return jsonify(rendering.render_segment(row))
