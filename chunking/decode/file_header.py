"""File type and length from the first bytes of a file, before a media library reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class Readable(Protocol):
    """The methods of a file object that this module uses."""

    def read(self, count: int, /) -> bytes: ...

    def seek(self, offset: int, whence: int = 0, /) -> int: ...

    def tell(self) -> int: ...


#: First bytes of formats that refer to other files or addresses and are not recordings.
_PLAYLIST_SIGNATURES = (
    b"#extm3u",  # HLS
    b"ffconcat",
    b";ffmetadata",
    b"[playlist]",  # PLS
    b"v=0",  # SDP: makes FFmpeg listen on a port
    b"<smil",
    b"<mpd",  # DASH
    b"<asx",
)
#: From this value on, a size in a RIFF header means "unknown when the header was written":
#: ffmpeg writes 0xFFFFFFFF into a pipe, sox 0x7FFFF000.
_UNKNOWN_SIZE = 0x7FFFF000
_MAX_RIFF_CHUNKS = 64

#: First bytes of recordings that browsers play: bytes, offset and media type.
_RECORDING_SIGNATURES = (
    (b"WAVE", 8, "audio/wav"),
    (b"fLaC", 0, "audio/flac"),
    (b"ID3", 0, "audio/mpeg"),
    (b"OggS", 0, "audio/ogg"),
    (b"ftypM4A", 4, "audio/mp4"),
    (b"ftypqt", 4, "video/quicktime"),
    (b"ftyp", 4, "video/mp4"),
    (b"AIFF", 8, "audio/aiff"),
    (b"AIFC", 8, "audio/aiff"),
    (b"#!AMR", 0, "audio/amr"),
)

#: All media types that `find_media_type` returns.
MEDIA_TYPES = (
    *dict.fromkeys(name for _, _, name in _RECORDING_SIGNATURES),
    *("video/webm", "video/x-matroska", "audio/aac"),
)


def find_media_type(head: bytes) -> str | None:
    """Return the media type of a recording by its first bytes; None for types unknown to browsers.

    Only audio and video types are returned, so a browser never displays another kind of file.
    """
    for signature, offset, name in _RECORDING_SIGNATURES:
        if head[offset:].startswith(signature):
            return name
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    return _find_frame_type(head)


def _find_frame_type(head: bytes) -> str | None:
    """Return the type of MPEG audio or AAC; these have no file header, only frame headers."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 0b11, head[1] >> 1 & 0b11
    if layer == 0:
        return "audio/aac" if version & 0b10 else None
    # Layer I is no longer in use, and its bits would match the beginning of UTF-16.
    return "audio/mpeg" if layer != 0b11 and version != 0b01 else None


def is_playlist(file: Readable) -> bool:
    """Return whether *file* is a playlist, a manifest or a list of files."""
    file.seek(0)
    head = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith(_PLAYLIST_SIGNATURES) or (head.startswith(b"<?xml") and b"<mpd" in head)


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What the header of a WAV file declares about its samples."""

    #: Seconds; None if the writer did not know them, or if the bytes per second are missing.
    seconds: float | None
    #: More samples follow than the header declares, and nothing else.
    is_too_small: bool


def read_wav_header(file: Readable) -> WavHeader | None:
    """Return the header, or None for other files.

    FFmpeg silently uses the smaller of header and file size.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    bytes_per_second = 0
    for _ in range(_MAX_RIFF_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return None
        length, position = int.from_bytes(header[4:8], "little"), file.tell()
        if header[:4] == b"fmt ":
            bytes_per_second = int.from_bytes(file.read(12)[8:12], "little")
        if header[:4] == b"data":
            is_known = length < _UNKNOWN_SIZE and bytes_per_second > 0
            end = position + length + length % 2
            return WavHeader(
                seconds=length / bytes_per_second if is_known else None,
                is_too_small=end < size and not _is_riff_chunk(file, end, size),
            )
        file.seek(position + length + length % 2)
    return None


def _is_riff_chunk(file: Readable, position: int, size: int) -> bool:
    """Return whether a RIFF chunk is at *position*, such as a title, or another file."""
    file.seek(position)
    header = file.read(8)
    name, length = header[:4], int.from_bytes(header[4:8], "little")
    is_name = len(header) == 8 and name.isascii() and name.decode("ascii").isprintable()
    return len(header) < 8 or (is_name and position + 8 + length <= size + 1)


def count_mp3_frames(file: Readable) -> int | None:
    """Return the number of frames that an MP3 declares; without it FFmpeg estimates the length."""
    file.seek(0)
    head = file.read(10)
    skip = 0
    if head[:3] == b"ID3" and len(head) == 10:
        # Four bytes of seven bits each.
        skip = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
    file.seek(skip)
    first = file.read(4096)
    for signature, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        index = first.find(signature)
        if index >= 0 and (
            signature == b"VBRI" or (first[index + 7 : index + 8] and first[index + 7] & 1)
        ):
            return int.from_bytes(first[index + offset : index + offset + 4], "big") or None
    return None
