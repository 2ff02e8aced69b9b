"""A key in Redis that is only missing when Redis lost its memory, and with it the queues."""

from __future__ import annotations

import secrets

import redis

from core.redis import client

CANARY_KEY = "transcribe:canary"


def detect_memory_loss() -> bool:
    """Whether Redis has lost its memory since the last call of any process.

    The key is missing then. The call sets it again, so that after a loss the first call alone
    returns True. It returns False also when Redis does not answer.
    """
    try:
        return bool(client().set(CANARY_KEY, secrets.token_hex(8), nx=True))
    except redis.RedisError:
        return False
