"""The caller of a request, and the records that this caller may see."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from flask import g

from core.access.keys import Scope
from core.db.transactions import read_session
from core.jobs import lifecycle
from transcribe_api.http.requests import parsing


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of the current request."""

    #: Owner of what this caller creates; None if the service requires no key.
    owner: uuid.UUID | None
    #: All allowed scopes, including implied ones.
    scopes: frozenset[Scope]
    #: Id of the key that was sent.
    key_id: uuid.UUID | None = None
    #: Requests per minute of this key; None: as in the settings.
    per_minute: int | None = None

    @property
    def may_see_all(self) -> bool:
        """Return whether all records are visible, not only the caller's own."""
        return Scope.ADMIN in self.scopes

    @property
    def visible_owner(self) -> uuid.UUID | None:
        """Return the ``owner_id`` for queries in `core`; None: records of all owners."""
        return None if self.may_see_all else self.owner


#: All callers if the service requires no key, and the local command line.
ANYBODY = Caller(owner=None, scopes=frozenset(Scope))
#: A caller without the required key: it owns nothing, so it sees nothing.
NOBODY = Caller(owner=uuid.UUID(int=0), scopes=frozenset())


def caller() -> Caller:
    """Return the caller of the current request, as set by `authentication`."""
    current: Caller = g.caller
    return current


def check_job_access(text: str) -> str:
    """Return the job id if the caller may see the job. Raises `InvalidInput` or `JobNotFound`."""
    job_id = parsing.parse_job_id(text)
    if not caller().may_see_all:
        with read_session() as session:
            lifecycle.get_job(session, job_id, owner_id=caller().visible_owner)
    return job_id
