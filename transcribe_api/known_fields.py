"""Fields that nobody knows are refused by name: what has no effect must not seem to have one."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from flask import Flask, current_app, request
from pydantic import BaseModel

from core.errors import InvalidInput
from transcribe_api import documented

#: How alike a field must be to be the one that was meant.
_ALIKE = 0.5
#: Characters of an unknown name that are repeated to its sender.
_SHOWN = 100


def check_queries(app: Flask) -> None:
    """Refuse unknown fields in addresses. Call it after the gate.

    Public routes pass them over: what watches a service asks ``/healthz?once=…``.
    """
    app.before_request(_check_query)


def names_of(model: type[BaseModel]) -> list[str]:
    """The fields of a form or an address, as they are sent."""
    return [field.alias or name for name, field in model.model_fields.items()]


def refuse_unknown(sent: Iterable[str | None], allowed: Collection[str]) -> None:
    """Raise `InvalidInput` for the first field that is not allowed. Parts without a name pass."""
    for name in sent:
        if name and name not in allowed:
            raise InvalidInput(
                f"{name[:_SHOWN]}: there is no such field; {_suggest(name, allowed)}",
                field=name[:_SHOWN],
                code="unknown_field",
            )


def _suggest(name: str, allowed: Collection[str]) -> str:
    if not allowed:
        return "this address takes none"
    near = get_close_matches(name.lower(), allowed, 1, _ALIKE)
    return f"did you mean {near[0]}?" if near else f"allowed: {', '.join(allowed)}"


def _check_query() -> None:
    view = current_app.view_functions.get(request.endpoint or "")
    route = view and documented.of(view)
    if route and not route.public:
        refuse_unknown(request.args, names_of(route.query) if route.query else ())
