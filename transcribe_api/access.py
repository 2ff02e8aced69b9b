"""Who is asking, and what of the records this caller may see."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from flask import g

from core import jobs
from core.db import reading
from core.keys import Scope
from transcribe_api import parse


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
    def sees_all(self) -> bool:
        """Whether everybody's records are shown, and not only the caller's own."""
        return Scope.ADMIN in self.scopes

    @property
    def sees(self) -> uuid.UUID | None:
        """Whose records are shown, for ``of`` in `core`; None: everybody's."""
        return None if self.sees_all else self.owner


#: Every caller, where the service asks nobody for a key, and the command line of its machine.
ANYBODY = Caller(owner=None, scopes=frozenset(Scope))
#: A caller without a key, where one is asked for: owns nothing, so sees nothing.
NOBODY = Caller(owner=uuid.UUID(int=0), scopes=frozenset())


def caller() -> Caller:
    """The caller of the present request, as `auth` found out."""
    found: Caller = g.caller
    return found


def job(text: str) -> str:
    """The id of a job that the caller may see. Raises `InvalidInput` or `JobGone`."""
    job_id = parse.job_id(text)
    if not caller().sees_all:
        with reading() as session:
            jobs.get(session, job_id, of=caller().sees)
    return job_id
