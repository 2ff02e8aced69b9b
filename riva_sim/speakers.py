"""Tells voices apart by their pitch: enough for a man and a woman, no more is needed here."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np

from riva_sim.hearing import Utterance, Word
from riva_sim.sound import RATE

#: As many as Riva tells apart when it is not told a number.
MOST = 8
#: A pause of this length (seconds) may be a change of speaker.
_PAUSE = 0.12
#: Two voices differ by more than this, in the logarithm of their pitch.
_APART = 0.2
#: Pitch is looked for at this rate, which is enough for it.
_LOW_RATE = 4_000
_LAGS = np.arange(_LOW_RATE // 400, _LOW_RATE // 70)
_FRAME = _LOW_RATE // 25


def tags(said: Sequence[Utterance], most: int) -> list[int]:
    """A tag from 1 for each word, by first appearance."""
    turns = [turn for utterance in said for turn in _turns(utterance)]
    centres = _centres(sorted(tone for _, tone in turns if tone), most or MOST)
    order: dict[float, int] = {}
    found: list[int] = []
    for words, tone in turns:
        voice = min(centres, key=lambda centre: abs(centre - tone)) if tone and centres else 0.0
        found += [order.setdefault(voice, len(order) + 1)] * len(words)
    return found


def _turns(said: Utterance) -> list[tuple[list[Word], float]]:
    turns: list[list[Word]] = []
    for word in said.words:
        if turns and word.start - turns[-1][-1].end < _PAUSE:
            turns[-1].append(word)
        else:
            turns.append([word])
    return [(turn, _tone(_between(said, turn[0].start, turn[-1].end))) for turn in turns]


def _between(said: Utterance, start: float, end: float) -> bytes:
    first, last = (2 * int((time - said.start) * RATE) for time in (start, end))
    return said.pcm[max(0, first) : last]


def _centres(tones: list[float], most: int) -> list[float]:
    """Divide where two groups lie furthest apart, for as long as they are different voices."""
    groups = [tones] if tones else []
    while len(groups) < most:
        cuts = [(_gap(group, at), group, at) for group in groups for at in range(1, len(group))]
        gap, group, at = max(cuts, default=(0.0, [], 0))
        if gap < _APART:
            break
        groups.remove(group)
        groups += [group[:at], group[at:]]
    return [statistics.fmean(group) for group in groups]


def _gap(tones: list[float], at: int) -> float:
    return statistics.fmean(tones[at:]) - statistics.fmean(tones[:at])


def _tone(pcm: bytes) -> float:
    """Logarithm of the median pitch; 0 where there is none."""
    low = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")[:: RATE // _LOW_RATE].astype(float)
    frames = [low[at : at + 2 * _FRAME] for at in range(0, len(low) - 2 * _FRAME, _FRAME)]
    found = [pitch for frame in frames if (pitch := _pitch(frame))]
    return math.log(statistics.median(found)) if found else 0.0


def _pitch(frame: np.ndarray) -> float:
    """In Hz, by autocorrelation; 0 for a frame without a voice in it."""
    power = float(frame @ frame)
    if power < len(frame) * 200**2:
        return 0.0
    likeness = [float(frame[:-lag] @ frame[lag:]) / power for lag in _LAGS]
    best = int(np.argmax(likeness))
    return _LOW_RATE / int(_LAGS[best]) if likeness[best] > 0.35 else 0.0
