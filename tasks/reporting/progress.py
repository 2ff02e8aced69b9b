"""Publish the progress of jobs through Redis. No job needs any of this to complete."""

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

# Workers publish the same job at the same time and may overtake each other. So a stored status is
# only replaced by one with equal or more progress, and the status of an ended job stays.
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
    """Return the key of a hash: number of the chunk -> its transcription."""
    return f"job:{job_id}:segments"


def status_channel(job_id: str) -> str:
    return f"transcription:status:{job_id}"


def segments_channel(job_id: str) -> str:
    return f"transcription:segments:{job_id}"


def publish_status(job_id: str) -> bool:
    """Publish the current status of a job. Return False if Redis does not answer."""
    pipe = client().pipeline(transaction=False)
    _add_status(pipe, job_id)
    return _execute_pipeline(pipe, job_id)


def publish_transcription(job_id: str, chunk: int, result: ChunkResult) -> None:
    """Publish what was heard in one chunk, and keep it for listeners who come later; then
    `publish_status`.

    If the database fails, the transcription is published nevertheless.
    """
    message = json.dumps({"chunk": chunk, **chunk_to_json(result)})
    with _open_pipeline(job_id) as pipe:
        pipe.hset(segments_key(job_id), str(chunk), message)
        pipe.expire(segments_key(job_id), settings().redis_job_ttl)
        pipe.publish(segments_channel(job_id), message)
        _add_status(pipe, job_id)


def forget_progress(job_id: str) -> None:
    """Delete the published progress of a job that starts again."""
    try:
        client().delete(status_key(job_id), segments_key(job_id))
    except redis.RedisError as error:
        log.warning("progress not forgotten", job_id=job_id, reason=str(error))


@contextmanager
def _open_pipeline(job_id: str) -> Iterator[Any]:
    """Collect commands for Redis, and send them at the end of the block, also if it raises."""
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
    """Return the published transcriptions of some stored chunks: JSON by number of the chunk.

    Those that Redis has lost are read from storage, and stored in Redis again if *keep*. A chunk
    that is in neither is left out.
    """
    transcriptions = _read_cached(job_id, chunks)
    missing = [chunk for chunk in chunks if chunk not in transcriptions]
    if not missing:
        return transcriptions
    with _restore_lock:  # listeners of the same job all miss the same chunks
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
