"""Recheck the access of callers on long connections: a key may be revoked meanwhile."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial

from core.access import keys
from core.db.transactions import read_session
from core.errors import Unavailable
from transcribe_api.http.auth import guard

#: Seconds for which a check is cached, for all streams of a key in this process.
RECHECK_SECONDS = 3.0

#: Returns whether the caller may receive more.
AccessCheck = Callable[[], bool]

#: Time and result of the last check of each key; one entry per key that had a stream.
_checks_by_key: dict[uuid.UUID, tuple[float, bool]] = {}


def allow_anybody() -> bool:
    """Return True: callers without a key may stay."""
    return True


def build_access_check() -> AccessCheck:
    """Return the check for the current request's caller, to call while the response is sent."""
    key_id = guard.caller().key_id
    return allow_anybody if key_id is None else partial(_is_key_active, key_id)


def _is_key_active(key_id: uuid.UUID) -> bool:
    now = time.monotonic()
    checked_at, is_active = _checks_by_key.get(key_id, (-RECHECK_SECONDS, True))
    if now - checked_at >= RECHECK_SECONDS:
        is_active = _look_up_key(key_id, default=is_active)
        _checks_by_key[key_id] = now, is_active
    return is_active


def _look_up_key(key_id: uuid.UUID, *, default: bool) -> bool:
    try:
        with read_session() as session:
            return keys.find_active_key(session, key_id) is not None
    except Unavailable:  # nothing can be sent either until the database answers
        return default
