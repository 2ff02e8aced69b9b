"""Tells listeners how a job goes, through Redis. Nothing here is needed for the job to end well."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import redis
import structlog
from pydantic import ValidationError

from core.db.transactions import read_session
from core.errors import NotFound, Unavailable
from core.redis import client
from core.settings import settings
from core.storage import layout, storage
from tasks.reporting import job_status
from tasks.reporting.job_state import JobState
from transcripts.serialization import chunk_to_json
from transcripts.types import ChunkResult

log = structlog.get_logger(__name__)

_restore_lock = threading.Lock()

# Workers tell of the same job at the same time and may overtake each other. What is known only
# changes to further progress, and an ending stays.
_PUBLISH_SCRIPT = """
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


def publish_status(job_id: str) -> bool:
    """Publish the present state of a job. False when Redis does not answer."""
    pipe = client().pipeline(transaction=False)
    _add_status(pipe, job_id)
    return _execute_pipeline(pipe, job_id)


def publish_transcription(job_id: str, chunk: int, result: ChunkResult) -> None:
    """Publish what was heard in one chunk, and keep it for listeners who come later; then
    `publish_status`.

    Without the database, what was heard is told all the same.
    """
    message = json.dumps({"chunk": chunk, **chunk_to_json(result)})
    with _open_pipeline(job_id) as pipe:
        pipe.hset(segments_key(job_id), str(chunk), message)
        pipe.expire(segments_key(job_id), settings().redis_job_ttl)
        pipe.publish(segments_channel(job_id), message)
        _add_status(pipe, job_id)


def forget_progress(job_id: str) -> None:
    """Begin anew: what was told of the job no longer holds."""
    try:
        client().delete(status_key(job_id), segments_key(job_id))
    except redis.RedisError as error:
        log.warning("progress not forgotten", job_id=job_id, reason=str(error))


@contextmanager
def _open_pipeline(job_id: str) -> Iterator[Any]:
    """Commands for Redis, sent at the end of the block, or as far as it came if it raises."""
    pipe = client().pipeline(transaction=False)
    try:
        yield pipe
    finally:
        _execute_pipeline(pipe, job_id)


def _execute_pipeline(pipe: Any, job_id: str) -> bool:
    try:
        pipe.execute()
    except redis.RedisError as error:
        log.warning("progress not published", job_id=job_id, reason=str(error))
        return False
    return True


def _add_status(pipe: Any, job_id: str) -> None:
    with read_session() as session:
        state = job_status.describe_job(session, job_id)
    keys = (status_key(job_id), status_channel(job_id))
    pipe.eval(_PUBLISH_SCRIPT, len(keys), *keys, state.to_text(), settings().redis_job_ttl)


def read_status(job_id: str) -> JobState | None:
    """Return what Redis has of a job: None when it has nothing, or that of another version."""
    with suppress(redis.RedisError, ValidationError):
        message = client().get(status_key(job_id))
        return JobState.model_validate_json(str(message)) if message else None
    return None


def read_transcriptions(job_id: str, chunks: Sequence[int], *, keep: bool) -> dict[int, str]:
    """What was heard in some chunks that are stored, as it was told: JSON by number of the chunk.

    What Redis has lost is read from storage, and kept in Redis again if *keep*. A chunk that
    neither knows is not in the answer.
    """
    transcriptions = _read_cached(job_id, chunks)
    missing = [chunk for chunk in chunks if chunk not in transcriptions]
    if not missing:
        return transcriptions
    with _restore_lock:  # those who listen to the same job all miss the same
        transcriptions |= _read_cached(job_id, missing)
        restored = _read_stored(job_id, [chunk for chunk in missing if chunk not in transcriptions])
        if restored and keep:
            _cache_transcriptions(job_id, restored)
    return dict(sorted({**transcriptions, **restored}.items()))


def _read_cached(job_id: str, chunks: Sequence[int]) -> dict[int, str]:
    try:
        texts: Any = client().hmget(segments_key(job_id), [str(chunk) for chunk in chunks])
    except redis.RedisError:
        return {}
    return {chunk: text for chunk, text in zip(chunks, texts, strict=True) if text is not None}


def _read_stored(job_id: str, chunks: Sequence[int]) -> dict[int, str]:
    texts = {}
    try:
        for chunk in chunks:
            with suppress(NotFound):
                transcription = json.loads(
                    storage().get_bytes(layout.chunk_transcription(job_id, chunk))
                )
                texts[chunk] = json.dumps({"chunk": chunk, **transcription})
    except Unavailable as error:
        log.warning("segments not read", job_id=job_id, reason=str(error))
    return texts


def _cache_transcriptions(job_id: str, texts: dict[int, str]) -> None:
    try:
        pipe = client().pipeline(transaction=False)
        pipe.hset(segments_key(job_id), mapping={str(chunk): texts[chunk] for chunk in texts})
        pipe.expire(segments_key(job_id), settings().redis_job_ttl)
        pipe.execute()
    except redis.RedisError as error:
        log.warning("segments not kept", job_id=job_id, reason=str(error))
