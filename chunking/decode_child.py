"""The decoder's own process: FFmpeg's libraries meet a stranger's bytes here and nowhere else.

Started by `chunking.decode`. Standard input is the recording itself, opened by the parent;
standard output is PCM; standard error carries one JSON object a line. Before the first byte of
the recording is read the process has given up what it does not need: it can open nothing any
more, neither a file nor a socket, and its memory and processor time are limited.
"""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import av
import av.audio.codeccontext
import av.audio.stream

# PyAV imports these on first use; then it is too late, for no file can be opened any more.
import av.sidedata.encparams
import av.sidedata.motionvectors
import av.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream
import numpy as np

from chunking.downmix import Floats, Mixer, Shorts, to_pcm
from chunking.resample import RATE, Resampler
from chunking.sniff import is_playlist, mp3_knows_its_length, wav_is_cut_short

#: Containers that hold their own sound. All playlists, manifests and devices are left out.
FORMATS = (
    "aac,ac3,aiff,amr,asf,au,avi,caf,eac3,flac,flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,"
    "mp3,mpeg,mpegts,ogg,wav,w64"
)
_RATES = range(1_000, 1_000_001)
_MAX_CHANNELS = 64
#: Frames that must come out before a recording counts as one that can be decoded.
_LOOK_PIECES = 8


@dataclass(frozen=True, slots=True)
class Request:
    """What the parent asks for."""

    #: Longest recording that is decoded, in seconds.
    max_seconds: float
    memory_bytes: int
    cpu_seconds: int
    #: Only look whether it can be decoded: stop after a few frames and send no PCM.
    look: bool = False
    #: Take this channel, counted from 0, instead of the mix of all.
    channel: int | None = None


class RefusedError(Exception):
    """The recording is not decoded; the message is the code of a `MediaError`."""


def main(argument: str) -> None:
    """Answer the request in *argument*, a `Request` as JSON."""
    request = Request(**json.loads(argument))
    reports = _take_stderr()
    _warm_up()
    audio_decoders = _audio_decoders()
    _confine(request, reports)
    try:
        with open(0, "rb", buffering=0, closefd=False) as file:
            for report in _answer(request, file, audio_decoders):
                _send(reports, report)
    except RefusedError as refused:
        _send(reports, {"error": str(refused)})
    except MemoryError:
        _send(reports, {"error": "decoder_limit"})
    except BrokenPipeError:
        pass  # the parent has stopped listening
    except PermissionError:  # it wanted something opened: see `_refuse`
        _send(reports, {"error": "playlist_refused"})
    except av.FFmpegError:
        _send(reports, {"error": "media_unreadable"})
    except Exception as error:
        _send(reports, {"error": "decoder_crashed", "detail": repr(error)[:1000]})


def _take_stderr() -> int:
    """Keep standard error for reports; what a library prints there goes nowhere."""
    reports = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    av.logging.set_level(None)
    return reports


def _send(reports: int, report: dict[str, Any]) -> None:
    os.write(reports, json.dumps(report).encode() + b"\n")


def _warm_up() -> None:
    """Do all work once on harmless sound, so that nothing is left to be imported or opened."""
    frame = av.AudioFrame.from_ndarray(np.zeros((2, 8_000), np.float32), "fltp", "stereo")
    frame.sample_rate = 8_000
    resampler = Resampler(frame)
    for channels, plain in (*resampler.resample(frame), *resampler.resample(None)):
        Mixer(2, RATE).mix(channels, plain).tobytes()
        to_pcm(channels[0])


def _audio_decoders() -> str:
    """Name all decoders of sound. Those of pictures are the larger danger and are not needed."""
    names = []
    for name in av.codecs_available:
        try:
            codec = av.Codec(name, "r")
        except ValueError:  # it can only encode
            continue
        if codec.type == "audio":
            names.append(codec.name)
    return ",".join(sorted(set(names)))


def _confine(request: Request, reports: int) -> None:
    """Give up all that decoding does not need; without privileges it cannot be taken back."""
    wanted = {
        # No descriptor beyond those in use: open(), socket() and pipe() all fail from now on.
        # This takes no privilege and no name space, unlike a network sandbox.
        resource.RLIMIT_NOFILE: reports + 1,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_CPU: request.cpu_seconds,
        resource.RLIMIT_AS: request.memory_bytes,
    }
    for limit, value in wanted.items():
        _limit(limit, value)


def _limit(limit: int, value: int) -> None:
    hard = resource.getrlimit(limit)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(limit, (value, value))


def _answer(request: Request, file: BinaryIO, decoders: str) -> Iterator[dict[str, Any]]:
    """Yield what is known from the header, then what came out of decoding."""
    if is_playlist(file):
        raise RefusedError("playlist_refused")
    cut_short = wav_is_cut_short(file)
    believable = mp3_knows_its_length(file)
    file.seek(0)
    with _open(file, decoders) as container:
        stream = _audio_stream(container)
        yield {"probe": _describe(container, stream)}
        decoding = _Decoding(request, stream)
        decoding.run(container)
        guessed = container.format.name in ("mp3", "aac") and not believable
        declared = None if guessed else _promised(container, stream)
        yield {"decoded": asdict(decoding.outcome) | {"declared": declared, "cut_short": cut_short}}


def _open(file: BinaryIO, decoders: str) -> Any:
    options = {
        "format_whitelist": FORMATS,
        "codec_whitelist": decoders,
        "protocol_whitelist": "",
        "enable_drefs": "0",  # MP4 may name other files as the place of its samples
    }
    return av.open(_Bytes(file), "r", options=options, io_open=_refuse)


class _Bytes:
    """A file without a name, so that no library can guess from it or look beside it."""

    def __init__(self, file: BinaryIO) -> None:
        self.read = file.read
        self.seek = file.seek
        self.tell = file.tell


def _refuse(*_: object) -> None:
    raise PermissionError("a recording may not open anything else")


def _audio_stream(container: Any) -> Any:
    """Choose the first track that is marked as default, else the first that can be decoded."""
    if not container.streams.audio:
        raise RefusedError("no_audio_stream")
    readable = [stream for stream in container.streams.audio if _is_readable(stream)]
    if not readable:
        raise RefusedError("media_unreadable")
    marked = [stream for stream in readable if stream.disposition & stream.disposition.default]
    chosen = (marked or readable)[0]
    for stream in container.streams:
        if stream is not chosen:
            stream.discard = av.stream.Discard.all
    # More threads would need more memory, and the machine has other chunks to work on.
    chosen.codec_context.thread_count = 1
    return chosen


def _is_readable(stream: Any) -> bool:
    codec = stream.codec_context
    return (
        codec is not None
        and codec.sample_rate in _RATES
        and 0 < codec.layout.nb_channels <= _MAX_CHANNELS
    )


def _promised(container: Any, stream: Any) -> float | None:
    """Return how many seconds of sound the header promises, if it speaks of the sound at all."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    # The container's duration is that of its longest track, which may be the picture.
    return _duration(container) if len(container.streams) == 1 else None


def _duration(container: Any) -> float | None:
    return container.duration / av.time_base if container.duration else None


def _describe(container: Any, stream: Any) -> dict[str, Any]:
    codec = stream.codec_context
    return {
        "container": container.format.name,
        "codec": codec.name,
        "sample_rate": codec.sample_rate,
        "channels": codec.layout.nb_channels,
        "declared_duration": _duration(container),
        "video": any(_is_video(each) for each in container.streams.video),
    }


def _is_video(stream: Any) -> bool:
    return not stream.disposition & stream.disposition.attached_pic


@dataclass(slots=True)
class _Outcome:
    samples: int = 0
    pieces: int = 0
    damaged: int = 0
    #: Reading ended with an error, not with the end of the file.
    broken_off: bool = False


class _Decoding:
    """Packets in, PCM on standard output; holds about a second of sound at any time."""

    def __init__(self, request: Request, stream: Any) -> None:
        self.outcome = _Outcome()
        self._request = request
        self._stream = stream
        self._resampler: Resampler | None = None
        self._mixer: Mixer | None = None
        self._shape: tuple[Any, ...] | None = None

    def run(self, container: Any) -> None:
        """Decode until the end, or until enough was seen.

        Raises:
            RefusedError: nothing could be decoded, or there is more than is allowed.
        """
        for packet in self._packets(container):
            for frame in self._frames(packet):
                self._take(frame)
            if self._has_seen_enough():
                return
        self._flush()
        if not self.outcome.samples:
            raise RefusedError("media_unreadable" if self.outcome.damaged else "no_audio_data")

    def _packets(self, container: Any) -> Iterator[Any]:
        try:
            yield from container.demux(self._stream)
        except av.FFmpegError:
            self.outcome.broken_off = True

    def _frames(self, packet: Any) -> list[Any]:
        try:
            frames: list[Any] = packet.decode()
        except (av.error.InvalidDataError, av.error.ArgumentError, av.error.PatchWelcomeError):
            self.outcome.damaged += 1
            return []
        self.outcome.pieces += bool(frames)
        return frames

    def _take(self, frame: Any) -> None:
        shape = (frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate)
        if shape != self._shape:
            # A stream may change in the middle: chained Ogg, broadcasts.
            self._flush()
            self._shape = shape
            self._resampler = Resampler(frame)
            self._mixer = Mixer(1 if self._request.channel is not None else shape[2], RATE)
        frame.pts = None  # the sound is counted; what the file says about time is not believed
        assert self._resampler is not None
        self._write(self._resampler, frame)

    def _flush(self) -> None:
        if self._resampler is not None:
            self._write(self._resampler, None)
        self._resampler = None

    def _write(self, resampler: Resampler, frame: Any) -> None:
        for channels, plain in resampler.resample(frame):
            self.outcome.samples += len(plain)
            if self.outcome.samples > self._request.max_seconds * RATE:
                raise RefusedError("recording_too_long")
            block = self._chosen(channels, plain)
            if not self._request.look and self._mixer is not None:
                _write_all(self._mixer.mix(*block).astype("<i2", copy=False).tobytes())

    def _chosen(self, channels: Floats, plain: Shorts) -> tuple[Floats, Shorts]:
        channel = self._request.channel
        if channel is None:
            return channels, plain
        if channel >= len(channels):
            raise RefusedError("no_such_channel")
        return channels[channel : channel + 1], to_pcm(np.nan_to_num(channels[channel]))

    def _has_seen_enough(self) -> bool:
        return self._request.look and self.outcome.pieces >= _LOOK_PIECES


def _write_all(pcm: bytes) -> None:
    view = memoryview(pcm)
    while view:
        view = view[os.write(1, view) :]
