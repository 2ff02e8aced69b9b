"""Cuts a chunk into windows of half a minute: that is how much Whisper hears at once.

The chunk was cut out of the recording by voice activity. Nothing is judged a second time here: the
windows cover all of it, except where it is as good as silent, and meet where it is quietest.

A window costs the same whatever its length, so as few as possible are wanted, and none should
end inside a word. Both have a price, and the cheapest way through the chunk is taken (dynamic
programming, as Knuth and Plass break paragraphs into lines).
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
Frames = NDArray[np.intp]

#: Seconds that no window exceeds; Whisper would not hear the rest.
LONGEST = 30.0
#: Seconds over which a place is quiet or not.
PAUSE = 0.3
#: Seconds before its first sound and after its last that a window has at most.
LEAD, TAIL = 0.2, 0.5
#: dBFS under which there is nothing to hear: the last bit of 16.
SILENCE = -90.0
#: Price of a cut into the loudest speech, where a window costs 1.
SPEECH_PRICE = 2.0
#: Price of a window's length, by its square: of ways that cost the same the most even one is taken.
EVEN_PRICE = 0.02

#: Seconds of sound that make what is left of a window worth another one.
LEAST_REST = 1.0

_FRAMES_PER_SECOND = 50
_FRAME = RATE // _FRAMES_PER_SECOND
#: Cuts are looked for at every fifth frame, a tenth of a second.
_GRID = 5


@dataclass(frozen=True, slots=True)
class Window(Span):
    """A stretch of the chunk that is heard at once."""

    #: Seconds of it in which there is more than the noise of the room.
    loud: float = 0.0


def cut(sound: Sound) -> tuple[Window, ...]:
    """The windows of a chunk, in order; none where it is silent."""
    levels = _levels(sound)
    if not len(levels):
        return ()
    loud = levels > _room(levels)
    seconds = len(sound) / RATE
    stretches = _cheapest_way(levels, loud) if loud.any() else ()
    return tuple(_window(loud, start, end, seconds) for start, end in stretches)


def split(sound: Sound, window: Window, until: float) -> tuple[Window, Window] | None:
    """The window up to a time, and what is left of it: None if little is, or little is loud there.

    *sound*: all of the chunk, which says what is loud.
    """
    levels = _levels(sound)
    loud = levels > _room(levels)
    start, at, end = (round(t * _FRAMES_PER_SECOND) for t in (window.start, until, window.end))
    [rest] = np.nonzero(loud[at:end])
    if at - start < _FRAMES_PER_SECOND or len(rest) < LEAST_REST * _FRAMES_PER_SECOND:
        return None
    first = at + max(0, int(rest[0]) - int(LEAD * _FRAMES_PER_SECOND))
    return _window(loud, start, at, until), _window(loud, first, end, window.end)


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


def _room(levels: Levels) -> float:
    """dBFS up to which a frame is noise: little above the quietest, far below the loudest."""
    quietest, loudest = float(np.percentile(levels, 5)), float(levels.max())
    return max(SILENCE, min(quietest + 6, loudest - 45))


def _cheapest_way(levels: Levels, loud: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Frames from and to of windows that hold all that is loud, each short enough."""
    places = np.append(np.arange(0, len(levels), _GRID), len(levels))
    first, last = _edges(loud, places)
    prices = _cut_prices(levels, places)
    longest = int(LONGEST * _FRAMES_PER_SECOND) - 1  # in seconds, 30.0 must not be 30.000…4
    best, origin = np.zeros(len(places)), np.zeros(len(places), int)
    for at in range(1, len(places)):
        lengths = last[at] - first[:at]
        ways = best[:at] + np.where(lengths > 0, 1 + EVEN_PRICE * (lengths / longest) ** 2, 0)
        ways[lengths > longest] = np.inf
        origin[at] = int(ways.argmin())
        best[at] = ways[origin[at]] + prices[at]
    return _walk(places, origin, first, last)


def _edges(loud: NDArray[np.bool_], places: Frames) -> tuple[Frames, Frames]:
    """Where a window that begins, or ends, at a place would begin, or end, at the most.

    That is shortly before the first loud frame from there on, and shortly after the last before.
    """
    frames = np.arange(len(loud))
    following = np.minimum.accumulate(np.where(loud, frames, len(loud) * 2)[::-1])[::-1]
    before = np.maximum.accumulate(np.where(loud, frames, -len(loud)))
    lead, tail = int(LEAD * _FRAMES_PER_SECOND), int(TAIL * _FRAMES_PER_SECOND)
    first = np.append(following, len(loud) * 2)[places]
    last = np.append(-len(loud), before)[places]
    return np.maximum(places, first - lead), np.minimum(places, last + 1 + tail)


def _cut_prices(levels: Levels, places: Frames) -> Levels:
    """What it costs to cut there: nothing in the quietest pauses, most in the loudest speech."""
    width = int(PAUSE * _FRAMES_PER_SECOND)
    power = np.convolve(10 ** (levels / 10), np.ones(width) / width, mode="same")
    smooth = 10 * np.log10(np.append(power, power[-1])[places] + 1e-12)
    quiet, speech = np.percentile(smooth, 2), np.percentile(smooth, 75)
    share = np.clip((smooth - quiet) / max(1.0, speech - quiet), 0, 1)
    prices = SPEECH_PRICE * share**2
    prices[-1] = 0  # the end of the chunk is no choice
    return np.asarray(prices)


def _walk(places: Frames, origin: Frames, first: Frames, last: Frames) -> Iterator[tuple[int, int]]:
    """The stretches of the cheapest way in which there is anything loud, in order."""
    ways, at = [], len(places) - 1
    while at > 0:
        ways.append((int(origin[at]), at))
        at = int(origin[at])
    for start, end in reversed(ways):
        if last[end] > first[start]:
            yield int(first[start]), int(last[end])


def _window(loud: NDArray[np.bool_], start: int, end: int, seconds: float) -> Window:
    return Window(
        start / _FRAMES_PER_SECOND,
        min(seconds, end / _FRAMES_PER_SECOND),
        np.count_nonzero(loud[start:end]) / _FRAMES_PER_SECOND,
    )
