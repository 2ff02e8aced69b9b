"""Decoded audio: scratch files of 16 kHz mono 16-bit samples without a header, and WAV cut out."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chunking.decode.decoder import SAMPLE_RATE
from transcripts.types import Interval

_BLOCK_BYTES = 1 << 20


def write_wav(pcm: Path, interval: Interval, path: Path) -> None:
    """Write a *interval* of 16 kHz mono 16-bit samples as a WAV file, block by block."""
    start, end = (byte_offset(seconds) for seconds in (interval.start, interval.end))
    with pcm.open("rb") as source, new_wav(path) as target:
        # Set in advance, so that the header is right even if the file is a pipe or a socket.
        target.setnframes((end - start) // 2)
        source.seek(start)
        while start < end and (block := source.read(min(_BLOCK_BYTES, end - start))):
            target.writeframesraw(block)
            start += len(block)


@contextmanager
def new_wav(path: Path) -> Iterator[wave.Wave_write]:
    """Open a WAV file for writing 16 kHz mono 16-bit samples."""
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE)
        yield target


def read_blocks(pcm: Path) -> Iterator[bytes]:
    """Read the samples block by block."""
    with pcm.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def byte_offset(seconds: float) -> int:
    """Return the byte position of *seconds* in the PCM, on a whole sample."""
    return 2 * round(seconds * SAMPLE_RATE)
