"""Announce the engines of a starting stack, before its workers can report."""

from __future__ import annotations

from contextlib import suppress

import redis

from core.errors import TranscribeError
from core.live import worker_registry
from engines import catalog


def expect_engines() -> None:
    """Record the engines that are about to start, so that early jobs can use the best one."""
    expected, absent = [], []
    for spec in catalog.all_specs():
        if not spec.is_installed() or not spec.memory_mb:  # only its worker knows its server
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
