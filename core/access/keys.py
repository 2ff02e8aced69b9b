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
from core.db.models import ApiKeyRow
from core.errors import InvalidInput, NotFound

#: Seconds for which one note of a key's use is good enough.
USE_INTERVAL_SECONDS = 60

_KEY_PATTERN = re.compile(r"(tk_[0-9a-f]{10})_[A-Za-z0-9_-]{43}")
_MAX_NAME_LENGTH = 200


class Scope(StrEnum):
    """What a key allows; each allows what stands before it too."""

    #: To look.
    READ = "read"
    #: To send, change, cancel and delete.
    WRITE = "write"
    #: To see everybody's records and how the service does.
    ADMIN = "admin"


def expand_scopes(scopes: Iterable[str]) -> frozenset[Scope]:
    """All that these scopes allow."""
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
    """A new key: its row, and the key itself, which nobody can find out again.

    *same_owner_as*: prefix or id of an older key whose records the new one sees.
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
    """The row of a key that opens the service now; None for any other text."""
    match = _KEY_PATTERN.fullmatch(key)
    if not match:
        return None
    row = session.scalar(select(ApiKeyRow).where(ApiKeyRow.prefix == match[1]))
    if row is None or not hmac.compare_digest(row.sha256, _hash_key(key)):
        return None
    return row if is_active(row) else None


def find_active_key(session: Session, row_id: uuid.UUID) -> ApiKeyRow | None:
    """The row with this id, if its key opens the service now."""
    row = session.get(ApiKeyRow, row_id)
    return row if row is not None and is_active(row) else None


def is_active(row: ApiKeyRow) -> bool:
    """Whether the key is neither revoked nor expired."""
    is_expired = row.expires_at is not None and clock.to_utc(row.expires_at) <= clock.utc_now()
    return row.revoked_at is None and not is_expired


def has_active_key(session: Session) -> bool:
    """Whether there is a key that opens the service now."""
    return any(is_active(row) for row in list_keys(session))


def has_any_key(session: Session) -> bool:
    """Whether there ever was a key, be it revoked or expired since."""
    return session.scalar(select(ApiKeyRow.id).limit(1)) is not None


def list_keys(session: Session) -> Sequence[ApiKeyRow]:
    """Every key that was ever made, newest first."""
    query = select(ApiKeyRow).order_by(ApiKeyRow.created_at.desc(), ApiKeyRow.id)
    return session.scalars(query).all()


def get_key(session: Session, prefix_or_id: str) -> ApiKeyRow:
    """The key with this prefix or id. Raises `NotFound`."""
    try:
        condition = ApiKeyRow.id == uuid.UUID(prefix_or_id)
    except ValueError:
        condition = ApiKeyRow.prefix == prefix_or_id
    row = session.scalar(select(ApiKeyRow).where(condition))
    if row is None:
        raise NotFound(f"there is no key {prefix_or_id}")
    return row


def revoke_key(session: Session, prefix_or_id: str) -> ApiKeyRow:
    """Have the key with this prefix or id open nothing any more. Safe to run twice.

    Raises `NotFound`. What its owner has made stays, and is seen by other keys of that owner.
    """
    row = get_key(session, prefix_or_id)
    row.revoked_at = row.revoked_at or clock.utc_now()
    return row


def is_use_stale(row: ApiKeyRow) -> bool:
    """Whether `record_use` would tell more than is written down already."""
    if row.last_used_at is None:
        return True
    return clock.utc_now() - clock.to_utc(row.last_used_at) > timedelta(
        seconds=USE_INTERVAL_SECONDS
    )


def record_use(session: Session, row_id: uuid.UUID) -> None:
    """Write down that the key is used now."""
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
