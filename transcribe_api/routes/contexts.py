"""Contexts: named lists of terms that an engine should expect to hear."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from flask import Blueprint, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import AfterValidator, Field

from core import named
from core.db import transaction
from core.errors import InvalidInput
from core.models import ContextRow
from transcribe_api import access, bodies, pages, parse, render
from transcribe_api.bodies import Body, Line
from transcribe_api.database import db

bp = Blueprint("contexts", __name__, url_prefix="/api/transcribe/contexts")

#: More terms than this help no engine.
MOST_TERMS = 1000
#: How much likelier a phrase may be made, or less likely below 0.
STRONGEST_BOOST = 100


class _Term(Body):
    phrase: Line
    boost: float = Field(ge=-STRONGEST_BOOST, le=STRONGEST_BOOST)


def _each_once(terms: list[_Term]) -> list[_Term]:
    first: dict[str, int] = {}
    for at, term in enumerate(terms):
        before = first.setdefault(term.phrase, at)
        if before != at:
            # Not a ValueError, which pydantic would lay to the whole list.
            field = f"terms.{at}.phrase"
            raise InvalidInput(f"{field}: the same phrase as terms.{before}.phrase", field=field)
    return terms


_Terms = Annotated[list[_Term], Field(max_length=MOST_TERMS), AfterValidator(_each_once)]


class _Whole(Body):
    name: Line
    terms: _Terms = Field(default_factory=list)


class _Change(_Whole):
    # What is not sent stays as it is; null would be neither.
    name: Line = ""


@bp.post("")
def create() -> ResponseReturnValue:
    """A new context."""
    given = bodies.read(_Whole).model_dump()
    with transaction() as session:
        made = named.create(session, ContextRow, owner_id=access.caller().owner, **given)
    location = url_for("contexts.show", context_id=made.id)
    return jsonify(render.context(made)), 201, {"Location": location}


@bp.get("")
def list_all() -> ResponseReturnValue:
    """A page of contexts, newest first."""
    limit, after = pages.limit(request.args), pages.after(request.args)
    page = named.newest(db.session(), ContextRow, limit, after, of=access.caller().sees)
    told = [render.context(row) for row in page.rows]
    return jsonify({"contexts": told, "next_cursor": pages.cursor(page.last)})


@bp.get("/<context_id>")
def show(context_id: str) -> ResponseReturnValue:
    """One context."""
    found = named.get(
        db.session(), ContextRow, parse.row_id(context_id, "context_id"), of=access.caller().sees
    )
    return jsonify(render.context(found))


@bp.put("/<context_id>")
def replace(context_id: str) -> ResponseReturnValue:
    """Say anew all that a caller can say of a context."""
    row_id = parse.row_id(context_id, "context_id")
    return _changed(row_id, bodies.read(_Whole).model_dump())


@bp.patch("/<context_id>")
def change(context_id: str) -> ResponseReturnValue:
    """Change what is sent, and nothing else."""
    row_id = parse.row_id(context_id, "context_id")
    return _changed(row_id, bodies.read(_Change).model_dump(exclude_unset=True))


def _changed(row_id: uuid.UUID, values: dict[str, Any]) -> ResponseReturnValue:
    with transaction() as session:
        changed = named.change(session, ContextRow, row_id, of=access.caller().sees, **values)
    return jsonify(render.context(changed))


@bp.delete("/<context_id>")
def delete(context_id: str) -> ResponseReturnValue:
    """Forget the context; transcripts that were made with it stay."""
    row_id = parse.row_id(context_id, "context_id")
    with transaction() as session:
        named.delete(session, ContextRow, row_id, of=access.caller().sees)
    return "", 204
