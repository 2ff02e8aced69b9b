"""Whether a caller who stays connected may still be told: a key can be revoked meanwhile."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from functools import partial

from core import keys
from core.db import reading
from core.errors import Unavailable
from transcribe_api import access

#: Seconds for which an answer of the records holds, for all streams of a key in this process.
ASK_EVERY = 3.0

#: Says whether whoever listens may be told more.
Welcome = Callable[[], bool]

#: When each key was last looked up, and what came of it: as many as keys that have listened.
_answers: dict[uuid.UUID, tuple[float, bool]] = {}


def anybody() -> bool:
    """For callers without a key: they may stay."""
    return True


def welcome() -> Welcome:
    """For the caller of the present request, to be asked as long as the answer is being sent."""
    key_id = access.caller().key_id
    return anybody if key_id is None else partial(_opens, key_id)


def _opens(key_id: uuid.UUID) -> bool:
    now = time.monotonic()
    asked_at, opened = _answers.get(key_id, (-ASK_EVERY, True))
    if now - asked_at >= ASK_EVERY:
        opened = _asked(key_id, otherwise=opened)
        _answers[key_id] = now, opened
    return opened


def _asked(key_id: uuid.UUID, *, otherwise: bool) -> bool:
    try:
        with reading() as session:
            return keys.active(session, key_id) is not None
    except Unavailable:  # nothing can be told either, until the records answer again
        return otherwise
