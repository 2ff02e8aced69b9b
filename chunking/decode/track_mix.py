"""All audio tracks of a recording as one stream: several people may each have their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from chunking.decode import decoder
from chunking.decode.decoder import DecodeResult, Limits, PcmStream

_BLOCK_BYTES = 1 << 17


@contextmanager
def stream_tracks(path: Path, limits: Limits, tracks: Sequence[int]) -> Iterator[TrackMix]:
    """Decode the *tracks* with these numbers at the same time, each in a process of its own.

    Raises the errors of `decoder.stream`, here or while the stream is read.
    """
    with ExitStack() as stack:
        yield TrackMix(
            [
                stack.enter_context(decoder.stream(path, limits, track=str(track)))
                for track in tracks
            ]
        )


class TrackMix:
    """Blocks of PCM (16 kHz, mono, 16-bit little-endian): the sum of several streams.

    The sum is scaled so that voices that speak in turn are little quieter than alone, and voices
    that speak at once do not clip.
    """

    def __init__(self, streams: Sequence[PcmStream]) -> None:
        self._streams = streams
        self._scale = len(streams) ** -0.5

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks of whole samples until the longest track ends."""
        readers = [_BlockReader(stream) for stream in self._streams]
        while blocks := [block for reader in readers if (block := reader.read(_BLOCK_BYTES))]:
            mixed = np.zeros(max(map(len, blocks)) // 2, np.float32)
            for block in blocks:
                mixed[: len(block) // 2] += np.frombuffer(block, "<i2")
            yield np.clip(np.rint(mixed * self._scale), -32768, 32767).astype("<i2").tobytes()

    @property
    def result(self) -> DecodeResult:
        """Return the result; available after all blocks were read."""
        results = [stream.result for stream in self._streams]
        warnings = dict.fromkeys(warning for result in results for warning in result.warnings)
        return DecodeResult(max(result.seconds for result in results), tuple(warnings))


class _BlockReader:
    """Reads blocks of one size from a stream, whatever sizes it has."""

    def __init__(self, stream: PcmStream) -> None:
        self._blocks = iter(stream)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return *size* bytes, fewer at the end of the stream, and none after it."""
        pieces, length = [self._rest], len(self._rest)
        while length < size and (block := next(self._blocks, b"")):
            pieces.append(block)
            length += len(block)
        data = b"".join(pieces)
        self._rest = data[size:]
        return data[:size]
