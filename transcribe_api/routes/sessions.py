"""Sessions, with which callers group their transcripts."""

from __future__ import annotations

import uuid

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core.access import user_resources
from core.db.models import SessionRow
from core.db.transactions import transaction
from transcribe_api.database import db
from transcribe_api.http.auth import guard
from transcribe_api.http.requests import json_bodies, page_query, parsing
from transcribe_api.http.responses import rendering
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.common import PageQuery
from transcribe_api.schemas.named import Session, SessionChange, SessionPage, SessionWhole

bp = Blueprint("sessions", __name__, url_prefix="/api/transcribe/sessions")


@bp.post("")
@document_route(Answer(201, Session, headers=("Location",)), body=SessionWhole)
def create() -> ResponseReturnValue:
    """Create a session."""
    body = json_bodies.parse_body(SessionWhole)
    with transaction() as session:
        row = user_resources.create_row(
            session, SessionRow, owner_id=guard.caller().owner, name=body.name
        )
    location = url_for("sessions.show", session_id=row.id)
    return jsonify(rendering.render_session(row)), 201, {"Location": location}


@bp.get("")
@document_route(Answer(200, SessionPage), query=PageQuery)
def list_all() -> ResponseReturnValue:
    """List sessions by page, newest first."""
    limit, after = page_query.parse_limit(request.args), page_query.parse_cursor(request.args)
    page = user_resources.list_rows(
        db.session(), SessionRow, limit, after, owner_id=guard.caller().visible_owner
    )
    sessions = [rendering.render_session(row) for row in page.rows]
    return jsonify(
        {"sessions": sessions, "next_cursor": page_query.format_cursor(page.next_cursor)}
    )


@bp.get("/<session_id>")
@document_route(Answer(200, Session))
def show(session_id: str) -> ResponseReturnValue:
    """Return one session."""
    row = user_resources.get_row(
        db.session(),
        SessionRow,
        parsing.parse_row_id(session_id, "session_id"),
        owner_id=guard.caller().visible_owner,
    )
    return jsonify(rendering.render_session(row))


@bp.put("/<session_id>")
@document_route(Answer(200, Session), body=SessionWhole)
def replace(session_id: str) -> ResponseReturnValue:
    """Replace all fields of a session."""
    row_id = parsing.parse_row_id(session_id, "session_id")
    return _apply_change(row_id, json_bodies.parse_body(SessionWhole).model_dump())


@bp.patch("/<session_id>")
@document_route(Answer(200, Session), body=SessionChange)
def change(session_id: str) -> ResponseReturnValue:
    """Change only the fields that are sent."""
    row_id = parsing.parse_row_id(session_id, "session_id")
    return _apply_change(
        row_id, json_bodies.parse_body(SessionChange).model_dump(exclude_unset=True)
    )


def _apply_change(row_id: uuid.UUID, values: dict[str, str]) -> ResponseReturnValue:
    with transaction() as session:
        row = user_resources.update_row(
            session, SessionRow, row_id, owner_id=guard.caller().visible_owner, **values
        )
    return jsonify(rendering.render_session(row))


@bp.delete("/<session_id>")
@document_route(Answer(204))
def delete(session_id: str) -> ResponseReturnValue:
    """Delete the session; its transcripts remain, with its id."""
    row_id = parsing.parse_row_id(session_id, "session_id")
    with transaction() as session:
        user_resources.delete_row(
            session, SessionRow, row_id, owner_id=guard.caller().visible_owner
        )
    return "", 204
