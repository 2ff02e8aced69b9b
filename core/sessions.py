"""Sessions: made, renamed and deleted by callers, to put their transcripts under.

Functions take the session of the caller's transaction. To delete one leaves its transcripts as they
are.
"""

from __future__ import annotations

import uuid

from sqlalchemy.orm import Session

from core import pages
from core.errors import NotFound
from core.models import SessionRow
from core.pages import Page, Place


def create(session: Session, *, name: str) -> SessionRow:
    """A new session, which has its id when this returns."""
    made = SessionRow(name=name)
    session.add(made)
    session.flush()
    return made


def get(session: Session, session_id: uuid.UUID) -> SessionRow:
    """The session with this id. Raises `NotFound`."""
    return _found(session, session_id, to_change=False)


def newest(session: Session, limit: int, after: Place | None = None) -> Page[SessionRow]:
    """A page of all sessions."""
    return pages.newest_first(session, SessionRow, limit, after)


def change(session: Session, session_id: uuid.UUID, *, name: str | None = None) -> SessionRow:
    """Give the session what is not None. Raises `NotFound`."""
    found = _found(session, session_id, to_change=True)
    if name is not None:
        found.name = name
    session.flush()
    return found


def delete(session: Session, session_id: uuid.UUID) -> None:
    """Raises `NotFound`."""
    session.delete(_found(session, session_id, to_change=True))


def _found(session: Session, session_id: uuid.UUID, *, to_change: bool) -> SessionRow:
    # Who means to change a row locks it, so that nobody changes or deletes it in between.
    found = session.get(SessionRow, session_id, with_for_update=to_change or None)
    if found is None:
        raise NotFound(f"there is no session {session_id}")
    return found
