"""Open a recording for the decoder: only its own bytes, and only its audio.

Only the decoder imports this.
"""

from __future__ import annotations

import re
from typing import Any, BinaryIO

import av
import av.stream

from chunking.decode.file_header import count_mp3_frames, read_wav_header
from chunking.decode.sections import Section

#: Containers that hold their own audio. All playlists, manifests and devices are left out.
FORMATS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mpeg,mpegts,ogg,wav,w64"
)
_DURATION_TAG = re.compile(r"(\d+):(\d{2}):(\d{2}(?:\.\d+)?)")
_RATES = range(1_000, 1_000_001)
#: As many as FFmpeg resamples.
MAX_CHANNELS = 64
#: A recording starts at most this late (seconds); a later first timestamp is part of a longer
#: clock.
_MAX_START_SECONDS = 60.0
#: Characters of a track's title that are shown.
_MAX_TITLE_CHARACTERS = 40
#: ISO 639-2 codes in files, by the codes that people write: those of languages with many speakers.
_TWO_LETTERS = {
    "ara": "ar", "ben": "bn", "bul": "bg", "cat": "ca", "ces": "cs", "chi": "zh", "cze": "cs",
    "dan": "da", "deu": "de", "dut": "nl", "ell": "el", "eng": "en", "est": "et", "eus": "eu",
    "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr", "ger": "de", "glg": "gl", "gre": "el",
    "heb": "he", "hin": "hi", "hrv": "hr", "hun": "hu", "ind": "id", "isl": "is", "ita": "it",
    "jpn": "ja", "kor": "ko", "lav": "lv", "lit": "lt", "msa": "ms", "nld": "nl", "nor": "no",
    "per": "fa", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro", "rus": "ru", "slk": "sk",
    "slv": "sl", "spa": "es", "srp": "sr", "swa": "sw", "swe": "sv", "tam": "ta", "tel": "te",
    "tha": "th", "tur": "tr", "ukr": "uk", "urd": "ur", "vie": "vi", "zho": "zh",
}  # fmt: skip


class RefusedError(Exception):
    """The recording cannot be decoded; the message is the code of a `MediaError`."""


def open_container(file: BinaryIO, section: Section, decoders: str) -> Any:
    """Return an open PyAV container; the caller closes it. *decoders*: names of the allowed ones.

    Raises `av.FFmpegError`, and `PermissionError` if FFmpeg tries to open anything else.
    """
    source = SectionReader(file, section)
    header = read_wav_header(source)
    options = {
        "format_whitelist": FORMATS,
        "codec_whitelist": decoders,
        "protocol_whitelist": "",
        "enable_drefs": "0",  # MP4 may refer to other files for its samples
        **({"ignore_length": "1"} if header and header.is_too_small else {}),
    }
    source.seek(0)
    return av.open(source, "r", options=options, io_open=_refuse_open)


class SectionReader:
    """A part of a file, without a name from which a library could guess a format or other files."""

    def __init__(self, file: BinaryIO, section: Section) -> None:
        self._file = file
        self._section = section
        self._position = section.start

    def read(self, count: int = -1, /) -> bytes:
        remaining = self._section.end - self._position
        self._file.seek(self._position)
        block = self._file.read(remaining if count < 0 else min(count, remaining))
        self._position += len(block)
        return block

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (self._section.start, self._position, self._section.end)[whence]
        self._position = min(self._section.end, max(self._section.start, base + offset))
        return self.tell()

    def tell(self) -> int:
        return self._position - self._section.start


def _refuse_open(*_: object) -> None:
    raise PermissionError("a recording may not open anything else")


def find_streams(container: Any) -> list[Any]:
    """Return the audio tracks that can be decoded, those marked as default first.

    Raises `RefusedError` if there is none.
    """
    if not container.streams.audio:
        raise RefusedError("no_audio_stream")
    readable = [stream for stream in container.streams.audio if _is_readable(stream)]
    if not readable:
        has_too_many = any(map(_has_too_many_channels, container.streams.audio))
        raise RefusedError("too_many_channels" if has_too_many else "media_unreadable")
    return sorted(readable, key=lambda stream: not stream.disposition & stream.disposition.default)


def find_requested_stream(container: Any, track: str) -> Any:
    """Return the audio track with this number, counted from 1, or in this language.

    Raises `RefusedError` if there is none.
    """
    streams = find_streams(container)
    if track.isdecimal():
        number = int(track)
        chosen = [stream for stream in streams if number_track(container, stream) == number]
    else:
        chosen = [stream for stream in streams if is_in_language(stream, track)]
    if not chosen:
        raise RefusedError("no_such_track")
    return chosen[0]


def is_in_language(stream: Any, language: str) -> bool:
    """Return whether a track declares this language; en, eng and en-US are one."""
    declared = stream.metadata.get("language", "")
    return bool(declared) and _shorten_language(declared) == _shorten_language(language)


def _shorten_language(tag: str) -> str:
    first = tag.lower().replace("_", "-").partition("-")[0]
    return _TWO_LETTERS.get(first, first)


def number_track(container: Any, stream: Any) -> int:
    """Return the number of a track among the audio tracks, counted from 1."""
    return [track.index for track in container.streams.audio].index(stream.index) + 1


def discard_other_streams(container: Any, selected: Any) -> None:
    """Make the demuxer skip all tracks but *selected*."""
    for stream in container.streams:
        if stream is not selected:
            stream.discard = av.stream.Discard.all
    # More threads would need more memory, and the machine has other chunks to process.
    selected.codec_context.thread_count = 1


def name_track(container: Any, stream: Any) -> str:
    """Return a track's name for users: its number among the audio tracks, language and title."""
    number = number_track(container, stream)
    tags = (stream.metadata.get(name, "") for name in ("language", "title"))
    description = ", ".join(text[:_MAX_TITLE_CHARACTERS] for text in tags if text and text != "und")
    return f"{number} ({description})" if description else str(number)


def _is_readable(stream: Any) -> bool:
    codec = stream.codec_context
    return (
        codec is not None
        and codec.sample_rate in _RATES
        and 0 < codec.layout.nb_channels <= MAX_CHANNELS
    )


def _has_too_many_channels(stream: Any) -> bool:
    codec = stream.codec_context
    return codec is not None and codec.layout.nb_channels > MAX_CHANNELS


def find_start(container: Any) -> float:
    """Return the timestamp (seconds) of the earliest track."""
    return (container.start_time or 0) / float(av.time_base)


def find_origin(container: Any) -> float:
    """Return the timestamp (seconds) that players show as the beginning.

    In Matroska and MP4 it is 0, even if no track starts there, unless the file is a piece of a
    longer recording. In other formats, such as broadcasts, the clock begins with the earliest
    track.
    """
    earliest = find_start(container)
    is_absolute = container.format.name.startswith(("matroska", "mov"))
    return 0.0 if is_absolute and 0 < earliest <= _MAX_START_SECONDS else earliest


def find_declared_seconds(container: Any, stream: Any, file: Any) -> float | None:
    """Return the seconds of audio that the header declares, or None."""
    match container.format.name:
        case "mp3":
            frames, codec = count_mp3_frames(file), stream.codec_context
            return frames * codec.frame_size / codec.sample_rate if frames else None
        case "wav":
            header = read_wav_header(file)
            return header.seconds if header else None
        case "aac" | "ac3" | "eac3" | "amr":
            return None  # FFmpeg only estimates it from the first frames
    if container.format.name.startswith("matroska") and len(container.streams) > 1:
        return _read_duration_tag(stream)  # the stream's is that of the longest track
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    # The container's duration is that of its longest track, which may be the video.
    return _read_duration(container) if len(container.streams) == 1 else None


def _read_duration_tag(stream: Any) -> float | None:
    """Return the duration that Matroska muxers write as a tag of the track, such as 00:00:20.5."""
    match = _DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))
    if match is None:
        return None
    hours, minutes, seconds = map(float, match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _read_duration(container: Any) -> float | None:
    return container.duration / av.time_base if container.duration else None


def describe_stream(container: Any, stream: Any) -> dict[str, Any]:
    """Return the properties of the recording: the fields of `chunking.decode.decoder.Probe`."""
    codec = stream.codec_context
    return {
        "container": container.format.name,
        "codec": codec.name,
        "sample_rate": codec.sample_rate,
        "channels": codec.layout.nb_channels,
        "declared_duration": _read_duration(container),
        "video": any(_is_video(video_stream) for video_stream in container.streams.video),
        "tracks": [number_track(container, track) for track in find_streams(container)],
    }


def _is_video(stream: Any) -> bool:
    return not stream.disposition & stream.disposition.attached_pic
