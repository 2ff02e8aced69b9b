"""Contexts: named lists of terms that an engine should expect to hear."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core import named
from core.db import transaction
from core.models import ContextRow
from transcribe_api import access, bodies, pages, parse, render
from transcribe_api.database import db
from transcribe_api.documented import Answer, documented
from transcribe_api.schemas.common import PageQuery
from transcribe_api.schemas.named import Context, ContextChange, ContextPage, ContextWhole

bp = Blueprint("contexts", __name__, url_prefix="/api/transcribe/contexts")


@bp.post("")
@documented(Answer(201, Context, headers=("Location",)), body=ContextWhole)
def create() -> ResponseReturnValue:
    """A new context."""
    given = bodies.read(ContextWhole).model_dump()
    with transaction() as session:
        made = named.create(session, ContextRow, owner_id=access.caller().owner, **given)
    location = url_for("contexts.show", context_id=made.id)
    return jsonify(render.context(made)), 201, {"Location": location}


@bp.get("")
@documented(Answer(200, ContextPage), query=PageQuery)
def list_all() -> ResponseReturnValue:
    """A page of contexts, newest first."""
    limit, after = pages.limit(request.args), pages.after(request.args)
    page = named.newest(db.session(), ContextRow, limit, after, of=access.caller().sees)
    told = [render.context(row) for row in page.rows]
    return jsonify({"contexts": told, "next_cursor": pages.cursor(page.last)})


@bp.get("/<context_id>")
@documented(Answer(200, Context))
def show(context_id: str) -> ResponseReturnValue:
    """One context."""
    found = named.get(
        db.session(), ContextRow, parse.row_id(context_id, "context_id"), of=access.caller().sees
    )
    return jsonify(render.context(found))


@bp.put("/<context_id>")
@documented(Answer(200, Context), body=ContextWhole)
def replace(context_id: str) -> ResponseReturnValue:
    """Say anew all that a caller can say of a context."""
    row_id = parse.row_id(context_id, "context_id")
    return _changed(row_id, bodies.read(ContextWhole).model_dump())


@bp.patch("/<context_id>")
@documented(Answer(200, Context), body=ContextChange)
def change(context_id: str) -> ResponseReturnValue:
    """Change what is sent, and nothing else."""
    row_id = parse.row_id(context_id, "context_id")
    return _changed(row_id, bodies.read(ContextChange).model_dump(exclude_unset=True))


def _changed(row_id: uuid.UUID, values: dict[str, Any]) -> ResponseReturnValue:
    with transaction() as session:
        changed = named.change(session, ContextRow, row_id, of=access.caller().sees, **values)
    return jsonify(render.context(changed))


@bp.delete("/<context_id>")
@documented(Answer(204))
def delete(context_id: str) -> ResponseReturnValue:
    """Forget the context; transcripts that were made with it stay."""
    row_id = parse.row_id(context_id, "context_id")
    with transaction() as session:
        named.delete(session, ContextRow, row_id, of=access.caller().sees)
    return "", 204
