"""Requests that may be sent twice: the second time they are answered as they were the first.

Functions take the session of the caller's transaction.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from core import clock
from core.errors import InvalidInput
from core.models import IdempotencyRow

#: Hours for which an answer is kept.
KEPT_HOURS = 24

HEADER = "Idempotency-Key"


class Taken(Exception):
    """A request with the same key was faster."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that its caller has given a name."""

    owner: uuid.UUID | None
    key: str
    fingerprint: str

    @property
    def identity(self) -> tuple[str, str]:
        """The primary key of its row: callers do not know of each other's keys."""
        return str(self.owner or ""), self.key


def fingerprint(asked: Mapping[str, Any]) -> str:
    """The same for the same request, whatever the order of its fields."""
    text = json.dumps(asked, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def answer_to(session: Session, request: Request) -> dict[str, Any] | None:
    """What this request was answered before, or None.

    Raises `InvalidInput` when another request had the same key.
    """
    row = session.get(IdempotencyRow, request.identity)
    if row is None:
        return None
    if row.fingerprint != request.fingerprint:
        raise InvalidInput(
            f"{HEADER}: another request was sent with this key; take a new key for a new request",
            field=HEADER,
            code="idempotency_mismatch",
        )
    return row.answer


def keep(session: Session, request: Request, job_id: str, answer: Mapping[str, Any]) -> None:
    """Write the answer down, with the job that it tells of. Raises `Taken`."""
    owner, key = request.identity
    row = IdempotencyRow(
        owner=owner, key=key, fingerprint=request.fingerprint, job_id=job_id, answer=dict(answer)
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise Taken from None


def job_of(session: Session, request: Request) -> str | None:
    """The id of the job that this request made, or None."""
    row = session.get(IdempotencyRow, request.identity)
    return None if row is None else row.job_id


def forget(session: Session, request: Request, job_id: str) -> None:
    """Let the request make another job, if this is the one that it made."""
    owner, key = request.identity
    session.execute(
        delete(IdempotencyRow).where(
            IdempotencyRow.owner == owner,
            IdempotencyRow.key == key,
            IdempotencyRow.job_id == job_id,
        )
    )


def forget_job(session: Session, job_id: str) -> None:
    """Let every request that made this job make another."""
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.job_id == job_id))


def forget_old(session: Session) -> None:
    """Forget the answers that were kept for long enough: their keys are free again."""
    limit = clock.utc_now() - timedelta(hours=KEPT_HOURS)
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < limit))
