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
BLOCK = 500

#: Seconds for which what a worker still had in hand finds that its chord is over.
CHORD_IS_OVER = 24 * 3600


@app.task(name="purge")
def purge(job_id: str, queues: Sequence[str], epoch: int) -> None:
    """Free the queues of all that was sent for a job up to this epoch. Safe to run twice.

    What was sent later stays: the job may have been tried again meanwhile. When the broker is down,
    or is no Redis, the steps drop the messages, each at its turn.
    """
    try:
        removed = _empty(queues, job_id, epoch)
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
    for chord in (messages.chord_id(job_id, one) for one in range(1, epoch + 1)):
        # What is still in hand would count anew, but not in a chord that Celery knows to be done.
        pipe.set(backend.get_key_for_group(chord, ".c"), "done", ex=CHORD_IS_OVER)
        pipe.delete(*(backend.get_key_for_group(chord, of) for of in ("", ".j", ".t", ".s", ".d")))
    try:
        pipe.execute()
    except redis.RedisError as error:
        log.warning("chords not forgotten", reason=type(error).__name__)


def _empty(queues: Iterable[str], job_id: str, epoch: int) -> int:
    with app.connection_for_write() as connection:
        connection.ensure_connection(max_retries=1, interval_start=0.1)
        with connection.channel() as channel:
            lists = _lists(channel, queues) if isinstance(channel, broker.Channel) else ()
            return sum(_remove(channel.client, key, job_id, epoch) for key in lists)


def _lists(channel: Any, queues: Iterable[str]) -> Iterator[str]:
    """Each queue is a list for every priority, under a name that kombu makes up."""
    for queue in queues:
        for priority in channel.priority_steps:
            yield channel._q_for_pri(queue, priority)


def _remove(client: Any, key: str, job_id: str, epoch: int) -> int:
    """Remove messages by their value, whatever workers take and others send meanwhile."""
    found = list(_found(client, key, job_id, epoch))
    removed = 0
    for start in range(0, len(found), BLOCK):
        # No transaction: others are served between one message and the next.
        pipe = client.pipeline(transaction=False)
        for message in found[start : start + BLOCK]:
            pipe.lrem(key, -1, message)  # from the end that workers take from
        removed += sum(pipe.execute())
    return removed


def _found(client: Any, key: str, job_id: str, epoch: int) -> Iterator[bytes]:
    """The job's messages. New ones enter at index 0, so a message may be seen twice, not missed."""
    start = 0
    while block := client.lrange(key, start, start + BLOCK - 1):
        yield from (message for message in block if _is_of(message, job_id, epoch))
        start += BLOCK


def _is_of(message: bytes, job_id: str, epoch: int) -> bool:
    headers: dict[str, Any] = json.loads(message)["headers"]
    return headers.get("job_id") == job_id and headers.get("epoch", 0) <= epoch
