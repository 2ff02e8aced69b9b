"""Transcripts: what callers may change of them."""

from __future__ import annotations

from typing import Annotated

from flask import Blueprint, jsonify
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator, StringConstraints

from core import speaker_names
from core.db import transaction
from transcribe_api import access, bodies, parse
from transcribe_api.bodies import Body, one_line

bp = Blueprint("transcripts", __name__, url_prefix="/api/transcribe/transcripts")

_Name = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=100), AfterValidator(one_line)
]


class _Names(Body):
    #: By speaker number; null or an empty name takes a name away.
    names: dict[str, _Name | None]


@bp.patch("/<transcript_id>/speakers")
def name_speakers(transcript_id: str) -> ResponseReturnValue:
    """Name some speakers; the answer tells what is shown of each of them all."""
    row_id = parse.row_id(transcript_id, "transcript_id")
    given = bodies.read(_Names)
    with transaction() as session:
        shown = speaker_names.give(session, row_id, given.names, of=access.caller().sees)
    return jsonify({"names": shown})
