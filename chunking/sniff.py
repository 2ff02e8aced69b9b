"""What the first bytes of a file tell before any media library sees them."""

from __future__ import annotations

from typing import BinaryIO

#: How these formats begin; all of them are lists of other places, not recordings.
_PLAYLISTS = (
    b"#extm3u",  # HLS
    b"ffconcat",
    b";ffmetadata",
    b"[playlist]",  # PLS
    b"v=0",  # SDP: makes FFmpeg listen on a port
    b"<smil",
    b"<mpd",  # DASH
    b"<asx",
)
#: From here on a size in a RIFF header means "not known when the header was written":
#: ffmpeg writes 0xFFFFFFFF into a pipe, sox 0x7FFFF000.
_UNKNOWN_SIZE = 0x7FFFF000
_MAX_RIFF_CHUNKS = 64

#: How recordings begin that browsers play: bytes, where they stand, and the media type.
_RECORDINGS = (
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

#: All that `media_type` answers.
MEDIA_TYPES = (
    *dict.fromkeys(name for _, _, name in _RECORDINGS),
    *("video/webm", "video/x-matroska", "audio/aac"),
)


def media_type(head: bytes) -> str | None:
    """What to call a recording that begins so; None for what browsers have no name for.

    Nothing but sound and film is ever answered, so whatever else a file is, no browser shows it.
    """
    for mark, place, name in _RECORDINGS:
        if head[place:].startswith(mark):
            return name
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "video/webm" if b"webm" in head[:64] else "video/x-matroska"
    return _frames(head)


def _frames(head: bytes) -> str | None:
    """MPEG audio and AAC have no header of the file, but each frame begins with eleven set bits."""
    if len(head) < 2 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 0b11, head[1] >> 1 & 0b11
    if layer == 0:
        return "audio/aac" if version & 0b10 else None
    # The first layer is nobody's any more, and would be how UTF-16 begins.
    return "audio/mpeg" if layer != 0b11 and version != 0b01 else None


def is_playlist(file: BinaryIO) -> bool:
    """Tell whether *file* is a playlist, a manifest or a list of files."""
    file.seek(0)
    head = file.read(1024).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return head.startswith(_PLAYLISTS) or (head.startswith(b"<?xml") and b"<mpd" in head)


def wav_is_cut_short(file: BinaryIO) -> bool:
    """Tell whether a WAV file holds less than its header promises. False for any other file.

    FFmpeg quietly believes the size of the file instead, so it cannot tell.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return False
    for _ in range(_MAX_RIFF_CHUNKS):
        header = file.read(8)
        if len(header) < 8:
            return False
        length = int.from_bytes(header[4:8], "little")
        if header[:4] == b"data":
            return length < _UNKNOWN_SIZE and file.tell() + length > size
        file.seek(length + length % 2, 1)
    return False


def mp3_knows_its_length(file: BinaryIO) -> bool:
    """Tell whether an MP3 says how long it is. If not, FFmpeg guesses from the first frames."""
    file.seek(0)
    head = file.read(10)
    skip = 0
    if head[:3] == b"ID3" and len(head) == 10:
        # Four bytes of seven bits each.
        skip = 10 + sum(
            (byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)
        )
    file.seek(skip)
    first_frames = file.read(4096)
    return any(mark in first_frames for mark in (b"Xing", b"Info", b"VBRI"))
