"""Cut a recording: decode once, detect speech meanwhile, plan the cuts, write the chunks."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

import numpy as np

from chunking.decode import decoder
from chunking.decode.decoder import DEFAULT_LIMITS, DecodeResult, Limits
from chunking.decode.selection import Selection
from chunking.pcm import read_blocks, write_wav
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
_DEFAULT_TRACK = Selection()
#: Standard deviation (dB) for recordings amplified because they are quiet: their hiss varies more.
_QUIET_STEADY_DEVIATION = 1.5


@dataclass(frozen=True, slots=True)
class ChunkingConfig:
    """How a recording is cut. Durations in seconds."""

    #: Target length of a chunk.
    chunk_duration: float = cutting_defaults.CHUNK_SECONDS
    #: Overlap of two chunks; used only where a cut must fall into speech.
    overlap_duration: float = cutting_defaults.OVERLAP_SECONDS
    #: A pause of this length is a good place to cut.
    min_silence_duration: float = cutting_defaults.MIN_SILENCE_SECONDS
    #: Audio below this level (dBFS) is silence, except in quiet recordings.
    silence_threshold: float = cutting_defaults.SILENCE_THRESHOLD_DBFS
    #: 0..3: how aggressively webrtcvad classifies audio as noise.
    vad_aggressiveness: int = cutting_defaults.VAD_AGGRESSIVENESS
    #: Maximum length of a chunk. None: 1.2 times `chunk_duration`.
    max_chunk_duration: float | None = None
    #: Target length of the windows for diarization.
    shard_duration: float = cutting_defaults.SHARD_SECONDS

    @property
    def vad(self) -> VadSettings:
        """Settings of the speech detection."""
        return VadSettings(
            aggressiveness=self.vad_aggressiveness, silence_threshold=self.silence_threshold
        )

    @property
    def plan(self) -> PlanSettings:
        """Settings of the choice of cuts."""
        return PlanSettings(
            chunk_duration=self.chunk_duration,
            chunk_overlap=self.overlap_duration,
            min_silence_duration=self.min_silence_duration,
            max_chunk_duration=self.max_chunk_duration,
        )


DEFAULT_CONFIG = ChunkingConfig()


@dataclass(frozen=True, slots=True)
class Cutting:
    """A decoded and planned recording. Its audio is a scratch file in the working folder."""

    #: 16 kHz mono 16-bit samples without a header.
    pcm: Path
    #: Seconds, computed from the number of samples.
    duration: float
    speech: tuple[Interval, ...]
    #: Windows for the engine.
    windows: tuple[Window, ...]
    #: Windows for the diarizer.
    shards: tuple[Window, ...]
    #: For the user.
    warnings: tuple[TranscriptWarning, ...]
    #: Loudness of each frame, for the waveform.
    loudness: Loudness = field(repr=False, compare=False)

    def speech_in(self, window: Window) -> list[Interval]:
        """Return the intervals of speech in *window*, in recording time."""
        first = bisect_right(self.speech, window.start, key=attrgetter("end"))
        last = bisect_left(self.speech, window.end, key=attrgetter("start"))
        return [
            Interval(max(interval.start, window.start), min(interval.end, window.end))
            for interval in self.speech[first:last]
        ]

    def write_wav(self, window: Window, path: Path) -> None:
        """Write *window* as a 16 kHz mono 16-bit WAV file."""
        write_wav(self.pcm, Interval(window.start, window.end), path)


class AudioChunker:
    """Cuts recordings, all with the same settings."""

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
        selection: Selection = _DEFAULT_TRACK,
        on_windows: Callable[[Path, Sequence[Window]], None] | None = None,
    ) -> Cutting:
        """Decode *source* into *workdir* (115 MB an hour), detect speech and plan the cuts.

        Memory use does not depend on the length. *selection*: a track or a channel, instead of the
        mix of all channels of the default track. *on_windows* is called while a long recording is
        still being decoded, with the file that holds the audio so far and the next windows that are
        final. The windows of all calls together are the first ones of the result. An exception in
        *on_windows* ends the work and the decoder.

        Raises:
            MediaError, Unavailable, DecoderKilled: see `chunking.decode.decoder`.
            OSError: the source cannot be read or the disk is full.
        """
        pcm = workdir / _SCRATCH_NAME
        detector = Detector(self.config.vad)
        streaming_plan = StreamingPlan(detector, self.config.plan, self.limits.max_seconds)
        with selection.stream(source, self.limits) as stream, pcm.open("wb") as file:
            for block in stream:
                file.write(block)
                detector.feed(block)
                if on_windows is not None and (windows := streaming_plan.plan_windows(len(block))):
                    file.flush()
                    on_windows(pcm, windows)
        return self._build_cutting(pcm, detector, stream.result)

    def take_channels_apart(
        self, source: Path, workdir: Path, count: int, *, track: str | None = None
    ) -> list[Cutting]:
        """Decode the first *count* channels in one pass, and cut each as `take_apart` does.

        *track*: its number or language; None: the default track. Raises the same errors.
        """
        pcm_files = [workdir / f"channel-{channel}.pcm" for channel in range(count)]
        detectors = [Detector(self.config.vad) for _ in range(count)]
        with ExitStack() as stack:
            stream = stack.enter_context(
                decoder.stream(source, self.limits, split=count, track=track)
            )
            files = [stack.enter_context(pcm.open("wb")) for pcm in pcm_files]
            for block in stream:
                samples = np.frombuffer(block, "<i2").reshape(-1, count)
                for channel, (file, detector) in enumerate(zip(files, detectors, strict=True)):
                    channel_block = samples[:, channel].tobytes()
                    file.write(channel_block)
                    detector.feed(channel_block)
        return [
            self._build_cutting(pcm, detector, stream.result)
            for pcm, detector in zip(pcm_files, detectors, strict=True)
        ]

    def _build_cutting(self, pcm: Path, detector: Detector, result: DecodeResult) -> Cutting:
        speech = self._find_speech(detector, pcm)
        return Cutting(
            pcm=pcm,
            duration=result.seconds,
            speech=speech,
            windows=planner.plan_windows(speech, result.seconds, self.config.plan),
            shards=planner.plan_shards(speech, result.seconds, self.config.shard_duration),
            warnings=result.warnings,
            loudness=detector.measure_loudness(),
        )

    def _find_speech(self, detector: Detector, pcm: Path) -> tuple[Interval, ...]:
        speech = detector.finish()
        gain = detector.measure_quiet_gain()
        if gain:
            settings = replace(self.config.vad, steady_deviation=_QUIET_STEADY_DEVIATION)
            second_detector = Detector(settings, gain=gain)
            for block in read_blocks(pcm):
                second_detector.feed(block)
            speech = second_detector.finish()
        return tuple(speech)


def chunk_name(index: int) -> str:
    """Return the file name of chunk *index*."""
    return f"chunk_{index:04}.wav"
