"""Disk space of this machine that a recording needs while and after it is cut."""

from __future__ import annotations

from pathlib import Path

from core.filesystem import free_space
from core.jobs.spec import JobSpec
from core.settings import settings
from core.states import Channels


def require_space(spec: JobSpec, source: Path) -> None:
    """Raise `StorageFull` unless the decoded recording and its parts fit beside the reserve.

    The duration comes from the file's header. Reading it takes a moment, so it is only read if the
    longest allowed recording would not fit. Raises the same errors as
    `chunking.decode.decoder.probe`.
    """
    # Imported only here: every worker imports every step, but only this one decodes.
    from chunking.decode import decoder, selection

    longest = settings().max_recording_seconds
    if free_space.find_shortage(estimate_bytes(spec, longest, selection.MAX_CHANNELS)) is None:
        return
    media = decoder.probe(source, decoder.Limits(max_seconds=longest))
    seconds = min(media.declared_duration or 0.0, longest)  # a header may claim anything
    channels = max(media.channels, len(media.tracks))
    free_space.require_space(estimate_bytes(spec, seconds, channels))


def estimate_bytes(spec: JobSpec, seconds: float, channels: int) -> int:
    """Return the bytes written for a recording of so many *seconds* and *channels*."""
    from chunking.decode.decoder import BYTES_PER_SECOND

    is_split = spec.channels is Channels.SEPARATE
    copies = 1  # the decoded audio
    if settings().minio_endpoint is None:
        copies += 1  # the chunks
        copies += bool(spec.diarizer) and not is_split  # the shards
    return int(seconds * BYTES_PER_SECOND) * copies * (channels if is_split else 1)
