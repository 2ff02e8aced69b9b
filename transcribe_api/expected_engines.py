"""Which engines a stack that starts will have, said before its workers can say so."""

from __future__ import annotations

from contextlib import suppress

import redis

from core import serving
from core.errors import TranscribeError
from engines import catalog


def expect_engines() -> None:
    """Say which engines are about to be there: a job that is sent early is meant for the best."""
    expected, absent = [], []
    for spec in catalog.every_spec():
        if not spec.installed() or not spec.memory_mb:  # of a server, only its worker knows
            continue
        try:
            if spec.offer:
                catalog.offer(spec)
            expected.append(spec.queue)
        except TranscribeError:
            absent.append(spec.queue)
    with suppress(redis.RedisError):
        serving.forget(absent)
        serving.expect(expected)
