"""Cut a chunk into windows of half a minute, the input length of Whisper.

Voice activity detection already selected the chunk, so there is no second decision here. The
windows cover all of it, except where it is practically silent, and meet where it is quietest.

A window costs the same time at any length, so there should be few, and none should end inside a
word. Both have a price, and the cheapest path through the chunk is chosen (dynamic programming, as
Knuth and Plass break paragraphs into lines).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.arrays import Samples
from engines.wav import RATE
from transcripts.types import Interval

Levels = NDArray[np.float64]
Frames = NDArray[np.intp]

#: Maximum seconds of a window; Whisper would ignore the rest.
MAX_SECONDS = 30.0
#: Seconds over which the level of a possible cut is measured.
PAUSE_SECONDS = 0.3
#: Most seconds of a window before its first audible frame and after its last.
LEAD_SECONDS, TAIL_SECONDS = 0.2, 0.5
#: Level below which nothing is audible (dBFS): the last bit of 16.
SILENCE_DBFS = -90.0
#: Price of a cut into the loudest speech; a window costs 1.
SPEECH_PRICE = 2.0
#: Price of a window's length, by its square: among equal paths the most even one is chosen.
EVEN_PRICE = 0.02

#: Seconds of audible frames for which the rest of a window becomes another window.
MIN_REST_SECONDS = 1.0

_FRAMES_PER_SECOND = 50
_FRAME_SAMPLES = RATE // _FRAMES_PER_SECOND
#: Cuts are possible at every fifth frame, a tenth of a second.
_GRID_FRAMES = 5


@dataclass(frozen=True, slots=True)
class WhisperWindow(Interval):
    """An interval of the chunk that is transcribed at once."""

    #: Seconds above the room noise.
    loud_seconds: float = 0.0


def cut_windows(samples: Samples) -> tuple[WhisperWindow, ...]:
    """Return the windows of a chunk, in order; none if it is silent."""
    levels = _measure_levels(samples)
    if not len(levels):
        return ()
    loud = levels > _noise_threshold(levels)
    seconds = len(samples) / RATE
    intervals = _find_cheapest_windows(levels, loud) if loud.any() else ()
    return tuple(_build_window(loud, start, end, seconds) for start, end in intervals)


def split_window(
    samples: Samples, window: WhisperWindow, until: float
) -> tuple[WhisperWindow, WhisperWindow] | None:
    """Split a window at a time; None if the first part or the audible rest is too short.

    *samples*: the whole chunk, for the noise threshold. *until*: seconds.
    """
    levels = _measure_levels(samples)
    loud = levels > _noise_threshold(levels)
    start, boundary, end = (
        round(t * _FRAMES_PER_SECOND) for t in (window.start, until, window.end)
    )
    [rest] = np.nonzero(loud[boundary:end])
    if boundary - start < _FRAMES_PER_SECOND or len(rest) < MIN_REST_SECONDS * _FRAMES_PER_SECOND:
        return None
    first = boundary + max(0, int(rest[0]) - int(LEAD_SECONDS * _FRAMES_PER_SECOND))
    return _build_window(loud, start, boundary, until), _build_window(loud, first, end, window.end)


def slice_window(samples: Samples, window: Interval) -> Samples:
    """Return the samples of a window."""
    return samples[round(window.start * RATE) : round(window.end * RATE)]


def _measure_levels(samples: Samples) -> Levels:
    """Return the level of each frame in dBFS; an incomplete last frame counts."""
    frames = math.ceil(len(samples) / _FRAME_SAMPLES)
    padded = np.zeros(frames * _FRAME_SAMPLES)
    padded[: len(samples)] = samples
    power = np.mean(padded.reshape(frames, _FRAME_SAMPLES) ** 2, axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def _noise_threshold(levels: Levels) -> float:
    """Return the level (dBFS) below which a frame is noise, from the quietest and the loudest."""
    quietest, loudest = float(np.percentile(levels, 5)), float(levels.max())
    return max(SILENCE_DBFS, min(quietest + 6, loudest - 45))


def _find_cheapest_windows(levels: Levels, loud: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield first and end frame of windows that contain all loud frames, each short enough."""
    positions = np.append(np.arange(0, len(levels), _GRID_FRAMES), len(levels))
    first, last = _find_edges(loud, positions)
    prices = _compute_cut_prices(levels, positions)
    longest = int(MAX_SECONDS * _FRAMES_PER_SECOND) - 1  # in seconds, rounding could exceed 30.0
    best, origin = np.zeros(len(positions)), np.zeros(len(positions), int)
    for index in range(1, len(positions)):
        lengths = last[index] - first[:index]
        costs = best[:index] + np.where(lengths > 0, 1 + EVEN_PRICE * (lengths / longest) ** 2, 0)
        costs[lengths > longest] = np.inf
        origin[index] = int(costs.argmin())
        best[index] = costs[origin[index]] + prices[index]
    return _trace_back(positions, origin, first, last)


def _find_edges(loud: NDArray[np.bool_], positions: Frames) -> tuple[Frames, Frames]:
    """Return for each position the earliest start and the latest end of a window there.

    That is shortly before the next loud frame, and shortly after the previous one.
    """
    frames = np.arange(len(loud))
    next_loud = np.minimum.accumulate(np.where(loud, frames, len(loud) * 2)[::-1])[::-1]
    previous_loud = np.maximum.accumulate(np.where(loud, frames, -len(loud)))
    lead, tail = int(LEAD_SECONDS * _FRAMES_PER_SECOND), int(TAIL_SECONDS * _FRAMES_PER_SECOND)
    first = np.append(next_loud, len(loud) * 2)[positions]
    last = np.append(-len(loud), previous_loud)[positions]
    return np.maximum(positions, first - lead), np.minimum(positions, last + 1 + tail)


def _compute_cut_prices(levels: Levels, positions: Frames) -> Levels:
    """Return the price of each cut: 0 in the quietest pauses, highest in the loudest speech."""
    width = int(PAUSE_SECONDS * _FRAMES_PER_SECOND)
    power = np.convolve(10 ** (levels / 10), np.ones(width) / width, mode="same")
    smooth = 10 * np.log10(np.append(power, power[-1])[positions] + 1e-12)
    quiet, speech = np.percentile(smooth, 2), np.percentile(smooth, 75)
    share = np.clip((smooth - quiet) / max(1.0, speech - quiet), 0, 1)
    prices = SPEECH_PRICE * share**2
    prices[-1] = 0  # the end of the chunk is fixed
    return np.asarray(prices)


def _trace_back(
    positions: Frames, origin: Frames, first: Frames, last: Frames
) -> Iterator[tuple[int, int]]:
    """Yield the intervals of the cheapest path that contain loud frames, in order."""
    steps, index = [], len(positions) - 1
    while index > 0:
        steps.append((int(origin[index]), index))
        index = int(origin[index])
    for start, end in reversed(steps):
        if last[end] > first[start]:
            yield int(first[start]), int(last[end])


def _build_window(loud: NDArray[np.bool_], start: int, end: int, seconds: float) -> WhisperWindow:
    return WhisperWindow(
        start / _FRAMES_PER_SECOND,
        min(seconds, end / _FRAMES_PER_SECOND),
        np.count_nonzero(loud[start:end]) / _FRAMES_PER_SECOND,
    )
