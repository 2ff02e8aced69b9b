"""Recordings that follow one another in one file: FFmpeg reads the first, so each is opened alone.

They come about when files are joined byte by byte, or when a broadcast in Ogg changes its sound
(RFC 3533, "chaining"). Only the decoder imports this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

#: Bytes in which a lost Ogg page is looked for at once.
_BLOCK = 1 << 16
#: Of a file with more, the last section holds the rest.
_MOST_SECTIONS = 1000
_OGG_HEADER = 27
_OGG_BEGINS = 0x02


@dataclass(frozen=True, slots=True)
class Section:
    """Bytes from and until."""

    start: int
    end: int


def find_sections(file: BinaryIO) -> list[Section]:
    """The recordings in a file, in order; most have one. Leaves the file anywhere."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"OggS":
        starts = _ogg_starts(file, size)
    elif head[4:8] == b"ftyp":
        starts = _mp4_starts(file, size)
    elif head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        starts = _wav_starts(file, size)
    else:
        starts = iter(())
    begins = [0]
    for start in starts:
        begins.append(start)
        if len(begins) == _MOST_SECTIONS:
            break
    return [Section(*pair) for pair in zip(begins, [*begins[1:], size], strict=True)]


def _ogg_starts(file: BinaryIO, size: int) -> Iterator[int]:
    """Where pages begin streams after others had gone on: several may begin together."""
    at, is_beginning = 0, True
    while at < size:
        file.seek(at)
        header = file.read(_OGG_HEADER)
        if header[:4] != b"OggS" or len(header) < _OGG_HEADER:
            at = _find(file, b"OggS", at + 1, size)
            continue
        begins = bool(header[5] & _OGG_BEGINS)
        if begins and not is_beginning:
            yield at
        is_beginning = begins
        lengths = file.read(header[26])
        at += _OGG_HEADER + len(lengths) + sum(lengths)


def _find(file: BinaryIO, mark: bytes, at: int, size: int) -> int:
    """The next place of *mark*, or the end."""
    while at < size:
        file.seek(at)
        found = file.read(_BLOCK).find(mark)
        if found >= 0:
            return at + found
        at += _BLOCK - len(mark) + 1
    return size


def _mp4_starts(file: BinaryIO, size: int) -> Iterator[int]:
    """Where boxes ``ftyp`` stand behind an index: one before it would be of the same recording."""
    at, has_index = 0, False
    while at < size:
        file.seek(at)
        header = file.read(16)
        kind, length = header[4:8], int.from_bytes(header[:4], "big")
        if kind == b"ftyp" and has_index:
            yield at
            has_index = False
        has_index |= kind == b"moov"
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # up to the end, or no box
            return
        at += length


def _wav_starts(file: BinaryIO, size: int) -> Iterator[int]:
    at = 0
    while at < size:
        file.seek(at)
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return
        if at:
            yield at
        length = int.from_bytes(head[4:8], "little")
        at += 8 + length + length % 2
