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
