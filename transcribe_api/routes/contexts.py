"""Contexts: named lists of terms that an engine should expect."""

from __future__ import annotations

import uuid
from typing import Any

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from core.access import user_resources
from core.db.models import ContextRow
from core.db.transactions import transaction
from transcribe_api.database import db
from transcribe_api.http.auth import guard
from transcribe_api.http.requests import json_bodies, page_query, parsing
from transcribe_api.http.responses import rendering
from transcribe_api.http.route_docs import Answer, document_route
from transcribe_api.schemas.common import PageQuery
from transcribe_api.schemas.named import Context, ContextChange, ContextPage, ContextWhole

bp = Blueprint("contexts", __name__, url_prefix="/api/transcribe/contexts")


@bp.post("")
@document_route(Answer(201, Context, headers=("Location",)), body=ContextWhole)
def create() -> ResponseReturnValue:
    """Create a context."""
    values = json_bodies.parse_body(ContextWhole).model_dump()
    with transaction() as session:
        row = user_resources.create_row(
            session, ContextRow, owner_id=guard.caller().owner, **values
        )
    location = url_for("contexts.show", context_id=row.id)
    return jsonify(rendering.render_context(row)), 201, {"Location": location}


@bp.get("")
@document_route(Answer(200, ContextPage), query=PageQuery)
def list_all() -> ResponseReturnValue:
    """List contexts by page, newest first."""
    limit, after = page_query.parse_limit(request.args), page_query.parse_cursor(request.args)
    page = user_resources.list_rows(
        db.session(), ContextRow, limit, after, owner_id=guard.caller().visible_owner
    )
    contexts = [rendering.render_context(row) for row in page.rows]
    return jsonify(
        {"contexts": contexts, "next_cursor": page_query.format_cursor(page.next_cursor)}
    )


@bp.get("/<context_id>")
@document_route(Answer(200, Context))
def show(context_id: str) -> ResponseReturnValue:
    """Return one context."""
    row = user_resources.get_row(
        db.session(),
        ContextRow,
        parsing.parse_row_id(context_id, "context_id"),
        owner_id=guard.caller().visible_owner,
    )
    return jsonify(rendering.render_context(row))


@bp.put("/<context_id>")
@document_route(Answer(200, Context), body=ContextWhole)
def replace(context_id: str) -> ResponseReturnValue:
    """Replace all fields of a context."""
    row_id = parsing.parse_row_id(context_id, "context_id")
    return _apply_change(row_id, json_bodies.parse_body(ContextWhole).model_dump())


@bp.patch("/<context_id>")
@document_route(Answer(200, Context), body=ContextChange)
def change(context_id: str) -> ResponseReturnValue:
    """Change only the fields that are sent."""
    row_id = parsing.parse_row_id(context_id, "context_id")
    return _apply_change(
        row_id, json_bodies.parse_body(ContextChange).model_dump(exclude_unset=True)
    )


def _apply_change(row_id: uuid.UUID, values: dict[str, Any]) -> ResponseReturnValue:
    with transaction() as session:
        row = user_resources.update_row(
            session, ContextRow, row_id, owner_id=guard.caller().visible_owner, **values
        )
    return jsonify(rendering.render_context(row))


@bp.delete("/<context_id>")
@document_route(Answer(204))
def delete(context_id: str) -> ResponseReturnValue:
    """Delete the context; transcripts that used it remain."""
    row_id = parsing.parse_row_id(context_id, "context_id")
    with transaction() as session:
        user_resources.delete_row(
            session, ContextRow, row_id, owner_id=guard.caller().visible_owner
        )
    return "", 204
