"""Contexts: named lists of terms that an engine should expect to hear.

Functions take the session of the caller's transaction. A term is a dictionary of ``phrase`` and
``boost``.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from core import pages
from core.errors import NotFound
from core.models import ContextRow
from core.pages import Page, Place


def create(session: Session, *, name: str, terms: Sequence[dict[str, Any]]) -> ContextRow:
    """A new context, which has its id when this returns."""
    made = ContextRow(name=name, terms=list(terms))
    session.add(made)
    session.flush()
    return made


def get(session: Session, context_id: uuid.UUID) -> ContextRow:
    """The context with this id. Raises `NotFound`."""
    return _found(session, context_id, to_change=False)


def newest(session: Session, limit: int, after: Place | None = None) -> Page[ContextRow]:
    """A page of all contexts."""
    return pages.newest_first(session, ContextRow, limit, after)


def change(
    session: Session,
    context_id: uuid.UUID,
    *,
    name: str | None = None,
    terms: Sequence[dict[str, Any]] | None = None,
) -> ContextRow:
    """Give the context what is not None. Raises `NotFound`."""
    found = _found(session, context_id, to_change=True)
    if name is not None:
        found.name = name
    if terms is not None:
        found.terms = list(terms)
    session.flush()
    return found


def delete(session: Session, context_id: uuid.UUID) -> None:
    """Raises `NotFound`."""
    session.delete(_found(session, context_id, to_change=True))


def _found(session: Session, context_id: uuid.UUID, *, to_change: bool) -> ContextRow:
    # Who means to change a row locks it, so that nobody changes or deletes it in between.
    found = session.get(ContextRow, context_id, with_for_update=to_change or None)
    if found is None:
        raise NotFound(f"there is no context {context_id}")
    return found
