"""The decoder process: only here do FFmpeg's libraries read an untrusted file.

`chunking.decode.decoder` starts it. Standard input is the recording, opened by the parent; standard
output is PCM; standard error carries one JSON object per line. Before it reads the first byte of
the recording, the process gives up everything it does not need: it can open no more files or
sockets, and its memory and processor time are limited.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO

import av
import av.audio.codeccontext
import av.audio.stream

# PyAV imports these on first use, when the process can no longer open files.
import av.sidedata.encparams
import av.sidedata.motionvectors
import av.stream
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream
import numpy as np

from chunking.decode.audible_tracks import find_audible_tracks
from chunking.decode.confinement import restrict_process
from chunking.decode.container import (
    RefusedError,
    SectionReader,
    describe_stream,
    discard_other_streams,
    find_declared_seconds,
    find_origin,
    find_requested_stream,
    find_streams,
    name_track,
    open_container,
)
from chunking.decode.downmix import Floats, Mixer, Shorts, to_pcm
from chunking.decode.file_header import is_playlist
from chunking.decode.resample import RATE, Resampler
from chunking.decode.sections import Section, find_sections
from chunking.decode.timeline import Overlap, Silence, Timeline

#: Frames that must be decoded before a recording counts as decodable.
_LOOK_FRAMES = 8
_MAX_SILENCES = 100
_MAX_TRACKS = 20
#: A track counts as silent if it has no audible frame in this many seconds: when probing, and when
#: decoding. The decoder writes no output meanwhile.
_LOOK_SECONDS, _LISTEN_SECONDS = 60.0, 1800.0
#: Longest encoder delay (seconds) before the audio, which decoders leave out. It can be recognized
#: only if no other track shares the clock.
_ENCODER_DELAY = 0.1
#: Decoders that overlap the end of each frame with the beginning of the next; frames have equal
#: length.
_OVERLAPPING_CODECS = ("aac", "ac3", "eac3", "mp3", "mp3float")
#: Errors that concern the whole recording, in whichever section they occur.
_GLOBAL_ERRORS = ("recording_too_long", "no_such_channel", "no_such_track")


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """The request of the parent process."""

    #: Longest recording that is decoded, in seconds.
    max_seconds: float
    memory_bytes: int
    cpu_seconds: int
    #: Only check whether it can be decoded: stop after a few frames and send no PCM.
    look: bool = False
    #: Decode this channel, counted from 0, instead of the mix of all.
    channel: int | None = None
    #: Decode so many channels, interleaved; 0: one channel or the mix of all.
    split: int = 0
    #: Decode the audio track with this number, counted from 1, or in this language; None: the
    #: default one.
    track: str | None = None


def main(argument: str) -> None:
    """Process the request in *argument*, a `DecodeRequest` as JSON."""
    request = DecodeRequest(**json.loads(argument))
    reports = _redirect_stderr()
    _warm_up()
    audio_decoders = _list_audio_decoders()
    restrict_process(request.memory_bytes, request.cpu_seconds, reports)
    try:
        with open(0, "rb", buffering=0, closefd=False) as file:
            for report in _process_request(request, file, audio_decoders):
                _send(reports, report)
    except RefusedError as refused:
        _send(reports, {"error": str(refused)})
    except MemoryError:
        _send(reports, {"error": "decoder_limit"})
    except BrokenPipeError:
        pass  # the parent has stopped reading
    except PermissionError:
        # FFmpeg tried to open another file: see `_refuse_open` in `chunking.decode.container`.
        _send(reports, {"error": "playlist_refused"})
    except av.FFmpegError:
        _send(reports, {"error": "media_unreadable"})
    except Exception as error:
        _send(reports, {"error": "decoder_crashed", "detail": repr(error)[:1000]})


def _redirect_stderr() -> int:
    """Reserve standard error for reports, and discard what libraries print there."""
    reports = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    av.logging.set_level(None)
    return reports


def _send(reports: int, report: dict[str, Any]) -> None:
    os.write(reports, json.dumps(report).encode() + b"\n")


def _warm_up() -> None:
    """Run all code once on silence, so that nothing remains to be imported or opened."""
    frame = av.AudioFrame.from_ndarray(np.zeros((2, 8_000), np.float32), "fltp", "stereo")
    frame.sample_rate = 8_000
    resampler = Resampler(frame)
    for channels, plain in (*resampler.resample(frame), *resampler.resample(None)):
        Mixer(2, RATE).mix(channels, plain).tobytes()
        to_pcm(channels[0])


def _list_audio_decoders() -> str:
    """Return the names of all audio decoders. Video decoders are riskier and are not needed."""
    names = []
    for name in av.codecs_available:
        try:
            codec = av.Codec(name, "r")
        except ValueError:  # it can only encode
            continue
        if codec.type == "audio":
            names.append(codec.name)
    return ",".join(sorted(set(names)))


def _process_request(
    request: DecodeRequest, file: BinaryIO, decoders: str
) -> Iterator[dict[str, Any]]:
    """Yield the probe report after the header, then the report of decoding."""
    if is_playlist(file):
        raise RefusedError("playlist_refused")
    decoding = _Decoding(request)
    declared: list[float | None] = []
    # A probe reads only the first section, so it does not scan all pages of an Ogg file.
    sections = [Section(0, file.seek(0, 2))] if request.look else find_sections(file)
    for number, section in enumerate(sections):
        try:
            with open_container(file, section, decoders) as container:
                stream, names = _choose_track(request, file, section, decoders, container)
                discard_other_streams(container, stream)
                if not number:
                    decoding.outcome.tracks = names
                    yield {"probe": describe_stream(container, stream)}
                declared.append(
                    find_declared_seconds(container, stream, SectionReader(file, section))
                )
                decoding.run(container, stream, declared[-1])
        except (RefusedError, av.FFmpegError) as error:
            if not number or str(error) in _GLOBAL_ERRORS:
                raise
            decoding.outcome.broken_off = True  # arbitrary data may follow a recording
        if decoding.is_look_done():
            break
    total = None if None in declared else sum(filter(None, declared))
    yield {"decoded": asdict(decoding.outcome) | {"declared": total}}


def _choose_track(
    request: DecodeRequest, file: BinaryIO, section: Section, decoders: str, container: Any
) -> tuple[Any, list[str]]:
    """Return the track to transcribe, and the names of all audible tracks if there are several.

    This is the default track, unless it is silent and another one is not.
    """
    if request.track is not None:
        return find_requested_stream(container, request.track), []
    streams = find_streams(container)
    if len(streams) == 1:
        return streams[0], []
    max_seconds = _LOOK_SECONDS if request.look else _LISTEN_SECONDS
    # A container that was read partly cannot be read from its beginning again.
    with open_container(file, section, decoders) as probe_container:
        audible = find_audible_tracks(probe_container, find_streams(probe_container), max_seconds)
    audible_streams = [stream for stream in streams if stream.index in audible]
    names = [name_track(container, stream) for stream in audible_streams[:_MAX_TRACKS]]
    return (audible_streams or streams)[0], names if len(audible_streams) > 1 else []


class DecoderFlusher:
    """Flushes a decoder's state where packets are missing.

    Codecs with overlapping frames would otherwise output the end of the earlier audio with the next
    packet, however much later that is.
    """

    def __init__(self, stream: Any) -> None:
        self._codec = stream.codec_context
        self._is_needed = self._codec.name in _OVERLAPPING_CODECS
        self._expected_pts: int | None = None

    def flush_if_discontinuous(self, packet: Any) -> None:
        """Flush if *packet* does not continue the last one; call it before decoding the packet."""
        if not self._is_needed or packet.pts is None or not packet.duration:
            return
        if (
            self._expected_pts is not None
            and packet.pts - self._expected_pts > 0.9 * packet.duration
        ):
            self._codec.flush_buffers()
        self._expected_pts = packet.pts + packet.duration


@dataclass(slots=True)
class _Outcome:
    samples: int = 0
    pieces: int = 0
    damaged: int = 0
    #: Reading ended with an error, not at the end of the file.
    broken_off: bool = False
    #: Names of the audible tracks if there are several; the first one is transcribed.
    tracks: list[str] = field(default_factory=list)
    #: Start and end (seconds) of silence inserted for missing audio; only the longest, by time.
    holes: list[tuple[float, float]] = field(default_factory=list)

    def add_silences(self, section_start: float, silences: Iterable[tuple[float, float]]) -> None:
        """Add the silences of a section that begins at *section_start*; keep `_MAX_SILENCES`."""
        all_silences = [
            *self.holes,
            *((section_start + start, section_start + end) for start, end in silences),
        ]
        by_length = sorted(all_silences, key=lambda silence: silence[0] - silence[1])
        self.holes = sorted(by_length[:_MAX_SILENCES])


class _Decoding:
    """Decodes packets to PCM on standard output; holds about a second of audio at any time."""

    def __init__(self, request: DecodeRequest) -> None:
        self.outcome = _Outcome()
        self._request = request
        #: Samples to drop from the next frames.
        self._overlap = 0
        self._resampler: Resampler | None = None
        self._mixers: list[Mixer] = []
        self._shape: tuple[Any, ...] | None = None

    def run(self, container: Any, stream: Any, declared: float | None) -> None:
        """Decode to the end, or until a probe is done. *declared*: seconds, if known.

        Raises:
            RefusedError: nothing could be decoded, or the recording exceeds the limits.
        """
        samples_before = self.outcome.samples
        section_start = samples_before / RATE
        lead = _ENCODER_DELAY if len(container.streams) == 1 else 0.0
        timeline = Timeline(find_origin(container), self._request.max_seconds - section_start, lead)
        flusher = DecoderFlusher(stream)
        for packet in self._demux_packets(container, stream):
            flusher.flush_if_discontinuous(packet)
            for frame in self._decode_packet(packet):
                self._process_timeline(
                    timeline.add(frame, frame.time, frame.samples / frame.rate), section_start
                )
            if self.is_look_done():
                return
        self._process_timeline(timeline.finish(declared), section_start)
        self._flush()
        self.outcome.add_silences(section_start, timeline.silences)
        if self.outcome.samples == samples_before:
            raise RefusedError("media_unreadable" if self.outcome.damaged else "no_audio_data")

    def _demux_packets(self, container: Any, stream: Any) -> Iterator[Any]:
        try:
            yield from container.demux(stream)
        except av.FFmpegError:
            self.outcome.broken_off = True

    def _decode_packet(self, packet: Any) -> list[Any]:
        try:
            frames: list[Any] = packet.decode()
        except (av.error.InvalidDataError, av.error.ArgumentError, av.error.PatchWelcomeError):
            self.outcome.damaged += not _is_pause(packet)
            return []
        self.outcome.pieces += bool(frames)
        return frames

    def _process_timeline(self, elements: Iterator[Any], section_start: float) -> None:
        """Write timeline elements; *section_start* is in seconds of the recording."""
        for element in elements:
            match element:
                case Silence(until):
                    self._flush()
                    self._write_silence(
                        round((section_start + until) * RATE) - self.outcome.samples
                    )
                case Overlap(seconds):
                    self._flush()
                    self._overlap += round(seconds * RATE)
                case frame:
                    self._resample_frame(frame)

    def _resample_frame(self, frame: Any) -> None:
        shape = (frame.format.name, frame.layout.name, frame.layout.nb_channels, frame.sample_rate)
        if shape != self._shape:
            # A stream may change in the middle: chained Ogg, broadcasts.
            self._flush()
            self._shape = shape
            self._mixers = self._build_mixers(shape[2])
        if self._resampler is None:
            self._resampler = Resampler(frame)
        frame.pts = None  # the timeline has already used it
        self._write_frame(self._resampler, frame)

    def _flush(self) -> None:
        if self._resampler is not None:
            self._write_frame(self._resampler, None)
        self._resampler = None

    def _write_frame(self, resampler: Resampler, frame: Any) -> None:
        for channels, plain in resampler.resample(frame):
            skipped = min(self._overlap, len(plain))
            self._overlap -= skipped
            channels, plain = channels[:, skipped:], plain[skipped:]
            if not len(plain):
                continue
            self._count_samples(len(plain))
            blocks = self._select_channels(channels, plain)
            if not self._request.look:
                mixed = [
                    mixer.mix(*block) for mixer, block in zip(self._mixers, blocks, strict=True)
                ]
                _write_all(np.stack(mixed, axis=1).astype("<i2", copy=False).tobytes())

    def _write_silence(self, samples: int) -> None:
        while samples > 0:
            block = min(samples, RATE)
            samples -= block
            self._count_samples(block)
            if not self._request.look:
                _write_all(bytes(2 * block * max(1, self._request.split)))

    def _count_samples(self, samples: int) -> None:
        self.outcome.samples += samples
        if self.outcome.samples > self._request.max_seconds * RATE:
            raise RefusedError("recording_too_long")

    def _build_mixers(self, channel_count: int) -> list[Mixer]:
        if self._request.split:
            return [Mixer(1, RATE) for _ in range(self._request.split)]
        return [Mixer(1 if self._request.channel is not None else channel_count, RATE)]

    def _select_channels(self, channels: Floats, plain: Shorts) -> list[tuple[Floats, Shorts]]:
        """Return the channels to write, each with FFmpeg's own samples of it."""
        if self._request.split:
            # A stream may lose a channel in the middle, where another recording begins.
            missing = np.zeros(
                (max(0, self._request.split - len(channels)), len(plain)), np.float32
            )
            return [
                (channel[None], to_pcm(np.nan_to_num(channel)))
                for channel in np.concatenate([channels, missing])[: self._request.split]
            ]
        channel = self._request.channel
        if channel is None:
            return [(channels, plain)]
        if channel >= len(channels):
            raise RefusedError("no_such_channel")
        return [(channels[channel : channel + 1], to_pcm(np.nan_to_num(channels[channel])))]

    def is_look_done(self) -> bool:
        """Return whether this is a probe that has decoded enough frames."""
        return self._request.look and self.outcome.pieces >= _LOOK_FRAMES


def _is_pause(packet: Any) -> bool:
    """Return whether the packet marks a pause, which FFmpeg cannot decode (3GPP TS 26.101)."""
    first_pause = {"amrnb": 8, "amrwb": 9}.get(packet.stream.codec_context.name)
    head = bytes(packet)[:1]
    return first_pause is not None and bool(head) and (head[0] >> 3 & 15) >= first_pause


def _write_all(pcm: bytes) -> None:
    view = memoryview(pcm)
    while view:
        view = view[os.write(1, view) :]
