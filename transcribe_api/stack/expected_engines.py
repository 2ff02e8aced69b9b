"""Which engines a stack that starts will have, said before its workers can say so."""

from __future__ import annotations

from contextlib import suppress

import redis

from core.errors import TranscribeError
from core.live import worker_registry
from engines import catalog


def expect_engines() -> None:
    """Say which engines are about to be there: a job that is sent early is meant for the best."""
    expected, absent = [], []
    for spec in catalog.all_specs():
        if not spec.is_installed() or not spec.memory_mb:  # of a server, only its worker knows
            continue
        try:
            if spec.offer:
                catalog.query_capabilities(spec)
            expected.append(spec.queue)
        except TranscribeError:
            absent.append(spec.queue)
    with suppress(redis.RedisError):
        worker_registry.forget_queues(absent)
        worker_registry.expect_workers(expected)
