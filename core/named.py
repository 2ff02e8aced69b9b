"""What callers make, name, change and delete: sessions and contexts.

Functions take the session of the caller's transaction and the model of the rows that are meant.
To delete a row leaves the transcripts that name it as they are.
"""

from __future__ import annotations

import uuid
from typing import Any, TypeVar

from sqlalchemy.orm import Session

from core.errors import NotFound
from core.models import ContextRow, Named, Transcript
from core.pages import Page, Place, newest_first
from transcripts.lexicons import LEXICONS
from transcripts.roles import Lexicon

Row = TypeVar("Row", bound=Named)


def create(session: Session, kind: type[Row], **values: Any) -> Row:
    """A new row, which has its id when this returns."""
    made = kind(**values)
    session.add(made)
    session.flush()
    return made


def get(session: Session, kind: type[Row], row_id: uuid.UUID, *, of: uuid.UUID | None) -> Row:
    """The row with this id. Raises `NotFound`, also when *of* is not its owner.

    *of*, here and below: None stands for whoever may see everything.
    """
    return _found(session, kind, row_id, of, to_change=False)


def newest(
    session: Session, kind: type[Row], limit: int, after: Place | None, *, of: uuid.UUID | None
) -> Page[Row]:
    """Some rows that *of* may see, newest first."""
    conditions = [] if of is None else [kind.owner_id == of]
    return newest_first(session, kind, limit, after, *conditions)


def change(
    session: Session, kind: type[Row], row_id: uuid.UUID, *, of: uuid.UUID | None, **values: Any
) -> Row:
    """Give the row these values and leave the others. Raises `NotFound`."""
    found = _found(session, kind, row_id, of, to_change=True)
    for column, value in values.items():
        setattr(found, column, value)
    session.flush()
    return found


def delete(session: Session, kind: type[Row], row_id: uuid.UUID, *, of: uuid.UUID | None) -> None:
    """Raises `NotFound`."""
    session.delete(_found(session, kind, row_id, of, to_change=True))


def phrases(session: Session, transcript: Transcript) -> dict[str, float]:
    """What the transcript's context says to expect, each phrase with its boost.

    Nothing when there is no such context, or when it is somebody else's.
    """
    context = _context(session, transcript)
    return {term["phrase"]: term["boost"] for term in context.terms} if context else {}


def lexicon(session: Session, transcript: Transcript) -> Lexicon:
    """What the transcript's context says to tell the roles of speakers by; see `phrases`."""
    context = _context(session, transcript)
    roles = context.roles if context else {}
    # A name that an older version knew is as good as none.
    return LEXICONS.get(roles, {}) if isinstance(roles, str) else roles


def _context(session: Session, transcript: Transcript) -> ContextRow | None:
    if transcript.context_id is None:
        return None
    context = session.get(ContextRow, transcript.context_id)
    return context if context and context.owner_id == transcript.owner_id else None


def _found(
    session: Session, kind: type[Row], row_id: uuid.UUID, of: uuid.UUID | None, *, to_change: bool
) -> Row:
    # Who means to change a row locks it, so that nobody changes or deletes it in between.
    found = session.get(kind, row_id, with_for_update=to_change or None)
    if found is None or (of is not None and found.owner_id != of):
        raise NotFound(f"there is no {kind.called} {row_id}")
    return found
