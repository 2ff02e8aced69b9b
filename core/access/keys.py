"""API keys: create, verify, list and revoke.

A key is shown once, when it is created; only its hash is stored. Functions take the session of the
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
from core.db.models import ApiKeyRow
from core.errors import InvalidInput, NotFound

#: Seconds between two updates of a key's last use.
USE_INTERVAL_SECONDS = 60

_KEY_PATTERN = re.compile(r"(tk_[0-9a-f]{10})_[A-Za-z0-9_-]{43}")
_MAX_NAME_LENGTH = 200


class Scope(StrEnum):
    """What a key allows; each scope includes the ones before it."""

    #: Read access.
    READ = "read"
    #: Submit, change, cancel and delete.
    WRITE = "write"
    #: See all records and the state of the service.
    ADMIN = "admin"


def expand_scopes(scopes: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes with all that they include."""
    ordered = list(Scope)
    highest = max((ordered.index(Scope(scope)) for scope in scopes), default=-1)
    return frozenset(ordered[: highest + 1])


def create_key(
    session: Session,
    name: str,
    scopes: Iterable[Scope],
    *,
    same_owner_as: str | None = None,
    expires_at: datetime | None = None,
    per_minute: int | None = None,
) -> tuple[ApiKeyRow, str]:
    """Create a key; return its row and the key itself, which cannot be recovered later.

    *same_owner_as*: prefix or id of an older key, whose records the new one can see.
    """
    row_id = uuid.uuid4()
    prefix = f"tk_{secrets.token_hex(5)}"
    key = f"{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiKeyRow(
        id=row_id,
        owner_id=get_key(session, same_owner_as).owner_id if same_owner_as else row_id,
        name=_validate_name(name),
        prefix=prefix,
        sha256=_hash_key(key),
        scopes=sorted(set(scopes)),
        per_minute=per_minute,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return row, key


def verify_key(session: Session, key: str) -> ApiKeyRow | None:
    """Return the row of an active key; None for any other text."""
    match = _KEY_PATTERN.fullmatch(key)
    if not match:
        return None
    row = session.scalar(select(ApiKeyRow).where(ApiKeyRow.prefix == match[1]))
    if row is None or not hmac.compare_digest(row.sha256, _hash_key(key)):
        return None
    return row if is_active(row) else None


def find_active_key(session: Session, row_id: uuid.UUID) -> ApiKeyRow | None:
    """Return the row with this id, if its key is active."""
    row = session.get(ApiKeyRow, row_id)
    return row if row is not None and is_active(row) else None


def is_active(row: ApiKeyRow) -> bool:
    """Return whether the key is neither revoked nor expired."""
    is_expired = row.expires_at is not None and clock.to_utc(row.expires_at) <= clock.utc_now()
    return row.revoked_at is None and not is_expired


def has_active_key(session: Session) -> bool:
    """Return whether there is an active key."""
    return any(is_active(row) for row in list_keys(session))


def has_any_key(session: Session) -> bool:
    """Return whether there ever was a key, even if revoked or expired."""
    return session.scalar(select(ApiKeyRow.id).limit(1)) is not None


def list_keys(session: Session) -> Sequence[ApiKeyRow]:
    """Return all keys ever created, newest first."""
    query = select(ApiKeyRow).order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id)
    return session.scalars(query).all()


def get_key(session: Session, prefix_or_id: str) -> ApiKeyRow:
    """Return the key with this prefix or id. Raises `NotFound`."""
    try:
        condition = ApiKeyRow.id == uuid.UUID(prefix_or_id)
    except ValueError:
        condition = ApiKeyRow.prefix == prefix_or_id
    row = session.scalar(select(ApiKeyRow).where(condition))
    if row is None:
        raise NotFound(f"there is no key {prefix_or_id}")
    return row


def revoke_key(session: Session, prefix_or_id: str) -> ApiKeyRow:
    """Revoke the key with this prefix or id. Safe to call twice.

    Raises `NotFound`. The records of its owner remain, and other keys of that owner still see them.
    """
    row = get_key(session, prefix_or_id)
    row.revoked_at = row.revoked_at or clock.utc_now()
    return row


def is_use_stale(row: ApiKeyRow) -> bool:
    """Return whether `record_use` should update the last use."""
    if row.last_used_at is None:
        return True
    return clock.utc_now() - clock.to_utc(row.last_used_at) > timedelta(
        seconds=USE_INTERVAL_SECONDS
    )


def record_use(session: Session, row_id: uuid.UUID) -> None:
    """Record that the key is used now."""
    row = session.get(ApiKeyRow, row_id)
    if row is not None:
        row.last_used_at = clock.utc_now()


def _hash_key(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _validate_name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= _MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidInput(f"name: 1 to {_MAX_NAME_LENGTH} printable characters", field="name")
    return name
