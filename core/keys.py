"""Keys that open the service: made, found, listed and revoked.

A key is shown once, when it is made; kept is its hash alone. Functions take the session of the
caller's transaction.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from core import clock
from core.errors import InvalidInput, NotFound
from core.models import ApiKeyRow

#: Seconds for which one note of a key's use is good enough.
USE_NOTED_EVERY = 60

_KEY = re.compile(r"(tk_[0-9a-f]{10})_[A-Za-z0-9_-]{43}")
_LONGEST_NAME = 200


class Scope(StrEnum):
    """What a key allows; each allows what stands before it too."""

    #: To look.
    READ = "read"
    #: To send, change, cancel and delete.
    WRITE = "write"
    #: To see everybody's records and how the service does.
    ADMIN = "admin"


def allowed(scopes: Iterable[str]) -> frozenset[Scope]:
    """All that these scopes allow."""
    known = list(Scope)
    most = max((known.index(Scope(scope)) for scope in scopes), default=-1)
    return frozenset(known[: most + 1])


def create(
    session: Session,
    name: str,
    scopes: Iterable[Scope],
    *,
    same_owner_as: str | None = None,
    expires_at: datetime | None = None,
    per_minute: int | None = None,
) -> tuple[ApiKeyRow, str]:
    """A new key: its row, and the key itself, which nobody can find out again.

    *same_owner_as*: prefix or id of an older key whose records the new one sees.
    """
    row_id = uuid.uuid4()
    prefix = f"tk_{secrets.token_hex(5)}"
    key = f"{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(
        id=row_id,
        owner_id=named(session, same_owner_as).owner_id if same_owner_as else row_id,
        name=_checked_name(name),
        prefix=prefix,
        sha256=_hash(key),
        scopes=sorted(set(scopes)),
        per_minute=per_minute,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, key


def find(session: Session, key: str) -> ApiKeyRow | None:
    """The row of a key that opens the service now; None for any other text."""
    match = _KEY.fullmatch(key)
    if not match:
        return None
    row = session.scalar(select(ApiKeyRow).where(ApiKeyRow.prefix == match[1]))
    if row is None or not hmac.compare_digest(row.sha256, _hash(key)):
        return None
    return row if is_active(row) else None


def active(session: Session, row_id: uuid.UUID) -> ApiKeyRow | None:
    """The row with this id, if its key opens the service now."""
    row = session.get(ApiKeyRow, row_id)
    return row if row is not None and is_active(row) else None


def is_active(row: ApiKeyRow) -> bool:
    """Whether the key is neither revoked nor expired."""
    expired = row.expires_at is not None and clock.utc(row.expires_at) <= clock.utc_now()
    return row.revoked_at is None and not expired


def any_active(session: Session) -> bool:
    """Whether there is a key that opens the service now."""
    return any(is_active(row) for row in newest(session))


def any_made(session: Session) -> bool:
    """Whether there ever was a key, be it revoked or expired since."""
    return session.scalar(select(ApiKeyRow.id).limit(1)) is not None


def newest(session: Session) -> Sequence[ApiKeyRow]:
    """Every key that was ever made, newest first."""
    query = select(ApiKeyRow).order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id)
    return session.scalars(query).all()


def named(session: Session, text: str) -> ApiKeyRow:
    """The key with this prefix or id. Raises `NotFound`."""
    try:
        is_it = ApiKeyRow.id == uuid.UUID(text)
    except ValueError:
        is_it = ApiKeyRow.prefix == text
    row = session.scalar(select(ApiKeyRow).where(is_it))
    if row is None:
        raise NotFound(f"there is no key {text}")
    return row


def revoke(session: Session, text: str) -> ApiKeyRow:
    """Have the key with this prefix or id open nothing any more. Safe to run twice.

    Raises `NotFound`. What its owner has made stays, and is seen by other keys of that owner.
    """
    row = named(session, text)
    row.revoked_at = row.revoked_at or clock.utc_now()
    return row


def is_use_to_be_noted(row: ApiKeyRow) -> bool:
    """Whether `note_use` would tell more than is written down already."""
    if row.last_used_at is None:
        return True
    return clock.utc_now() - clock.utc(row.last_used_at) > timedelta(seconds=USE_NOTED_EVERY)


def note_use(session: Session, row_id: uuid.UUID) -> None:
    """Write down that the key is used now."""
    row = session.get(ApiKeyRow, row_id)
    if row is not None:
        row.last_used_at = clock.utc_now()


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _checked_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= _LONGEST_NAME or not name.isprintable():
        raise InvalidInput(f"name: 1 to {_LONGEST_NAME} printable characters", field="name")
    return name
