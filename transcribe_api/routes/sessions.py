"""Sessions, which callers make to put their transcripts under."""

from __future__ import annotations

import uuid

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core import named
from core.db import transaction
from core.models import SessionRow
from transcribe_api import access, bodies, pages, parse, render
from transcribe_api.database import db
from transcribe_api.documented import Answer, documented
from transcribe_api.schemas.common import PageQuery
from transcribe_api.schemas.named import Session, SessionChange, SessionPage, SessionWhole

bp = Blueprint("sessions", __name__, url_prefix="/api/transcribe/sessions")


@bp.post("")
@documented(Answer(201, Session, headers=("Location",)), body=SessionWhole)
def create() -> ResponseReturnValue:
    """A new session."""
    given = bodies.read(SessionWhole)
    with transaction() as session:
        made = named.create(session, SessionRow, owner_id=access.caller().owner, name=given.name)
    location = url_for("sessions.show", session_id=made.id)
    return jsonify(render.session(made)), 201, {"Location": location}


@bp.get("")
@documented(Answer(200, SessionPage), query=PageQuery)
def list_all() -> ResponseReturnValue:
    """A page of sessions, newest first."""
    limit, after = pages.limit(request.args), pages.after(request.args)
    page = named.newest(db.session(), SessionRow, limit, after, of=access.caller().sees)
    told = [render.session(row) for row in page.rows]
    return jsonify({"sessions": told, "next_cursor": pages.cursor(page.last)})


@bp.get("/<session_id>")
@documented(Answer(200, Session))
def show(session_id: str) -> ResponseReturnValue:
    """One session."""
    found = named.get(
        db.session(), SessionRow, parse.row_id(session_id, "session_id"), of=access.caller().sees
    )
    return jsonify(render.session(found))


@bp.put("/<session_id>")
@documented(Answer(200, Session), body=SessionWhole)
def replace(session_id: str) -> ResponseReturnValue:
    """Say anew all that a caller can say of a session."""
    row_id = parse.row_id(session_id, "session_id")
    return _changed(row_id, bodies.read(SessionWhole).model_dump())


@bp.patch("/<session_id>")
@documented(Answer(200, Session), body=SessionChange)
def change(session_id: str) -> ResponseReturnValue:
    """Change what is sent, and nothing else."""
    row_id = parse.row_id(session_id, "session_id")
    return _changed(row_id, bodies.read(SessionChange).model_dump(exclude_unset=True))


def _changed(row_id: uuid.UUID, values: dict[str, str]) -> ResponseReturnValue:
    with transaction() as session:
        changed = named.change(session, SessionRow, row_id, of=access.caller().sees, **values)
    return jsonify(render.session(changed))


@bp.delete("/<session_id>")
@documented(Answer(204))
def delete(session_id: str) -> ResponseReturnValue:
    """Forget the session; its transcripts stay, with its id."""
    row_id = parse.row_id(session_id, "session_id")
    with transaction() as session:
        named.delete(session, SessionRow, row_id, of=access.caller().sees)
    return "", 204
