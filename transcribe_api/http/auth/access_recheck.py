"""Whether a caller who stays connected may still be told: a key can be revoked meanwhile."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial

from core.access import keys
from core.db.transactions import read_session
from core.errors import Unavailable
from transcribe_api.http.auth import guard

#: Seconds for which an answer of the records holds, for all streams of a key in this process.
RECHECK_SECONDS = 3.0

#: Says whether whoever listens may be told more.
AccessCheck = Callable[[], bool]

#: When each key was last looked up, and what came of it: as many as keys that have listened.
_checks_by_key: dict[uuid.UUID, tuple[float, bool]] = {}


def allow_anybody() -> bool:
    """For callers without a key: they may stay."""
    return True


def build_access_check() -> AccessCheck:
    """For the caller of the present request, to be asked as long as the answer is being sent."""
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
    except Unavailable:  # nothing can be told either, until the records answer again
        return default
