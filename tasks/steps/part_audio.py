"""The audio of a part as a local file; it is cut again if storage has lost it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from core import scratch
from core.db.transactions import read_session
from core.errors import EngineError, NotFound
from core.jobs import records
from core.settings import settings
from core.storage import layout, storage
from engines import wav
from transcripts.types import ChannelInterval

log = structlog.get_logger(__name__)

#: Bytes per second of audio, and of the file header.
_BYTES_PER_SECOND, _HEADER_BYTES = 2 * wav.RATE, 44


@contextmanager
def open_audio(job_id: str, key: str, interval: ChannelInterval) -> Iterator[Path]:
    """Yield the audio file of a part, until the block ends.

    *key*: its key in storage. Raises `NotFound` if the recording is missing too.
    """
    with ExitStack() as stack:
        yield _open_stored(stack, key, interval) or _recut_audio(stack, job_id, key, interval)


def _open_stored(stack: ExitStack, key: str, interval: ChannelInterval) -> Path | None:
    """Return the part's stored audio; None if it is lost or damaged."""
    try:
        path = stack.enter_context(storage().open_local(key))
    except NotFound:
        return None
    return path if _is_whole(path, interval.end - interval.start) else None


def _is_whole(path: Path, seconds: float) -> bool:
    """Return whether the header and the size fit a part of *seconds*."""
    try:
        declared = wav.read_duration(path)
    except EngineError:
        return False
    actual = (path.stat().st_size - _HEADER_BYTES) / _BYTES_PER_SECOND
    return max(abs(declared - seconds), abs(actual - seconds)) < 0.001


def _recut_audio(stack: ExitStack, job_id: str, key: str, interval: ChannelInterval) -> Path:
    # Imported only here: most workers never decode.
    from chunking.decode.decoder import Limits
    from chunking.recut import recut_audio

    log.warning("part is lost or spoiled in storage, and is cut again", key=key)
    with read_session() as session:
        track = records.read_job(session, job_id).spec.track
    source = stack.enter_context(storage().open_local(layout.source(job_id)))
    path = stack.enter_context(scratch.temporary_folder("recut-")) / "part.wav"
    limits = Limits(max_seconds=settings().max_recording_seconds)
    recut_audio(source, interval, path, limits, track=track)
    storage().put_file(key, path)
    return path
