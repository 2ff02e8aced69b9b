"""Jobs that exist for callers with an open connection, and end with the last of them.

Each caller renews the job while it waits. A job that was not renewed for ``CALLER_GRACE_SECONDS``
is abandoned, and housekeeping cancels it. A client that loses its connection and returns in that
time finds its job. If Redis loses this data, such a job runs to its end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import redis
import structlog

from core import clock
from core.redis import client
from core.settings import settings

log = structlog.get_logger(__name__)

#: A sorted set: id of a job -> Unix time until which a caller counts as waiting.
_KEY = "transcribe:awaited"
#: Seconds between two renewals by the same caller.
RENEW_EVERY_SECONDS = 5.0


def register_job(job_id: str) -> None:
    """Record that a caller waits for a job, and that the job ends with its callers."""
    _set_deadline(job_id, is_new=True)


def renew_job(job_id: str) -> None:
    """Record that a caller still waits for a job, if the job is one that ends with its callers."""
    _set_deadline(job_id, is_new=False)


class WaitingCaller:
    """A caller that waits for a job. `renew` may be called often; it rarely writes to Redis."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._renewed_at = -math.inf

    def renew(self) -> None:
        if time.monotonic() - self._renewed_at >= RENEW_EVERY_SECONDS:
            renew_job(self._job_id)
            self._renewed_at = time.monotonic()


def forget_job(job_id: str) -> None:
    """Forget a job that is over, or that must continue without callers."""
    try:
        client().zrem(_KEY, job_id)
    except redis.RedisError as error:
        log.warning("waiting not noted", job_id=job_id, reason=str(error))


def list_unawaited() -> Sequence[str]:
    """Return the jobs that no caller has renewed lately. Raises `redis.RedisError`."""
    return [str(job_id) for job_id in client().zrange(_KEY, "-inf", clock.now(), byscore=True)]


def _set_deadline(job_id: str, *, is_new: bool) -> None:
    until = clock.now() + settings().caller_grace_seconds
    try:
        client().zadd(_KEY, {job_id: until}, xx=not is_new)
    except redis.RedisError as error:
        log.warning("waiting not noted", job_id=job_id, reason=str(error))
