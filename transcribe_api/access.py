"""Who is asking, and what of the records this caller may see."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from flask import g

from core import jobs
from core.db import reading
from transcribe_api import parse


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever sent the present request."""

    #: Owner of what this caller makes; None where the service asks nobody for a key.
    owner: uuid.UUID | None = None
    #: Whether everybody's records are shown, and not only the caller's own.
    sees_all: bool = True

    @property
    def sees(self) -> uuid.UUID | None:
        """Whose records are shown, for ``of`` in `core`; None: everybody's."""
        return None if self.sees_all else self.owner


ANYBODY = Caller()


def caller() -> Caller:
    """The caller of the present request."""
    found: Caller = g.get("caller", ANYBODY)
    return found


def job(text: str) -> str:
    """The id of a job that the caller may see. Raises `InvalidInput` or `JobGone`."""
    job_id = parse.job_id(text)
    if not caller().sees_all:
        with reading() as session:
            jobs.get(session, job_id, of=caller().sees)
    return job_id
