"""Refuse unknown fields by name, since a field without effect must not seem to have one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from flask import Flask, current_app, request
from pydantic import BaseModel

from core.errors import InvalidInput
from transcribe_api.http import route_docs

#: Minimum similarity of a field to be suggested.
_MIN_SIMILARITY = 0.5
#: Characters of an unknown name that the error repeats.
_MAX_SHOWN = 100


def install_query_check(app: Flask) -> None:
    """Refuse unknown query fields. Call it after the gate is installed.

    Public routes ignore them: monitoring tools request ``/healthz?once=…``.
    """
    app.before_request(_check_query)


def list_field_names(model: type[BaseModel]) -> list[str]:
    """Return the names of a form's or query's fields, as sent."""
    return [field.alias or name for name, field in model.model_fields.items()]


def refuse_unknown(field_names: Iterable[str | None], allowed: Collection[str]) -> None:
    """Raise `InvalidInput` for the first unknown field. Parts without a name are ignored."""
    for name in field_names:
        if name and name not in allowed:
            raise InvalidInput(
                f"{name[:_MAX_SHOWN]}: there is no such field; {_suggest(name, allowed)}",
                field=name[:_MAX_SHOWN],
                code="unknown_field",
            )


def _suggest(name: str, allowed: Collection[str]) -> str:
    if not allowed:
        return "this address accepts no fields"
    matches = get_close_matches(name.lower(), allowed, 1, _MIN_SIMILARITY)
    return f"did you mean {matches[0]}?" if matches else f"allowed: {', '.join(allowed)}"


def _check_query() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    route = view and route_docs.find_route(view)
    if route and not route.public:
        refuse_unknown(request.args, list_field_names(route.query) if route.query else ())
