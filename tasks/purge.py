"""Takes the messages of a job that is over out of the queues, and forgets what its chords counted.

Without this they would be dropped one by one when their turn comes, and until then the queues would
look longer than they are.
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

#: Messages that are read or removed at once: about a megabyte, and some milliseconds of Redis.
BLOCK_SIZE = 500

#: Seconds for which what a worker still had in hand finds that its chord is over.
CHORD_EXPIRES_SECONDS = 24 * 3600


@app.task(name="purge")
def purge(job_id: str, queues: Sequence[str], epoch: int) -> None:
    """Free the queues of all that was sent for a job up to this epoch. Safe to run twice.

    What was sent later stays: the job may have been tried again meanwhile. When the broker is down,
    or is no Redis, the steps drop the messages, each at its turn.
    """
    try:
        removed = _purge_queues(queues, job_id, epoch)
    except (OperationalError, redis.RedisError) as error:
        log.warning("queues not purged", reason=type(error).__name__)
    else:
        log.info("queues purged", messages=removed)
        forget_chords(job_id, epoch)


def forget_chords(job_id: str, epoch: int) -> None:
    """Forget what the chords of a job that is over counted, up to this epoch. Safe to run twice.

    One that is counted to its end clears away behind itself; those that were broken off do not.
    """
    backend = app.backend
    if not isinstance(backend, RedisBackend):
        return
    pipe = backend.client.pipeline(transaction=False)
    for chord_id in (messages.chord_id(job_id, number) for number in range(1, epoch + 1)):
        # What is still in hand would count anew, but not in a chord that Celery knows to be done.
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
    """Each queue is a list for every priority, under a name that kombu makes up."""
    for queue in queues:
        for priority in channel.priority_steps:
            yield channel._q_for_pri(queue, priority)


def _remove_messages(client: Any, key: str, job_id: str, epoch: int) -> int:
    """Remove messages by their value, whatever workers take and others send meanwhile."""
    matches = list(_find_messages(client, key, job_id, epoch))
    removed = 0
    for start in range(0, len(matches), BLOCK_SIZE):
        # No transaction: others are served between one message and the next.
        pipe = client.pipeline(transaction=False)
        for message in matches[start : start + BLOCK_SIZE]:
            pipe.lrem(key, -1, message)  # from the end that workers take from
        removed += sum(pipe.execute())
    return removed


def _find_messages(client: Any, key: str, job_id: str, epoch: int) -> Iterator[bytes]:
    """The job's messages. New ones enter at index 0, so a message may be seen twice, not missed."""
    start = 0
    while block := client.lrange(key, start, start + BLOCK_SIZE - 1):
        yield from (message for message in block if _belongs_to_job(message, job_id, epoch))
        start += BLOCK_SIZE


def _belongs_to_job(message: bytes, job_id: str, epoch: int) -> bool:
    headers: dict[str, Any] = json.loads(message)["headers"]
    return headers.get("job_id") == job_id and headers.get("epoch", 0) <= epoch
