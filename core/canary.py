"""A key in Redis that is only missing when Redis lost its memory, and with it the queues."""

from __future__ import annotations

import secrets

import redis

from core.progress import client

KEY = "transcribe:canary"


def is_gone() -> bool:
    """Whether the key was missing. It is there again afterwards, so only one who asks is told.

    False also when Redis does not answer.
    """
    try:
        return bool(client().set(KEY, secrets.token_hex(8), nx=True))
    except redis.RedisError:
        return False
