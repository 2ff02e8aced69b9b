"""Decode any audio or video to a stream of 16 kHz mono 16-bit PCM, in a process with limits.

Codes of the `MediaError` raised here: ``empty_file``, ``media_unreadable``, ``playlist_refused``,
``no_audio_stream``, ``no_audio_data``, ``too_many_channels``, ``no_such_channel``,
``no_such_track``, ``recording_too_long``, ``decoder_limit`` (memory or processor time),
``decoder_crashed`` and ``decoder_stalled``.
`DecoderKilled` says nothing about the recording.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from core.errors import MediaError, Transient, Unavailable
from transcripts.clock_time import format_clock_time
from transcripts.warning import TranscriptWarning, WarningCode

_log = logging.getLogger(__name__)


class DecoderKilled(Transient):
    """Something outside ended the decoder's process: another try may succeed."""

    code = "decoder_killed"


#: Sampling rate (Hz) of all audio that this package returns.
SAMPLE_RATE = 16_000
#: Bytes per second of the PCM.
BYTES_PER_SECOND = 2 * SAMPLE_RATE

_MESSAGES = {
    "empty_file": "The file is empty.",
    "media_unreadable": "The file is not audio or video in a format that can be read here, or it "
    "is damaged too badly. Converting it to WAV, FLAC or MP3 may help.",
    "playlist_refused": "The file is a playlist or a manifest that points to other places. "
    "Send the recording itself.",
    "no_audio_stream": "The file has no audio track.",
    "no_audio_data": "The file declares an audio track, but the track contains no audio.",
    "too_many_channels": "The recording has more than 64 channels.",
    "no_such_channel": "The recording does not have this channel.",
    "no_such_track": "The recording does not have this audio track.",
    "recording_too_long": "The recording is longer than the allowed maximum of {longest}.",
    "decoder_limit": "Decoding exceeded the limit of memory or processor time for one recording. "
    "Converting it to WAV, FLAC or MP3 may help.",
    "decoder_crashed": "The decoder failed on this file; it may be damaged. "
    "Converting it to WAV, FLAC or MP3 may help.",
    "decoder_stalled": "The decoder stopped producing audio and was terminated. "
    "Converting the recording to WAV, FLAC or MP3 may help.",
}
#: What the kernel sends when memory runs out, and operators send; no recording causes these.
_SIGNALS_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_MISSING_SOUND_MESSAGE = "the recording has no audio here; silence replaces it"
_BOOTSTRAP_CODE = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from chunking.decode.child import main; main(sys.argv[2])"
)
_ROOT = Path(__file__).resolve().parents[2]
#: Environment variables passed to the child; it must not get this process's credentials.
_INHERITED_VARIABLES = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
_BLOCK_BYTES = 1 << 18
_MAX_REPORT = 1 << 16
#: Missing seconds below which there is no warning: encoders pad and round.
_TOLERANCE_SECONDS = 1.0
#: Missing seconds inside the recording that cause a warning; calls may leave out shorter pauses.
_MIN_MISSING_SECONDS = 1.0
#: Bad packets that a good file may have: the last one, and one where two files were joined.
_ORDINARY_DAMAGE = 2
#: The same as a share of all packets, for long recordings: some seconds in ten hours.
_ORDINARY_DAMAGE_SHARE = 0.0001


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the resources that one recording may use."""

    #: Longest recording, in seconds of decoded audio.
    max_seconds: float = 24 * 3600.0
    #: Address space of the decoder. Most of it is mapped libraries, not memory.
    memory_bytes: int = 1 << 30
    #: The decoder is killed if it writes nothing for this long.
    stall_seconds: float = 60.0
    #: Generous: even a slow machine decodes some 100 times faster than real time.
    cpu_seconds_per_hour: float = 180.0
    #: Added to it for starting the process and probing the file.
    cpu_seconds: float = 20.0

    @property
    def total_cpu_seconds(self) -> int:
        """Return the processor time (seconds) for the longest recording."""
        return round(self.cpu_seconds + self.max_seconds / 3600 * self.cpu_seconds_per_hour)


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Probe:
    """Properties that a recording declares. Only its first frames were decoded."""

    container: str
    codec: str
    sample_rate: int
    channels: int
    #: Seconds, or None if the header has none. Headers can be wrong: never rely on it.
    declared_duration: float | None
    #: The file has video; a cover picture does not count.
    video: bool
    #: Numbers of the audio tracks that can be decoded, counted from 1; the default one comes first.
    tracks: tuple[int, ...] = (1,)


@dataclass(frozen=True, slots=True)
class DecodeResult:
    """Result of decoding a whole recording."""

    #: Computed from the number of samples.
    seconds: float
    #: For the user, for example that the file breaks off.
    warnings: tuple[TranscriptWarning, ...] = ()


def probe(path: Path, limits: Limits = DEFAULT_LIMITS, *, track: str | None = None) -> Probe:
    """Read a recording's header and decode its first frames. Takes about a quarter of a second.

    *track*: as of `stream`.

    Raises:
        MediaError: the recording evidently cannot be transcribed.
        Unavailable: the decoder cannot be started on this machine.
        DecoderKilled: something outside ended it.
        OSError: there is no such file, or it may not be read.
    """
    with _start_stream(path, limits, look=True, track=track) as pcm_stream:
        for _ in pcm_stream:
            pass
        report = pcm_stream.report("probe")
        return Probe(**{**report, "tracks": tuple(report["tracks"])})


@contextlib.contextmanager
def stream(
    path: Path,
    limits: Limits = DEFAULT_LIMITS,
    *,
    channel: int | None = None,
    split: int = 0,
    track: str | None = None,
) -> Iterator[PcmStream]:
    """Decode a recording. The decoder ends with the block, even if not everything was read.

    Among several audio tracks the first one marked as default is used, else the first. A silent
    track is used only if all are silent. *channel*, counted from 0, selects one channel instead of
    the mix of all. *split*: the first so many channels, with interleaved samples. *track* selects
    another track, by its number, counted from 1, or its language.

    Raises:
        MediaError, Unavailable, DecoderKilled, OSError: as in `probe`, also while it is read.
    """
    with _start_stream(path, limits, channel=channel, split=split, track=track) as pcm_stream:
        yield pcm_stream


class PcmStream:
    """Blocks of PCM (16 kHz, 16-bit little-endian) in the order of the recording.

    *channels*: how many have their samples interleaved.
    """

    def __init__(self, process: subprocess.Popen[bytes], limits: Limits, channels: int = 1) -> None:
        self._process = process
        self._limits = limits
        self._channels = channels
        self._bytes = 0
        self._reports: dict[str, Any] | None = None

    def __iter__(self) -> Iterator[bytes]:
        """Yield blocks of whole samples until the recording ends."""
        rest = b""
        while block := self._read_pipe(self._process.stdout):
            block = rest + block
            whole = len(block) - len(block) % (2 * self._channels)
            block, rest = block[:whole], block[whole:]
            self._count_bytes(len(block))
            yield block
        self._finish()

    @property
    def result(self) -> DecodeResult:
        """Return the result; available after all blocks were read."""
        report = self.report("decoded")
        seconds = self._bytes / (BYTES_PER_SECOND * self._channels)
        return DecodeResult(seconds, tuple(_build_warnings(seconds, report)))

    def report(self, name: str) -> Mapping[str, Any]:
        """Return the child's report called *name*."""
        if self._reports is None:
            raise RuntimeError("the stream was not read to its end")
        report: Mapping[str, Any] = self._reports[name]
        return report

    def _count_bytes(self, size: int) -> None:
        # The child checks this already, but an attacker may control the child.
        self._bytes += size
        if self._bytes > (self._limits.max_seconds + 1) * BYTES_PER_SECOND * self._channels:
            raise _build_error("recording_too_long", self._limits)

    def _read_pipe(self, pipe: IO[bytes] | None) -> bytes:
        assert pipe is not None
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, selectors.EVENT_READ)
            if not selector.select(self._limits.stall_seconds):
                raise _build_error("decoder_stalled", self._limits)
        return os.read(pipe.fileno(), _BLOCK_BYTES)

    def _finish(self) -> None:
        text = b""
        while len(text) < _MAX_REPORT and (data := self._read_pipe(self._process.stderr)):
            text += data
        try:
            status = self._process.wait(self._limits.stall_seconds)
        except subprocess.TimeoutExpired:
            raise _build_error("decoder_stalled", self._limits) from None
        self._reports = _parse_reports(text)
        if "detail" in self._reports:
            _log.error("decoder failed: %s", self._reports["detail"])
        if "error" in self._reports:
            raise _build_error(str(self._reports["error"]), self._limits)
        if "decoded" not in self._reports:
            raise self._build_exit_error(status)

    def _build_exit_error(self, status: int) -> Exception:
        if status == -signal.SIGXCPU:
            return _build_error("decoder_limit", self._limits)
        if -status in _SIGNALS_FROM_OUTSIDE:
            return DecoderKilled("The decoder was killed; perhaps the machine is short of memory.")
        if status < 0:
            return _build_error("decoder_crashed", self._limits)
        # The child did not reach the recording: PyAV is missing, or the limits are too small.
        return Unavailable("The decoder cannot be started on this machine.", retry_in=30.0)


@contextlib.contextmanager
def _start_stream(
    path: Path,
    limits: Limits,
    *,
    look: bool = False,
    channel: int | None = None,
    split: int = 0,
    track: str | None = None,
) -> Iterator[PcmStream]:
    request = {
        "max_seconds": limits.max_seconds,
        "memory_bytes": limits.memory_bytes,
        "cpu_seconds": round(limits.cpu_seconds) if look else limits.total_cpu_seconds,
        "look": look,
        "channel": channel,
        "split": split,
        "track": track,
    }
    with _open_recording(path, limits) as recording:
        process = _start_process(recording, json.dumps(request))
    with process:
        try:
            yield PcmStream(process, limits, max(1, split))
        finally:
            # Has no effect on a process that has ended and was waited for.
            process.kill()


@contextlib.contextmanager
def _open_recording(path: Path, limits: Limits) -> Iterator[IO[bytes]]:
    # A pipe or a device would block or never end; on a pipe even open() would block.
    if not stat.S_ISREG(path.stat().st_mode):
        raise _build_error("media_unreadable", limits)
    with path.open("rb", buffering=0) as file:
        if not os.fstat(file.fileno()).st_size:
            raise _build_error("empty_file", limits)
        yield file


def _start_process(recording: IO[bytes], request: str) -> subprocess.Popen[bytes]:
    inherited = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
    return subprocess.Popen(
        # -I: neither the environment nor the current directory can add code to the child.
        [sys.executable, "-I", "-c", _BOOTSTRAP_CODE, str(_ROOT), request],
        stdin=recording,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"LANG": "C.UTF-8", **_ONE_THREAD, **inherited},
        cwd="/",
        pipesize=1 << 20,
        bufsize=0,
    )


def _parse_reports(text: bytes) -> dict[str, Any]:
    """Merge the lines that are JSON objects; a Python that cannot start writes other lines."""
    reports: dict[str, Any] = {}
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            report = json.loads(line)
            if isinstance(report, dict):
                reports |= report
    return reports


def _build_error(code: str, limits: Limits) -> MediaError:
    code = code if code in _MESSAGES else "media_unreadable"
    return MediaError(
        _MESSAGES[code].format(longest=_format_duration(limits.max_seconds)), code=code
    )


def _build_warnings(seconds: float, report: Mapping[str, Any]) -> Iterator[TranscriptWarning]:
    if sentence := _describe_break(seconds, report):
        yield TranscriptWarning(WarningCode.RECORDING_BREAKS_OFF, sentence)
    if report["tracks"]:
        yield TranscriptWarning(WarningCode.OTHER_TRACKS, _name_tracks(*report["tracks"]))
    for start, end in report["holes"]:
        if end - start >= _MIN_MISSING_SECONDS:
            yield TranscriptWarning(WarningCode.SOUND_MISSING, _MISSING_SOUND_MESSAGE, start, end)
    if report["damaged"] > max(_ORDINARY_DAMAGE, report["pieces"] * _ORDINARY_DAMAGE_SHARE):
        skipped = f"{report['damaged']} damaged parts of the recording were skipped."
        yield TranscriptWarning(WarningCode.RECORDING_DAMAGED, skipped)


def _name_tracks(chosen_track: str, *other_tracks: str) -> str:
    skipped = ", ".join(f"track {other}" for other in other_tracks)
    return (
        f"The recording has {1 + len(other_tracks)} audible audio tracks. "
        f"Track {chosen_track} was transcribed, but not {skipped}."
    )


def _describe_break(seconds: float, report: Mapping[str, Any]) -> str | None:
    declared = report["declared"]
    if declared is not None and declared - seconds > max(_TOLERANCE_SECONDS, 0.02 * declared):
        return (
            f"The recording ends early: its header declares {_format_duration(declared)}, "
            f"but only {_format_duration(seconds)} could be read."
        )
    if report["broken_off"]:
        return f"The recording ends early: only {_format_duration(seconds)} could be read."
    return None


def _format_duration(seconds: float) -> str:
    """Return a duration for users: 5.9 s, 12:30 or 1:02:03."""
    return f"{seconds:.1f} s" if seconds < 60 else format_clock_time(seconds)
