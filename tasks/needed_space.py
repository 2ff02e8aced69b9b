"""The room that a recording takes on this machine's disk while and after it is taken apart."""

from __future__ import annotations

from pathlib import Path

from core import free_space
from core.settings import settings
from core.specs import JobSpec
from core.states import Channels


def require(spec: JobSpec, source: Path) -> None:
    """Raise `StorageFull` unless all that a recording is decoded and cut into fits beside the
    reserve.

    Its header says how long it is, which takes a moment to read; so it is read only where the
    longest recording would not fit. Raises as `chunking.decode.probe` does.
    """
    # Imported only here: every worker imports every step, but only this one decodes.
    from chunking import decode, tracks

    longest = settings().max_recording_seconds
    if free_space.find_shortage(estimate(spec, longest, tracks.MOST_CHANNELS)) is None:
        return
    found = decode.probe(source, decode.Limits(max_seconds=longest))
    seconds = min(found.declared_duration or 0.0, longest)  # headers promise anything
    free_space.require(estimate(spec, seconds, found.channels))


def estimate(spec: JobSpec, seconds: float, channels: int) -> int:
    """Bytes that are written of a recording of so many *seconds* and *channels*."""
    from chunking.decode import BYTES_PER_SECOND

    is_split = spec.channels is Channels.SEPARATE
    copies = 1  # as it is decoded
    if settings().minio_endpoint is None:
        copies += 1  # in chunks
        copies += bool(spec.diarizer) and not is_split  # in shards
    return int(seconds * BYTES_PER_SECOND) * copies * (channels if is_split else 1)
