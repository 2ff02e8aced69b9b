"""Jobs that exist for callers who keep a connection open, and end with the last of them.

Each caller renews the job while it waits. A job that nobody has renewed for
``CALLER_GRACE_SECONDS`` is abandoned, and housekeeping ends it: a client that broke off and comes
again finds its job if it is back by then. When Redis loses this, such a job goes on to its end.
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

#: Ids of jobs, by the Unix time until which somebody counts as waiting.
_KEY = "transcribe:awaited"
#: Seconds after which it is noted again that somebody waits.
RENEW_EVERY_SECONDS = 5.0


def register_job(job_id: str) -> None:
    """Note that somebody waits for a job, and that it is there for those who wait."""
    _set_deadline(job_id, is_new=True)


def renew_job(job_id: str) -> None:
    """Note that somebody still waits for a job, if it is one that ends with those who wait."""
    _set_deadline(job_id, is_new=False)


class WaitingCaller:
    """Somebody who waits for a job; noted now and then, however often `renew` is called."""

    def __init__(self, job_id: str) -> None:
        self._job_id = job_id
        self._renewed_at = -math.inf

    def renew(self) -> None:
        if time.monotonic() - self._renewed_at >= RENEW_EVERY_SECONDS:
            renew_job(self._job_id)
            self._renewed_at = time.monotonic()


def forget_job(job_id: str) -> None:
    """The job is over, or is to go on whoever waits."""
    try:
        client().zrem(_KEY, job_id)
    except redis.RedisError as error:
        log.warning("waiting not noted", job_id=job_id, reason=str(error))


def list_unawaited() -> Sequence[str]:
    """The jobs that nobody has waited for of late. Raises `redis.RedisError`."""
    return [str(job_id) for job_id in client().zrange(_KEY, "-inf", clock.now(), byscore=True)]


def _set_deadline(job_id: str, *, is_new: bool) -> None:
    until = clock.now() + settings().caller_grace_seconds
    try:
        client().zadd(_KEY, {job_id: until}, xx=not is_new)
    except redis.RedisError as error:
        log.warning("waiting not noted", job_id=job_id, reason=str(error))
