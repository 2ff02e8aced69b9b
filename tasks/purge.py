"""Remove the messages of an ended job from the queues, and the counters of its chords.

Otherwise each message would be dropped when its turn comes, and the queues would look longer than
they are until then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import redis
import structlog
from celery.backends.redis import RedisBackend
from kombu.exceptions import OperationalError
from kombu.transport import redis as broker

from tasks import messages
from tasks.celery import app

log = structlog.get_logger(__name__)

#: Messages that are read or removed at once: about a megabyte, and a few milliseconds of Redis'
#: time.
BLOCK_SIZE = 500

#: Seconds for which a part that is still in progress finds that its chord is over.
CHORD_EXPIRES_SECONDS = 24 * 3600


@app.task(name="purge")
def purge(job_id: str, queues: Sequence[str], epoch: int) -> None:
    """Remove all messages of a job up to this epoch from the queues. Safe to run twice.

    Later messages stay: the job may have been restarted meanwhile. If the broker is down, or is not
    Redis, each step drops its message when its turn comes.
    """
    try:
        removed = _purge_queues(queues, job_id, epoch)
    except (OperationalError, redis.RedisError) as error:
        log.warning("queues not purged", reason=type(error).__name__)
    else:
        log.info("queues purged", messages=removed)
        forget_chords(job_id, epoch)


def forget_chords(job_id: str, epoch: int) -> None:
    """Delete the counters of an ended job's chords up to this epoch. Safe to run twice.

    A completed chord deletes its own; interrupted chords do not.
    """
    backend = app.backend
    if not isinstance(backend, RedisBackend):
        return
    pipe = backend.client.pipeline(transaction=False)
    for chord_id in (messages.chord_id(job_id, number) for number in range(1, epoch + 1)):
        # Parts in progress would start new counters, but not for a chord that Celery considers
        # done.
        pipe.set(backend.get_key_for_group(chord_id, ".c"), "done", ex=CHORD_EXPIRES_SECONDS)
        pipe.delete(
            *(
                backend.get_key_for_group(chord_id, suffix)
                for suffix in ("", ".j", ".t", ".s", ".d")
            )
        )
    try:
        pipe.execute()
    except redis.RedisError as error:
        log.warning("chords not forgotten", reason=type(error).__name__)


def _purge_queues(queues: Iterable[str], job_id: str, epoch: int) -> int:
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0.1)
        with connection.channel() as channel:
            keys = _list_keys(channel, queues) if isinstance(channel, broker.Channel) else ()
            return sum(_remove_messages(channel.client, key, job_id, epoch) for key in keys)


def _list_keys(channel: Any, queues: Iterable[str]) -> Iterator[str]:
    """Yield the Redis lists of the queues: kombu has one per queue and priority."""
    for queue in queues:
        for priority in channel.priority_steps:
            yield channel._q_for_pri(queue, priority)


def _remove_messages(client: Any, key: str, job_id: str, epoch: int) -> int:
    """Remove messages by value, whatever is taken from or added to the list meanwhile."""
    matches = list(_find_messages(client, key, job_id, epoch))
    removed = 0
    for start in range(0, len(matches), BLOCK_SIZE):
        # No transaction: Redis serves others between two messages.
        pipe = client.pipeline(transaction=False)
        for message in matches[start : start + BLOCK_SIZE]:
            pipe.lrem(key, -1, message)  # from the end that workers take from
        removed += sum(pipe.execute())
    return removed


def _find_messages(client: Any, key: str, job_id: str, epoch: int) -> Iterator[bytes]:
    """Yield the job's messages. New ones enter at index 0: none is missed, but one may repeat."""
    start = 0
    while block := client.lrange(key, start, start + BLOCK_SIZE - 1):
        yield from (message for message in block if _belongs_to_job(message, job_id, epoch))
        start += BLOCK_SIZE


def _belongs_to_job(message: bytes, job_id: str, epoch: int) -> bool:
    headers: dict[str, Any] = json.loads(message)["headers"]
    return headers.get("job_id") == job_id and headers.get("epoch", 0) <= epoch
