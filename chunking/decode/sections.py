"""Recordings that follow one another in one file: FFmpeg reads the first, so each is opened alone.

They come about when files are joined byte by byte, or when a broadcast in Ogg changes its sound
(RFC 3533, "chaining"). Only the decoder imports this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

#: Bytes in which a lost Ogg page is looked for at once.
_BLOCK_BYTES = 1 << 16
#: Of a file with more, the last section holds the rest.
_MAX_SECTIONS = 1000
_OGG_HEADER_BYTES = 27
_OGG_FIRST_PAGE = 0x02


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
        starts = _find_ogg_starts(file, size)
    elif head[4:8] == b"ftyp":
        starts = _find_mp4_starts(file, size)
    elif head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        starts = _find_wav_starts(file, size)
    else:
        starts = iter(())
    offsets = [0]
    for start in starts:
        offsets.append(start)
        if len(offsets) == _MAX_SECTIONS:
            break
    return [Section(*pair) for pair in zip(offsets, [*offsets[1:], size], strict=True)]


def _find_ogg_starts(file: BinaryIO, size: int) -> Iterator[int]:
    """Where pages begin streams after others had gone on: several may begin together."""
    position, is_beginning = 0, True
    while position < size:
        file.seek(position)
        header = file.read(_OGG_HEADER_BYTES)
        if header[:4] != b"OggS" or len(header) < _OGG_HEADER_BYTES:
            position = _find_mark(file, b"OggS", position + 1, size)
            continue
        is_first_page = bool(header[5] & _OGG_FIRST_PAGE)
        if is_first_page and not is_beginning:
            yield position
        is_beginning = is_first_page
        lengths = file.read(header[26])
        position += _OGG_HEADER_BYTES + len(lengths) + sum(lengths)


def _find_mark(file: BinaryIO, mark: bytes, position: int, size: int) -> int:
    """The next place of *mark*, or the end."""
    while position < size:
        file.seek(position)
        index = file.read(_BLOCK_BYTES).find(mark)
        if index >= 0:
            return position + index
        position += _BLOCK_BYTES - len(mark) + 1
    return size


def _find_mp4_starts(file: BinaryIO, size: int) -> Iterator[int]:
    """Where boxes ``ftyp`` stand behind an index: one before it would be of the same recording."""
    position, has_index = 0, False
    while position < size:
        file.seek(position)
        header = file.read(16)
        kind, length = header[4:8], int.from_bytes(header[:4], "big")
        if kind == b"ftyp" and has_index:
            yield position
            has_index = False
        has_index |= kind == b"moov"
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if length < 8:  # up to the end, or no box
            return
        position += length


def _find_wav_starts(file: BinaryIO, size: int) -> Iterator[int]:
    position = 0
    while position < size:
        file.seek(position)
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
            return
        if position:
            yield position
        length = int.from_bytes(head[4:8], "little")
        position += 8 + length + length % 2
