"""Resources that callers create, name, change and delete: sessions and contexts.

Functions take the session of the caller's transaction and the model of the rows. Deleting a row
does not change the transcripts that refer to it.
"""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from core.db.models import ContextRow, UserResource
from core.db.pages import Page, PageCursor, fetch_page
from core.errors import NotFound
from transcripts.speakers.role_lexicons import LEXICONS
from transcripts.speakers.roles import Lexicon

Row = TypeVar("Row", bound=UserResource)


def create_row(session: Session, model: type[Row], **values: Any) -> Row:
    """Create a row; return it with its id."""
    row = model(**values)
    session.add(row)
    session.flush()
    return row


def get_row(
    session: Session, model: type[Row], row_id: uuid.UUID, *, owner_id: uuid.UUID | None
) -> Row:
    """Return the row with this id. Raises `NotFound`, also if *owner_id* is not its owner.

    *owner_id*, here and below: None for callers who may see everything.
    """
    return _load_row(session, model, row_id, owner_id, for_update=False)


def list_rows(
    session: Session,
    model: type[Row],
    limit: int,
    after: PageCursor | None,
    *,
    owner_id: uuid.UUID | None,
) -> Page[Row]:
    """Return a page of rows that *owner_id* may see, newest first."""
    conditions = [] if owner_id is None else [model.owner_id == owner_id]
    return fetch_page(session, model, limit, after, *conditions)


def update_row(
    session: Session,
    model: type[Row],
    row_id: uuid.UUID,
    *,
    owner_id: uuid.UUID | None,
    **values: Any,
) -> Row:
    """Change only these values of the row. Raises `NotFound`."""
    row = _load_row(session, model, row_id, owner_id, for_update=True)
    for column, value in values.items():
        setattr(row, column, value)
    session.flush()
    return row


def delete_row(
    session: Session, model: type[Row], row_id: uuid.UUID, *, owner_id: uuid.UUID | None
) -> None:
    """Delete the row. Raises `NotFound`."""
    session.delete(_load_row(session, model, row_id, owner_id, for_update=True))


def find_phrases(
    session: Session, context_id: uuid.UUID | None, owner_id: uuid.UUID | None
) -> dict[str, float]:
    """Return the boost of each phrase that a context lists for the recognizer.

    Empty when there is no such context, or when it has another owner.
    """
    context = _find_context(session, context_id, owner_id)
    return {term["phrase"]: term["boost"] for term in context.terms} if context else {}


def find_lexicon(
    session: Session, context_id: uuid.UUID | None, owner_id: uuid.UUID | None
) -> Lexicon:
    """Return the cues of each speaker role that a context lists; see `find_phrases`."""
    context = _find_context(session, context_id, owner_id)
    roles = context.roles if context else {}
    # An unknown name, as of another version, counts as no lexicon.
    return LEXICONS.get(roles, {}) if isinstance(roles, str) else roles


def _find_context(
    session: Session, context_id: uuid.UUID | None, owner_id: uuid.UUID | None
) -> ContextRow | None:
    if context_id is None:
        return None
    context = session.get(ContextRow, context_id)
    return context if context and context.owner_id == owner_id else None


def _load_row(
    session: Session,
    model: type[Row],
    row_id: uuid.UUID,
    owner_id: uuid.UUID | None,
    *,
    for_update: bool,
) -> Row:
    # Lock the row before a change, so that no other transaction changes or deletes it.
    row = session.get(model, row_id, with_for_update=for_update or None)
    if row is None or (owner_id is not None and row.owner_id != owner_id):
        raise NotFound(f"there is no {model.noun} {row_id}")
    return row
