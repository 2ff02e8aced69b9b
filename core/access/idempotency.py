"""Idempotent requests: a repeated request gets the response to the first one.

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
from core.db.models import IdempotencyRow
from core.errors import InvalidInput

#: Hours for which a response is stored.
RETENTION_HOURS = 24

HEADER = "Idempotency-Key"


class DuplicateKey(Exception):
    """A concurrent request with the same key was faster."""


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request with an idempotency key."""

    owner: uuid.UUID | None
    key: str
    fingerprint: str

    @property
    def identity(self) -> tuple[str, str]:
        """Return the primary key of its row; each owner has separate keys."""
        return str(self.owner or ""), self.key


def compute_fingerprint(fields: Mapping[str, Any]) -> str:
    """Return a hash that is equal for equal requests, in any order of the fields."""
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def find_response(session: Session, request: IdempotentRequest) -> dict[str, Any] | None:
    """Return the stored response to this request, or None.

    Raises `InvalidInput` if another request used the same key.
    """
    row = session.get(IdempotencyRow, request.identity)
    if row is None:
        return None
    if row.fingerprint != request.fingerprint:
        raise InvalidInput(
            f"{HEADER}: another request used this key; use a new key for a new request",
            field=HEADER,
            code="idempotency_mismatch",
        )
    return row.answer


def store_response(
    session: Session, request: IdempotentRequest, job_id: str, response: Mapping[str, Any]
) -> None:
    """Store the response with the job that it describes. Raises `DuplicateKey`."""
    owner, key = request.identity
    row = IdempotencyRow(
        owner=owner, key=key, fingerprint=request.fingerprint, job_id=job_id, answer=dict(response)
    )
    session.add(row)
    try:
        session.flush()
    except IntegrityError:
        raise DuplicateKey from None


def find_job_id(session: Session, request: IdempotentRequest) -> str | None:
    """Return the id of the job that this request created, or None."""
    row = session.get(IdempotencyRow, request.identity)
    return None if row is None else row.job_id


def forget_request(session: Session, request: IdempotentRequest, job_id: str) -> None:
    """Let the request create another job, if *job_id* is the one that it created."""
    owner, key = request.identity
    session.execute(
        delete(IdempotencyRow).where(
            IdempotencyRow.owner == owner,
            IdempotencyRow.key == key,
            IdempotencyRow.job_id == job_id,
        )
    )


def forget_job(session: Session, job_id: str) -> None:
    """Let all requests that created this job create another."""
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.job_id == job_id))


def delete_expired(session: Session) -> None:
    """Delete the responses whose retention has ended; their keys can be used again."""
    cutoff = clock.utc_now() - timedelta(hours=RETENTION_HOURS)
    session.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < cutoff))
