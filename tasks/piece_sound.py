"""The sound of a chunk or a shard, on this machine; cut again where storage has lost it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import structlog

from core import layout, scratch
from core.errors import EngineError, NotFound
from core.settings import settings
from core.storage import storage
from engines import wav
from transcripts.types import Stretch

log = structlog.get_logger(__name__)

#: Bytes of a second, and of the header of a file.
_SECOND, _HEADER = 2 * wav.RATE, 44


@contextmanager
def local_sound(job_id: str, key: str, place: Stretch) -> Iterator[Path]:
    """The file of a piece, for as long as the block lasts.

    *key*: where it should lie in storage. Raises `NotFound` when the recording is gone, too.
    """
    with ExitStack() as stack:
        yield _stored(stack, key, place) or _cut_again(stack, job_id, key, place)


def _stored(stack: ExitStack, key: str, place: Stretch) -> Path | None:
    """The piece as it was stored; None when it is lost or spoiled."""
    try:
        path = stack.enter_context(storage().local(key))
    except NotFound:
        return None
    return path if _is_whole(path, place.end - place.start) else None


def _is_whole(path: Path, seconds: float) -> bool:
    """Whether header and length are those of a piece that is as long as this."""
    try:
        told = wav.seconds(path)
    except EngineError:
        return False
    there = (path.stat().st_size - _HEADER) / _SECOND
    return max(abs(told - seconds), abs(there - seconds)) < 0.001


def _cut_again(stack: ExitStack, job_id: str, key: str, place: Stretch) -> Path:
    # Imported only here: most workers never decode.
    from chunking.decode import Limits
    from chunking.recut import cut_again

    log.warning("piece is lost or spoiled in storage, and is cut again", key=key)
    source = stack.enter_context(storage().local(layout.source(job_id)))
    path = stack.enter_context(scratch.folder("recut-")) / "piece.wav"
    cut_again(source, place, path, Limits(max_seconds=settings().max_recording_seconds))
    storage().put_file(key, path)
    return path
