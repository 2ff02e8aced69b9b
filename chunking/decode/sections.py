"""Find successive recordings in one file. FFmpeg reads only the first, so each is opened alone.

Such files result from joining files byte by byte, or from an Ogg broadcast that changes its audio
(RFC 3533, "chaining"). Only the decoder imports this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

#: Bytes per read when searching for the next Ogg page.
_BLOCK_BYTES = 1 << 16
#: In a file with more sections, the last one holds the rest.
_MAX_SECTIONS = 1000
_OGG_HEADER_BYTES = 27
_OGG_FIRST_PAGE = 0x02


@dataclass(frozen=True, slots=True)
class Section:
    """A range of bytes in a file; the end is exclusive."""

    start: int
    end: int


def find_sections(file: BinaryIO) -> list[Section]:
    """Return the recordings in a file, in order; usually one. Changes the file's position."""
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
    """Yield where a new group of streams begins; their first pages are next to each other."""
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
    """Return the next position of *mark*, or *size*."""
    while position < size:
        file.seek(position)
        index = file.read(_BLOCK_BYTES).find(mark)
        if index >= 0:
            return position + index
        position += _BLOCK_BYTES - len(mark) + 1
    return size


def _find_mp4_starts(file: BinaryIO, size: int) -> Iterator[int]:
    """Yield the ``ftyp`` boxes that follow an index; an earlier one is of the same recording."""
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
        if length < 8:  # extends to the end, or is no box
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
