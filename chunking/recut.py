"""Cuts one piece out of a recording again, as it was cut when the recording was taken apart."""

from __future__ import annotations

from pathlib import Path

from chunking import decode
from chunking.cut import byte_offset, new_wav
from chunking.decode import Limits
from transcripts.types import Stretch


def cut_again(source: Path, place: Stretch, path: Path, limits: Limits) -> None:
    """Write the sound of *place*, with its channel, as a 16 kHz mono 16-bit WAV file.

    The recording is decoded from its beginning: so the samples are the same as the first time.
    Raises what `chunking.decode` does.
    """
    at, (start, end) = 0, map(byte_offset, (place.start, place.end))
    with decode.stream(source, limits, channel=place.channel) as stream, new_wav(path) as target:
        for block in stream:
            target.writeframes(block[max(0, start - at) : max(0, end - at)])
            at += len(block)
