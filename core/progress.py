"""Tells listeners how a job goes, through Redis. Nothing here is needed for the job to end well."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import redis
import structlog

from core import layout, status
from core.db import reading
from core.errors import NotFound, Unavailable
from core.settings import settings
from core.storage import storage

log = structlog.get_logger(__name__)

#: Seconds to wait for Redis: telling must never hold up working.
PATIENCE = 5
#: Connections of a process.
CONNECTIONS = 20

_restoring = threading.Lock()

# Workers tell of the same job at the same time and may overtake each other. What is known only
# changes to further progress, and an ending stays.
_TELL = """
local known = redis.call('GET', KEYS[1])
if known then
  local old, new = cjson.decode(known), cjson.decode(ARGV[1])
  local over = old.stage == 'over'
  if over or (new.stage ~= 'over' and new.progress < old.progress) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('PUBLISH', KEYS[2], ARGV[1])
return 1
"""


def status_key(job_id: str) -> str:
    return f"job:{job_id}:status"


def segments_key(job_id: str) -> str:
    """A hash: number of the chunk -> what was heard in it."""
    return f"job:{job_id}:segments"


def status_channel(job_id: str) -> str:
    return f"transcription:status:{job_id}"


def segments_channel(job_id: str) -> str:
    return f"transcription:segments:{job_id}"


def client() -> redis.Redis:
    """The Redis of this process; connections do not survive a fork."""
    return _client(settings().redis, os.getpid())


@lru_cache(maxsize=4)
def _client(url: str, _pid: int) -> redis.Redis:
    # A pool that is empty makes its threads wait: hundreds of listeners may come at once.
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        timeout=PATIENCE,
        decode_responses=True,
        socket_timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
    )
    return redis.Redis(connection_pool=pool)


def tell(job_id: str) -> bool:
    """Publish the present state of a job. False when Redis does not answer."""
    pipe = client().pipeline(transaction=False)
    _add_state(pipe, job_id)
    return _send(pipe, job_id)


def tell_heard(job_id: str, chunk: int, heard: dict[str, Any]) -> None:
    """Publish what was heard in one chunk, and keep it for listeners who come later; then `tell`.

    Without the database, what was heard is told all the same.
    """
    message = json.dumps(heard)
    with _sent_at_once(job_id) as pipe:
        pipe.hset(segments_key(job_id), str(chunk), message)
        pipe.expire(segments_key(job_id), settings().redis_job_ttl)
        pipe.publish(segments_channel(job_id), message)
        _add_state(pipe, job_id)


def forget(job_id: str) -> None:
    """Begin anew: what was told of the job no longer holds."""
    try:
        client().delete(status_key(job_id), segments_key(job_id))
    except redis.RedisError as error:
        log.warning("progress not forgotten", job_id=job_id, reason=str(error))


@contextmanager
def _sent_at_once(job_id: str) -> Iterator[Any]:
    """Commands for Redis, sent at the end of the block, or as far as it came if it raises."""
    pipe = client().pipeline(transaction=False)
    try:
        yield pipe
    finally:
        _send(pipe, job_id)


def _send(pipe: Any, job_id: str) -> bool:
    try:
        pipe.execute()
    except redis.RedisError as error:
        log.warning("progress not told", job_id=job_id, reason=str(error))
        return False
    return True


def _add_state(pipe: Any, job_id: str) -> None:
    with reading() as session:
        now = status.snapshot(session, job_id)
    keys = (status_key(job_id), status_channel(job_id))
    pipe.eval(_TELL, len(keys), *keys, json.dumps(now), settings().redis_job_ttl)


def known(job_id: str) -> dict[str, Any] | None:
    """What Redis knows of a job, or None when it knows nothing or does not answer."""
    try:
        message = client().get(status_key(job_id))
    except redis.RedisError:
        return None
    return json.loads(str(message)) if message else None


def heard(job_id: str, chunks: Sequence[int], *, keep: bool) -> dict[int, str]:
    """What was heard in some chunks that are stored, as it was told: JSON by number of the chunk.

    What Redis has lost is read from storage, and kept in Redis again if *keep*. A chunk that
    neither knows is not in the answer.
    """
    known = _known_segments(job_id, chunks)
    lost = [chunk for chunk in chunks if chunk not in known]
    if not lost:
        return known
    with _restoring:  # those who listen to the same job all miss the same
        known |= _known_segments(job_id, lost)
        found = _read_segments(job_id, [chunk for chunk in lost if chunk not in known])
        if found and keep:
            _keep_segments(job_id, found)
    return dict(sorted({**known, **found}.items()))


def _known_segments(job_id: str, chunks: Sequence[int]) -> dict[int, str]:
    try:
        told: Any = client().hmget(segments_key(job_id), [str(chunk) for chunk in chunks])
    except redis.RedisError:
        return {}
    return {chunk: text for chunk, text in zip(chunks, told, strict=True) if text is not None}


def _read_segments(job_id: str, chunks: Sequence[int]) -> dict[int, str]:
    found = {}
    try:
        for chunk in chunks:
            with suppress(NotFound):
                words = json.loads(storage().get_bytes(layout.chunk_words(job_id, chunk)))
                found[chunk] = json.dumps({"chunk": chunk, **words})
    except Unavailable as error:
        log.warning("segments not read", job_id=job_id, reason=str(error))
    return found


def _keep_segments(job_id: str, found: dict[int, str]) -> None:
    try:
        pipe = client().pipeline(transaction=False)
        pipe.hset(segments_key(job_id), mapping={str(chunk): found[chunk] for chunk in found})
        pipe.expire(segments_key(job_id), settings().redis_job_ttl)
        pipe.execute()
    except redis.RedisError as error:
        log.warning("segments not kept", job_id=job_id, reason=str(error))
