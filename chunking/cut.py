"""Takes a recording apart: decode once, find speech on the way, plan, write the chunks."""

from __future__ import annotations

import wave
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from chunking.decode import decoder
from chunking.decode.decoder import DEFAULT_LIMITS, SAMPLE_RATE, Limits
from chunking.plan import planner
from chunking.plan.planner import PlanSettings, Window
from chunking.plan.streaming_plan import StreamingPlan
from chunking.vad.detector import Detector
from chunking.vad.speech import VadSettings
from chunking.waveform import Loudness
from core.config import cutting_defaults
from transcripts.types import Interval
from transcripts.warning import TranscriptWarning

_SCRATCH_NAME = "recording.pcm"
_BLOCK_BYTES = 1 << 20
#: In a recording that was amplified to be heard at all, hiss moves more than in a good one.
_QUIET_STEADY_DEVIATION = 1.5


@dataclass(frozen=True, slots=True)
class ChunkingConfig:
    """How a recording is cut. Durations in seconds."""

    #: Wished length of a chunk.
    chunk_duration: float = cutting_defaults.CHUNK_SECONDS
    #: What two chunks share, only where a cut has to fall into speech.
    overlap_duration: float = cutting_defaults.OVERLAP_SECONDS
    #: A pause of this length is a good place to cut.
    min_silence_duration: float = cutting_defaults.MIN_SILENCE_SECONDS
    #: Sound below this level (dBFS) is silence, except in quiet recordings.
    silence_threshold: float = cutting_defaults.SILENCE_THRESHOLD_DBFS
    #: 0..3: how much webrtcvad takes for noise.
    vad_aggressiveness: int = cutting_defaults.VAD_AGGRESSIVENESS
    #: No chunk is longer. None: 1.2 times `chunk_duration`.
    max_chunk_duration: float | None = None
    #: Wished length of the windows that diarization works on.
    shard_duration: float = cutting_defaults.SHARD_SECONDS

    @property
    def vad(self) -> VadSettings:
        """The part that finds speech."""
        return VadSettings(
            aggressiveness=self.vad_aggressiveness, silence_threshold=self.silence_threshold
        )

    @property
    def plan(self) -> PlanSettings:
        """The part that chooses the cuts."""
        return PlanSettings(
            chunk_duration=self.chunk_duration,
            chunk_overlap=self.overlap_duration,
            min_silence_duration=self.min_silence_duration,
            max_chunk_duration=self.max_chunk_duration,
        )


DEFAULT_CONFIG = ChunkingConfig()


@dataclass(frozen=True, slots=True)
class Cutting:
    """A recording taken apart. Its sound is a scratch file in the folder it was taken apart in."""

    #: 16 kHz mono 16-bit samples without a header.
    pcm: Path
    #: Seconds, counted from the samples.
    duration: float
    speech: tuple[Interval, ...]
    #: What the engine works on.
    windows: tuple[Window, ...]
    #: What the diarizer works on.
    shards: tuple[Window, ...]
    #: For the user.
    warnings: tuple[TranscriptWarning, ...]
    #: How loud each moment is, to be drawn.
    loudness: Loudness = field(repr=False, compare=False)

    def speech_in(self, window: Window) -> list[Interval]:
        """Where somebody seems to speak in *window*, in times of the recording."""
        first = bisect_right(self.speech, window.start, key=attrgetter("end"))
        last = bisect_left(self.speech, window.end, key=attrgetter("start"))
        return [
            Interval(max(interval.start, window.start), min(interval.end, window.end))
            for interval in self.speech[first:last]
        ]

    def write_wav(self, window: Window, path: Path) -> None:
        """Write *window* as a 16 kHz mono 16-bit WAV file."""
        write_wav(self.pcm, window, path)


class AudioChunker:
    """Takes recordings apart, all in the same way."""

    def __init__(
        self, config: ChunkingConfig = DEFAULT_CONFIG, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.config = config
        self.limits = limits

    def take_apart(
        self,
        source: Path,
        workdir: Path,
        *,
        channel: int | None = None,
        on_windows: Callable[[Path, Sequence[Window]], None] | None = None,
    ) -> Cutting:
        """Decode *source* into *workdir* (115 MB an hour), find speech and plan the cuts.

        Memory stays flat whatever the length. *channel*, counted from 0, takes one channel
        instead of the mix of all. *on_windows* is called while a long recording is still decoded,
        with the file in which its sound is so far and the next windows that are certain: those
        from all calls are the first ones of the answer. What it raises ends the work and the
        decoder.

        Raises:
            MediaError, Unavailable, DecoderKilled: see `chunking.decode.decoder`.
            OSError: the source cannot be read or the disk is full.
        """
        pcm = workdir / _SCRATCH_NAME
        detector = Detector(self.config.vad)
        streaming_plan = StreamingPlan(detector, self.config.plan, self.limits.max_seconds)
        with decoder.stream(source, self.limits, channel=channel) as stream, pcm.open("wb") as file:
            for block in stream:
                file.write(block)
                detector.feed(block)
                if on_windows is not None and (windows := streaming_plan.plan_windows(len(block))):
                    file.flush()
                    on_windows(pcm, windows)
        decode_result = stream.result
        speech = self._find_speech(detector, pcm)
        return Cutting(
            pcm=pcm,
            duration=decode_result.seconds,
            speech=speech,
            windows=planner.plan_windows(speech, decode_result.seconds, self.config.plan),
            shards=planner.plan_shards(speech, decode_result.seconds, self.config.shard_duration),
            warnings=decode_result.warnings,
            loudness=detector.measure_loudness(),
        )

    def _find_speech(self, detector: Detector, pcm: Path) -> tuple[Interval, ...]:
        speech = detector.finish()
        gain = detector.measure_quiet_gain()
        if gain:
            settings = replace(self.config.vad, steady_deviation=_QUIET_STEADY_DEVIATION)
            second_detector = Detector(settings, gain=gain)
            for block in _read_blocks(pcm):
                second_detector.feed(block)
            speech = second_detector.finish()
        return tuple(speech)


def write_wav(pcm: Path, window: Window, path: Path) -> None:
    """Write a *window* of 16 kHz mono 16-bit samples as a WAV file, block by block."""
    start, end = (byte_offset(seconds) for seconds in (window.start, window.end))
    with pcm.open("rb") as source, new_wav(path) as target:
        # Known beforehand, so that the header is right when the file is a pipe or a socket.
        target.setnframes((end - start) // 2)
        source.seek(start)
        while start < end and (block := source.read(min(_BLOCK_BYTES, end - start))):
            target.writeframesraw(block)
            start += len(block)


@contextmanager
def new_wav(path: Path) -> Iterator[wave.Wave_write]:
    """A WAV file to write 16 kHz mono 16-bit samples into."""
    with wave.open(str(path), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(SAMPLE_RATE)
        yield target


def chunk_name(index: int) -> str:
    """Return the file name of chunk *index*."""
    return f"chunk_{index:04}.wav"


def _read_blocks(pcm: Path) -> Iterator[bytes]:
    with pcm.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def byte_offset(seconds: float) -> int:
    """Return the position in the PCM, on a whole sample."""
    return 2 * round(seconds * SAMPLE_RATE)


def describe(index: int, window: Window) -> dict[str, Any]:
    """Return what ``chunks_metadata.json`` says of chunk *index*."""
    return {
        "index": index,
        "file": chunk_name(index),
        "start_time": round(window.start, 3),
        "end_time": round(window.end, 3),
        "duration": round(window.duration, 3),
        "overlap": round(window.overlap, 3),
    }
