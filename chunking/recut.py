"""Cut one piece out of a recording again, with the same samples as the first time."""

from __future__ import annotations

from pathlib import Path

from chunking.decode.decoder import Limits
from chunking.decode.selection import select_channels, select_mix
from chunking.pcm import byte_offset, new_wav
from transcripts.types import ChannelInterval


def recut_audio(
    source: Path, interval: ChannelInterval, path: Path, limits: Limits, *, track: str | None = None
) -> None:
    """Write the audio of *interval*, from its channel, as a 16 kHz mono 16-bit WAV file.

    The recording is decoded from its beginning, so the samples are the same as the first time.
    *track*: as requested for the job. Raises the errors of `chunking.decode.decoder`.
    """
    selection = (
        select_mix(source, limits, track)
        if interval.channel is None
        else select_channels(source, limits, track)[interval.channel]
    )
    position, (start, end) = 0, map(byte_offset, (interval.start, interval.end))
    with selection.stream(source, limits) as stream, new_wav(path) as target:
        for block in stream:
            target.writeframes(block[max(0, start - position) : max(0, end - position)])
            position += len(block)
