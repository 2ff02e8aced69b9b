"""Who is asking, and what of the records this caller may see."""

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
    """Whoever sent the present request."""

    #: Owner of what this caller makes; None where the service asks nobody for a key.
    owner: uuid.UUID | None
    #: All that is allowed, with what each scope implies.
    scopes: frozenset[Scope]
    #: Of the key that was sent.
    key_id: uuid.UUID | None = None
    #: Requests that this key has a minute; None: as the settings say.
    per_minute: int | None = None

    @property
    def may_see_all(self) -> bool:
        """Whether everybody's records are shown, and not only the caller's own."""
        return Scope.ADMIN in self.scopes

    @property
    def visible_owner(self) -> uuid.UUID | None:
        """Whose records are shown, for ``owner_id`` in `core`; None: everybody's."""
        return None if self.may_see_all else self.owner


#: Every caller, where the service asks nobody for a key, and the command line of its machine.
ANYBODY = Caller(owner=None, scopes=frozenset(Scope))
#: A caller without a key, where one is asked for: owns nothing, so sees nothing.
NOBODY = Caller(owner=uuid.UUID(int=0), scopes=frozenset())


def caller() -> Caller:
    """The caller of the present request, as `authentication` found out."""
    current: Caller = g.caller
    return current


def check_job_access(text: str) -> str:
    """The id of a job that the caller may see. Raises `InvalidInput` or `JobNotFound`."""
    job_id = parsing.parse_job_id(text)
    if not caller().may_see_all:
        with read_session() as session:
            lifecycle.get_job(session, job_id, owner_id=caller().visible_owner)
    return job_id
