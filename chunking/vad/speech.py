"""Find speech from one decision and one level per frame: energy gate, and test for steady sound.

All decisions are local: whether there is speech at a moment depends only on the seconds around it.
So the result for the beginning of a recording does not change when more audio arrives.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.config import cutting_defaults
from transcripts.types import Interval

#: One decision a frame.
Flags = NDArray[np.bool_]
#: In dBFS, one a frame.
Levels = NDArray[np.float32]

#: First frame of an interval and the frame after its last one.
Run = tuple[int, int]

#: Number of windows whose deviation is computed at a time.
_WINDOWS_PER_BATCH = 1 << 16
#: Seconds of a frame; webrtcvad takes 10, 20 or 30 ms, and 30 ms is the fastest.
FRAME_SECONDS = 0.03


@dataclass(frozen=True, slots=True)
class VadSettings:
    """Thresholds that separate speech from other audio."""

    #: 0..3: how aggressively webrtcvad classifies audio as noise.
    aggressiveness: int = cutting_defaults.VAD_AGGRESSIVENESS
    #: Below this level (dBFS, RMS of a frame) there is no speech, except in quiet recordings.
    silence_threshold: float = cutting_defaults.SILENCE_THRESHOLD_DBFS
    #: In a quiet recording the gate lies this far (dB) below its loud moments.
    quiet_range: float = 30.0
    #: Seconds over which "loud" is measured, so that a loud jingle does not hide a soft voice.
    loudness_window: float = 15.0
    #: An interval that begins above the gate continues until it falls this far (dB) below it.
    hysteresis: float = 6.0
    #: Shorter gaps (seconds) are part of speech: closures of consonants, breaths within a word.
    min_pause: float = 0.15
    #: Shorter sounds (seconds) are clicks.
    min_speech: float = 0.06
    #: Seconds added on both sides, for soft beginnings and ends. Never closes a pause.
    padding: float = 0.15
    #: Audio whose level varies less than this (dB, standard deviation) is not speech ...
    steady_deviation: float = 0.7
    #: ... if this lasts this long (seconds). A held vowel does not last that long.
    steady_window: float = 2.0


DEFAULT_SETTINGS = VadSettings()


def find_speech(voiced: Flags, levels: Levels, settings: VadSettings) -> list[Interval]:
    """Return the intervals of speech (seconds) from one decision and one level (dBFS) per frame."""
    if not len(voiced):
        return []
    candidates = voiced & ~_mark_steady(levels, settings)
    runs = _find_speech_runs(candidates, levels, settings)
    return list(_pad_runs(_drop_short_runs(runs, settings), len(voiced), settings.padding))


def find_context_start(frame: int, settings: VadSettings) -> int:
    """Return the first frame that `find_settled_speech` needs to continue at *frame*."""
    size = _count_gate_frames(settings)
    return max(0, frame // size - 1) * size


def find_settled_speech(
    voiced: Flags, levels: Levels, settings: VadSettings, *, first: int, since: int
) -> tuple[list[Interval], int]:
    """Return the speech from frame *since* on that later audio cannot change.

    The second value is the frame up to which the result is complete, from which the next call
    continues (0 at first). *voiced* and *levels* begin at frame *first* of the recording; see
    `find_context_start`.
    """
    settled_frames = len(voiced) - _count_steady_frames(settings)
    settled_frames -= settled_frames % _count_gate_frames(settings)
    if first + settled_frames <= since:
        return [], since
    candidates = (voiced & ~_mark_steady(levels, settings))[:settled_frames]
    runs = [
        (first + start, first + end)
        for start, end in _find_speech_runs(candidates, levels[:settled_frames], settings)
        if first + start >= since
    ]
    known_end = first + _find_last_pause_end(candidates)
    until = _find_last_long_pause(runs, since, known_end, _count_pause_frames(settings))
    final = _drop_short_runs([run for run in runs if run[1] <= until], settings)
    return list(_pad_runs(final, known_end, settings.padding)), until


def _find_last_long_pause(runs: list[Run], since: int, known_end: int, shortest: int) -> int:
    """Return a frame in the last pause of at least *shortest* frames, or *since*."""
    ends = [since, *(end for _, end in runs)]
    begins = [*(start for start, _ in runs), known_end]
    pauses = ((end, min(begin, known_end)) for end, begin in zip(ends, begins, strict=True))
    return max(
        (begin - shortest // 2 for end, begin in pauses if begin - end >= shortest), default=since
    )


def _count_pause_frames(settings: VadSettings) -> int:
    """Return the length of a pause across which runs are neither joined nor affected by padding."""
    return 2 + math.ceil(max(settings.min_pause, 3 * settings.padding) / FRAME_SECONDS)


def _find_last_pause_end(voiced: Flags) -> int:
    """Return the start of the interval that lasts to the end, and perhaps beyond."""
    silent = np.flatnonzero(~voiced)
    return int(silent[-1]) + 1 if len(silent) else 0


def _find_speech_runs(candidates: Flags, levels: Levels, settings: VadSettings) -> list[Run]:
    runs = find_runs(_apply_gate(candidates, levels, settings))
    return _join_runs(runs, round(settings.min_pause / FRAME_SECONDS))


def _drop_short_runs(runs: list[Run], settings: VadSettings) -> list[Run]:
    return [run for run in runs if (run[1] - run[0]) * FRAME_SECONDS >= settings.min_speech]


def _apply_gate(voiced: Flags, levels: Levels, settings: VadSettings) -> Flags:
    """Keep the intervals that rise above the gate somewhere, as long as they stay near it."""
    gate = _compute_gate(voiced, levels, settings)
    near = voiced & (levels > gate - settings.hysteresis)
    above = near & (levels > gate)
    gated = np.zeros(len(near), np.bool_)
    for start, end in find_runs(near):
        gated[start:end] = above[start:end].any()
    return gated


def _compute_gate(voiced: Flags, levels: Levels, settings: VadSettings) -> Levels:
    """Return for each frame the level (dBFS) that speech must reach."""
    size = _count_gate_frames(settings)
    gate = np.full(len(levels), settings.silence_threshold, np.float32)
    for start in range(0, len(levels), size):
        part = slice(start, start + size)
        loud = levels[part][voiced[part]]
        if len(loud):
            quiet_gate = float(np.percentile(loud, 95)) - settings.quiet_range
            gate[part] = min(settings.silence_threshold, quiet_gate)
    return gate


def _count_gate_frames(settings: VadSettings) -> int:
    return max(1, round(settings.loudness_window / FRAME_SECONDS))


def _mark_steady(levels: Levels, settings: VadSettings) -> Flags:
    """Mark frames that lie in a window in which the level hardly varies.

    Speech rises and falls with every syllable (about 4 Hz, 6 dB and more). The sum of many
    independent sources does not: over frames of 30 ms white noise deviates by 0.3 dB.
    """
    size = min(_count_steady_frames(settings), len(levels))
    if size < round(0.5 * settings.steady_window / FRAME_SECONDS):
        return np.zeros(len(levels), np.bool_)
    moves = _mark_moving(levels, size, settings.steady_deviation)
    # A frame is steady if any window around it is: the windows' starts reach `size` back.
    steady_until = np.zeros(len(levels) + 1, np.int32)
    starts = np.flatnonzero(~moves)
    np.add.at(steady_until, starts, 1)
    np.add.at(steady_until, starts + size, -1)
    return np.cumsum(steady_until[:-1], dtype=np.int32) > 0


def _count_steady_frames(settings: VadSettings) -> int:
    return round(settings.steady_window / FRAME_SECONDS)


def _mark_moving(levels: Levels, size: int, minimum: float) -> Flags:
    """Return for every window of *size* frames whether its level deviates by *minimum* dB.

    Works in batches, since the sums take twenty times the memory of the levels.
    """
    moves = np.empty(len(levels) - size + 1, np.bool_)
    for start in range(0, len(moves), _WINDOWS_PER_BATCH):
        batch = slice(start, start + _WINDOWS_PER_BATCH)
        moves[batch] = _compute_deviation(levels[start : batch.stop + size - 1], size) >= minimum
    return moves


def _compute_deviation(levels: Levels, size: int) -> NDArray[np.float64]:
    """Return the standard deviation of every window of *size* frames.

    The result is exact and does not depend on other windows: levels are multiples of half a
    decibel, so neither the sums nor their differences are rounded.
    """
    values = levels.astype(np.float64)
    sums = np.concatenate(([0.0], np.cumsum(values)))
    squares = np.concatenate(([0.0], np.cumsum(values**2)))
    mean = (sums[size:] - sums[:-size]) / size
    mean_square = (squares[size:] - squares[:-size]) / size
    return np.sqrt(np.maximum(mean_square - mean**2, 0.0))


def find_runs(flags: Flags) -> list[Run]:
    """Return (start, end) of every run of True; the end is exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def _join_runs(runs: list[Run], shortest_gap: int) -> list[Run]:
    joined: list[Run] = []
    for start, end in runs:
        if joined and start - joined[-1][1] < shortest_gap:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def _pad_runs(runs: list[Run], frames: int, padding: float) -> Iterator[Interval]:
    """Yield each run with padding; at least a third of every pause remains."""
    for index, (start, end) in enumerate(runs):
        before = start - (runs[index - 1][1] if index else 0)
        after = (runs[index + 1][0] if index + 1 < len(runs) else frames) - end
        # Next to the ends of the recording there is no other run to keep a distance from.
        left = min(padding, before * FRAME_SECONDS / (3 if index else 1))
        right = min(padding, after * FRAME_SECONDS / (3 if index + 1 < len(runs) else 1))
        yield Interval(
            round(start * FRAME_SECONDS - left, 3), round(end * FRAME_SECONDS + right, 3)
        )
