"""Cuts a chunk into windows of half a minute: that is how much Whisper hears at once.

The chunk was cut out of the recording by voice activity. Nothing is judged a second time here: the
windows cover all of it, except where it is as good as silent, and meet where it is quietest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.sound import Sound
from engines.wav import RATE
from transcripts.types import Span

Levels = NDArray[np.float64]

#: Seconds that no window exceeds; Whisper would not hear the rest.
LONGEST = 30.0
#: Seconds by which a window may differ from an even share, to end in a pause.
REACH = 5.0
#: Seconds over which a place is quiet or not.
PAUSE = 0.5
#: Seconds before the first sound that a window begins with.
LEAD = 0.2
#: dBFS under which there is nothing to hear.
SILENCE = -70.0

_FRAMES_PER_SECOND = 50
_FRAME = RATE // _FRAMES_PER_SECOND


@dataclass(frozen=True, slots=True)
class Window(Span):
    """A stretch of the chunk that is heard at once."""

    #: Seconds of it in which there is more than the noise of the room.
    loud: float = 0.0


def cut(sound: Sound) -> tuple[Window, ...]:
    """The windows of a chunk, in order; none where it is silent."""
    levels = _levels(sound)
    seconds = len(sound) / RATE
    found = (_window(levels, start, end, seconds) for start, end in _stretches(levels))
    return tuple(window for window in found if window is not None)


def samples(sound: Sound, window: Span) -> Sound:
    """The sound of a window."""
    return sound[round(window.start * RATE) : round(window.end * RATE)]


def _levels(sound: Sound) -> Levels:
    """How loud each frame is, in dBFS; what is left at the end counts as a frame."""
    frames = math.ceil(len(sound) / _FRAME)
    whole = np.zeros(frames * _FRAME)
    whole[: len(sound)] = sound
    power = np.mean(whole.reshape(frames, _FRAME) ** 2, axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def _stretches(levels: Levels) -> Iterator[tuple[int, int]]:
    """Frames from and to, none longer than a window may be and none a sliver."""
    start, longest = 0, int(LONGEST * _FRAMES_PER_SECOND)
    while len(levels) - start > longest:
        remaining = len(levels) - start
        share = remaining / math.ceil(remaining / longest)
        reach = REACH * _FRAMES_PER_SECOND
        first, last = start + int(share - reach), start + min(longest, int(share + reach))
        end = first + _quietest(levels[first:last])
        yield start, end
        start = end
    if start < len(levels):
        yield start, len(levels)


def _quietest(levels: Levels) -> int:
    """The middle of the quietest pause."""
    width = int(PAUSE * _FRAMES_PER_SECOND)
    power = np.convolve(10 ** (levels / 10), np.ones(width), mode="valid")
    return int(power.argmin()) + width // 2


def _window(levels: Levels, start: int, end: int, seconds: float) -> Window | None:
    """The stretch from shortly before its first sound on; None when it has none."""
    inside = levels[start:end]
    loud = np.flatnonzero(inside > _room(inside))
    if not len(loud):
        return None
    begin = max(start / _FRAMES_PER_SECOND, (start + int(loud[0])) / _FRAMES_PER_SECOND - LEAD)
    return Window(
        round(begin, 3), min(seconds, end / _FRAMES_PER_SECOND), len(loud) / _FRAMES_PER_SECOND
    )


def _room(levels: Levels) -> float:
    """dBFS up to which a frame is noise: little above the quietest, far below the loudest."""
    quietest, loudest = float(np.percentile(levels, 5)), float(levels.max())
    return max(SILENCE, min(quietest + 6, loudest - 45))
