"""A key in Redis that is missing only if Redis lost its memory, and the queues with it."""

from __future__ import annotations

import secrets

import redis

from core.redis import client

CANARY_KEY = "transcribe:canary"


def detect_memory_loss() -> bool:
    """Return whether Redis has lost its memory since the last call by any process.

    The key is missing then. The call sets it again, so after a loss only the first call returns
    True. It also returns False if Redis does not answer.
    """
    try:
        return bool(client().set(CANARY_KEY, secrets.token_hex(8), nx=True))
    except redis.RedisError:
        return False
