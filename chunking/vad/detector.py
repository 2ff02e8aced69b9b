"""Detect speech with webrtcvad while a recording is decoded.

It separates speech from silence, steady noise, hiss, hum and tones. It cannot separate speech from
music, applause or clatter, which webrtcvad also marks as speech. So it serves to cut and to save
work, and prefers a false alarm to a missed word.
"""

from __future__ import annotations

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from chunking.vad.speech import (
    DEFAULT_SETTINGS,
    FRAME_SECONDS,
    Flags,
    Levels,
    VadSettings,
    find_context_start,
    find_settled_speech,
    find_speech,
)
from transcripts.types import Interval

_RATE = 16_000
_FRAME_SAMPLES = round(FRAME_SECONDS * _RATE)
_FRAME_BYTES = 2 * _FRAME_SAMPLES
#: A recording whose loud frames stay below the first level (dBFS) is analysed again with gain,
#: since webrtcvad has a fixed floor. The gain raises them to the second level. Below the third
#: level there is only converter noise.
_QUIET_DB, _LIFTED_DB, _NOTHING_DB = -45.0, -25.0, -85.0
#: A frame is loud if at most this percentage of all frames is louder.
_LOUD_PERCENT = 1
#: Levels are stored in steps of half a decibel, one byte per frame.
_STEPS_PER_DB = 2
_FLOOR_DB = -127.5


class Detector:
    """Detects speech in a stream of 16 kHz mono 16-bit PCM; keeps two bytes per frame of 30 ms.

    *gain* (dB) is applied before anything else; see `measure_quiet_gain`.
    """

    def __init__(self, settings: VadSettings = DEFAULT_SETTINGS, *, gain: float = 0.0) -> None:
        self._settings = settings
        self._factor = 10 ** (gain / 20)
        self._vad = webrtcvad.Vad(settings.aggressiveness)
        self._rest = b""
        self._samples = 0
        self._voiced = bytearray()
        self._levels = bytearray()
        self._loud_frames = 0

    def feed(self, pcm: bytes) -> None:
        """Process the next piece, of any number of whole samples."""
        self._samples += len(pcm) // 2
        pcm = self._rest + pcm
        size = len(pcm) - len(pcm) % _FRAME_BYTES
        self._rest = pcm[size:]
        self._process_frames(pcm[:size])

    def finish(self) -> list[Interval]:
        """Return the intervals of speech in order and separate from each other, in seconds."""
        # The rest is shorter than a frame: no word begins there.
        voiced, levels = self._read_decisions()
        seconds = self._samples / _RATE
        return [
            Interval(interval.start, min(interval.end, seconds))
            for interval in find_speech(voiced, levels, self._settings)
            if interval.start < seconds
        ]

    def find_settled_speech(self, since: int = 0) -> tuple[list[Interval], int]:
        """Return the final intervals of speech from frame *since* on, and the frame to continue at.

        No further audio can change these intervals. All results together are the first intervals
        that `finish` returns.
        """
        first = find_context_start(since, self._settings)
        voiced, levels = self._read_decisions(first)
        return find_settled_speech(voiced, levels, self._settings, first=first, since=since)

    def measure_quiet_gain(self) -> float:
        """Return the gain (dB) that a second analysis of this recording needs, usually 0.

        webrtcvad does not detect a voice recorded at -50 dBFS at all. Only at its end is it known
        whether a recording is quiet as a whole. A gain that follows the level would turn the hiss
        of every long pause into speech.
        """
        if not self._levels:
            return 0.0
        loud = float(np.percentile(self._read_decisions()[1], 100 - _LOUD_PERCENT))
        return _LIFTED_DB - loud if _NOTHING_DB < loud < _QUIET_DB else 0.0

    def is_loud(self, max_seconds: float) -> bool:
        """Return whether the recording can no longer be quiet, even if it lasts *max_seconds*.

        `measure_quiet_gain` will then return 0.
        """
        frames = max_seconds / FRAME_SECONDS
        return self._loud_frames >= frames * _LOUD_PERCENT / 100 + 2

    def measure_loudness(self) -> NDArray[np.uint8]:
        """Return the amplitude (RMS) of each frame, from 0 to 100 (full scale)."""
        share = 10 ** (np.arange(256, dtype=np.float32) / (-20 * _STEPS_PER_DB))
        by_step = np.rint(100 * share).astype(np.uint8)
        return by_step[np.frombuffer(bytes(self._levels), np.uint8)]

    def _read_decisions(self, first: int = 0) -> tuple[Flags, Levels]:
        """Return the decision and the level (dBFS) of each frame, from frame *first* on."""
        voiced = np.frombuffer(bytes(self._voiced[first:]), np.bool_)
        steps = np.frombuffer(bytes(self._levels[first:]), np.uint8).astype(np.float32)
        return voiced, steps * np.float32(-1 / _STEPS_PER_DB)

    def _process_frames(self, frames: bytes) -> None:
        if self._factor != 1.0:
            frames = _amplify(frames, self._factor)
        is_speech = self._vad.is_speech
        self._voiced += bytes(
            is_speech(frames[start : start + _FRAME_BYTES], _RATE)
            for start in range(0, len(frames), _FRAME_BYTES)
        )
        steps = _encode_levels(frames)
        self._loud_frames += int(np.count_nonzero(steps <= -_QUIET_DB * _STEPS_PER_DB))
        self._levels += steps.tobytes()


def _amplify(pcm: bytes, factor: float) -> bytes:
    samples = np.frombuffer(pcm, "<i2") * np.float32(factor)
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()


def _encode_levels(frames: bytes) -> NDArray[np.uint8]:
    samples = np.frombuffer(frames, "<i2").reshape(-1, _FRAME_SAMPLES).astype(np.float32)
    # A constant offset is not audio.
    power = samples.var(axis=1) / np.float32(32768.0**2)
    decibels = 10 * np.log10(np.maximum(power, 1e-13))
    steps = np.rint(-np.maximum(decibels, _FLOOR_DB) * _STEPS_PER_DB)
    levels: NDArray[np.uint8] = np.clip(steps, 0, 255).astype(np.uint8)
    return levels
