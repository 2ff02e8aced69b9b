"""The connections of this process to Redis."""

from __future__ import annotations

import os
from functools import lru_cache

import redis

from core.settings import settings

#: Seconds to wait for Redis: progress reports must never delay the work.
TIMEOUT_SECONDS = 5
#: Maximum number of connections of a process.
MAX_CONNECTIONS = 20


def client() -> redis.Redis:
    """Return the Redis client of this process; connections do not survive a fork."""
    return _client(settings().redis, os.getpid())


@lru_cache(maxsize=4)
def _client(url: str, _pid: int) -> redis.Redis:
    # When all connections are in use, threads wait for one: hundreds of listeners may come at once.
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=TIMEOUT_SECONDS,
        decode_responses=True,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
    )
    return redis.Redis(connection_pool=pool)
