"""Where is speech: webrtcvad, an energy gate, and a test for sound that never changes.

What it can tell: speech from silence and from steady noise, hiss, hum and tones. What it cannot
tell: speech from music, applause or clatter, for webrtcvad calls them speech as well. So it is a
means to cut and to save work, and prefers a false alarm to a missed word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from transcripts.types import Span

Flags = NDArray[np.bool_]
Levels = NDArray[np.float32]

_RATE = 16_000
#: Seconds a decision; webrtcvad takes 10, 20 or 30 ms, and 30 ms is the fastest.
FRAME = 0.03
_FRAME_SAMPLES = round(FRAME * _RATE)
_FRAME_BYTES = 2 * _FRAME_SAMPLES
#: A recording whose loud moments stay below this (dBFS) is heard again with gain: webrtcvad has a
#: floor of its own. The gain lifts them to the second level; below the third there is only noise
#: of converters.
_QUIET_DB, _LIFTED_DB, _NOTHING_DB = -45.0, -25.0, -85.0
#: Levels are kept in steps of half a decibel, in one byte a frame.
_STEPS_PER_DB = 2
_FLOOR_DB = -127.5


@dataclass(frozen=True, slots=True)
class VadSettings:
    """How speech is told from the rest."""

    #: 0..3: how much webrtcvad takes for noise.
    aggressiveness: int = 2
    #: Below this level (dBFS, RMS of a frame) there is no speech, except in quiet recordings.
    silence_threshold: float = -40.0
    #: In a quiet recording the gate lies this far (dB) below its loud moments.
    quiet_range: float = 30.0
    #: Seconds over which "loud" is judged, so that a loud jingle does not hide a soft voice.
    loudness_window: float = 15.0
    #: A stretch that begins above the gate goes on until it falls this far (dB) below it.
    hysteresis: float = 6.0
    #: Shorter gaps (seconds) are part of speech: closures of consonants, breaths within a word.
    min_pause: float = 0.15
    #: Shorter sounds (seconds) are clicks.
    min_speech: float = 0.06
    #: Seconds added on both sides, for soft beginnings and ends. Never closes a pause.
    padding: float = 0.15
    #: Sound whose level moves less than this (dB, standard deviation) is not speech ...
    steady_deviation: float = 0.7
    #: ... when it does so for this long (seconds). A held vowel does not.
    steady_window: float = 2.0


DEFAULT_SETTINGS = VadSettings()


class Detector:
    """Finds speech in a stream of 16 kHz mono 16-bit PCM; keeps two bytes a frame of 30 ms.

    *gain* (dB) is applied before anything else; see `quiet_gain`.
    """

    def __init__(self, settings: VadSettings = DEFAULT_SETTINGS, *, gain: float = 0.0) -> None:
        self._settings = settings
        self._factor = 10 ** (gain / 20)
        self._vad = webrtcvad.Vad(settings.aggressiveness)
        self._rest = b""
        self._samples = 0
        self._voiced = bytearray()
        self._levels = bytearray()

    def feed(self, pcm: bytes) -> None:
        """Take the next piece, of any number of whole samples."""
        self._samples += len(pcm) // 2
        pcm = self._rest + pcm
        whole = len(pcm) - len(pcm) % _FRAME_BYTES
        self._rest = pcm[whole:]
        self._take(pcm[:whole])

    def finish(self) -> list[Span]:
        """Return the stretches of speech in order, apart from each other, in seconds."""
        # What is left over is shorter than a frame: no word begins there.
        voiced = np.frombuffer(bytes(self._voiced), np.bool_)
        seconds = self._samples / _RATE
        return [
            Span(span.start, min(span.end, seconds))
            for span in find_speech(voiced, self._heard_levels(), self._settings)
            if span.start < seconds
        ]

    def quiet_gain(self) -> float:
        """Return the gain (dB) that a second look at this recording needs, mostly 0.

        A voice recorded at -50 dBFS is not heard by webrtcvad at all. Whether a recording is
        quiet as a whole is known only at its end; a gain that follows the sound would make
        speech of the hiss in every long pause.
        """
        if not self._levels:
            return 0.0
        loud = float(np.percentile(self._heard_levels(), 99))
        return _LIFTED_DB - loud if _NOTHING_DB < loud < _QUIET_DB else 0.0

    def loudness(self) -> NDArray[np.uint8]:
        """Return the amplitude (RMS) of each frame, from 0 to 100 (full scale)."""
        share = 10 ** (np.arange(256, dtype=np.float32) / (-20 * _STEPS_PER_DB))
        by_step = np.rint(100 * share).astype(np.uint8)
        return by_step[np.frombuffer(bytes(self._levels), np.uint8)]

    def _heard_levels(self) -> Levels:
        steps = np.frombuffer(bytes(self._levels), np.uint8).astype(np.float32)
        return steps * np.float32(-1 / _STEPS_PER_DB)

    def _take(self, frames: bytes) -> None:
        if self._factor != 1.0:
            frames = _amplified(frames, self._factor)
        is_speech = self._vad.is_speech
        self._voiced += bytes(
            is_speech(frames[start : start + _FRAME_BYTES], _RATE)
            for start in range(0, len(frames), _FRAME_BYTES)
        )
        self._levels += _encode_levels(frames)


def _amplified(pcm: bytes, factor: float) -> bytes:
    samples = np.frombuffer(pcm, "<i2") * np.float32(factor)
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def _encode_levels(frames: bytes) -> bytes:
    samples = np.frombuffer(frames, "<i2").reshape(-1, _FRAME_SAMPLES).astype(np.float32)
    # A constant offset is no sound.
    power = samples.var(axis=1) / np.float32(32768.0**2)
    decibels = 10 * np.log10(np.maximum(power, 1e-13))
    steps = np.rint(-np.maximum(decibels, _FLOOR_DB) * _STEPS_PER_DB)
    return np.clip(steps, 0, 255).astype(np.uint8).tobytes()


def find_speech(voiced: Flags, levels: Levels, settings: VadSettings) -> list[Span]:
    """Turn one decision and one level (dBFS) a frame into stretches of speech, in seconds."""
    if not len(voiced):
        return []
    candidates = voiced & ~_is_steady(levels, settings)
    speech = _gated(candidates, levels, settings)
    runs = _runs(speech)
    runs = _join(runs, round(settings.min_pause / FRAME))
    runs = [run for run in runs if (run[1] - run[0]) * FRAME >= settings.min_speech]
    return list(_padded(runs, len(voiced), settings.padding))


def _gated(voiced: Flags, levels: Levels, settings: VadSettings) -> Flags:
    """Keep the stretches that rise above the gate somewhere, as far as they stay near it."""
    gate = _gate(voiced, levels, settings)
    near = voiced & (levels > gate - settings.hysteresis)
    above = near & (levels > gate)
    kept = np.zeros(len(near), np.bool_)
    for start, end in _runs(near):
        kept[start:end] = above[start:end].any()
    return kept


def _gate(voiced: Flags, levels: Levels, settings: VadSettings) -> Levels:
    """Return the level, a frame, that speech must reach."""
    size = max(1, round(settings.loudness_window / FRAME))
    gate = np.full(len(levels), settings.silence_threshold, np.float32)
    for start in range(0, len(levels), size):
        part = slice(start, start + size)
        loud = levels[part][voiced[part]]
        if len(loud):
            quiet_gate = float(np.percentile(loud, 95)) - settings.quiet_range
            gate[part] = min(settings.silence_threshold, quiet_gate)
    return gate


def _is_steady(levels: Levels, settings: VadSettings) -> Flags:
    """Mark frames that lie in a window in which the level hardly moves.

    Speech rises and falls with every syllable (about 4 Hz, 6 dB and more), the sum of many
    independent sources does not: over frames of 30 ms white noise deviates by 0.3 dB.
    """
    size = min(round(settings.steady_window / FRAME), len(levels))
    if size < round(0.5 * settings.steady_window / FRAME):
        return np.zeros(len(levels), np.bool_)
    moves = _sliding_deviation(levels, size) >= settings.steady_deviation
    # A frame is steady when any window around it is: the windows' starts reach `size` back.
    steady_until = np.zeros(len(levels) + 1, np.int32)
    starts = np.flatnonzero(~moves)
    np.add.at(steady_until, starts, 1)
    np.add.at(steady_until, starts + size, -1)
    return np.cumsum(steady_until[:-1]) > 0


def _sliding_deviation(levels: Levels, size: int) -> NDArray[np.float64]:
    """Return the standard deviation of every window of *size* frames."""
    values = levels.astype(np.float64) - levels.mean()
    sums = np.concatenate(([0.0], np.cumsum(values)))
    squares = np.concatenate(([0.0], np.cumsum(values**2)))
    mean = (sums[size:] - sums[:-size]) / size
    mean_square = (squares[size:] - squares[:-size]) / size
    return np.sqrt(np.maximum(mean_square - mean**2, 0.0))


def _runs(flags: Flags) -> list[tuple[int, int]]:
    """Return (start, end) of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _join(runs: list[tuple[int, int]], shortest_gap: int) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < shortest_gap:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _padded(runs: list[tuple[int, int]], frames: int, padding: float) -> Iterator[Span]:
    """Widen each run, but leave a third of every pause."""
    for index, (start, end) in enumerate(runs):
        before = start - (runs[index - 1][1] if index else 0)
        after = (runs[index + 1][0] if index + 1 < len(runs) else frames) - end
        # Beside the ends of the recording there is nobody to keep apart from.
        left = min(padding, before * FRAME / (3 if index else 1))
        right = min(padding, after * FRAME / (3 if index + 1 < len(runs) else 1))
        yield Span(round(start * FRAME - left, 3), round(end * FRAME + right, 3))
