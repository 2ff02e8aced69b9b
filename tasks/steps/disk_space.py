"""The room that a recording takes on this machine's disk while and after it is taken apart."""

from __future__ import annotations

from pathlib import Path

from core.filesystem import free_space
from core.jobs.spec import JobSpec
from core.settings import settings
from core.states import Channels


def require_space(spec: JobSpec, source: Path) -> None:
    """Raise `StorageFull` unless all that a recording is decoded and cut into fits beside the
    reserve.

    Its header says how long it is, which takes a moment to read; so it is read only where the
    longest recording would not fit. Raises as `chunking.decode.decoder.probe` does.
    """
    # Imported only here: every worker imports every step, but only this one decodes.
    from chunking import tracks
    from chunking.decode import decoder

    longest = settings().max_recording_seconds
    if free_space.find_shortage(estimate_bytes(spec, longest, tracks.MAX_CHANNELS)) is None:
        return
    media = decoder.probe(source, decoder.Limits(max_seconds=longest))
    seconds = min(media.declared_duration or 0.0, longest)  # headers promise anything
    free_space.require_space(estimate_bytes(spec, seconds, media.channels))


def estimate_bytes(spec: JobSpec, seconds: float, channels: int) -> int:
    """Bytes that are written of a recording of so many *seconds* and *channels*."""
    from chunking.decode.decoder import BYTES_PER_SECOND

    is_split = spec.channels is Channels.SEPARATE
    copies = 1  # as it is decoded
    if settings().minio_endpoint is None:
        copies += 1  # in chunks
        copies += bool(spec.diarizer) and not is_split  # in shards
    return int(seconds * BYTES_PER_SECOND) * copies * (channels if is_split else 1)
