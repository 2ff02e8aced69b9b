"""Separate voices by pitch: enough for a man and a woman, as the tests need."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

import numpy as np

from riva_sim.hearing import RecognizedWord, Utterance
from riva_sim.sound import RATE

#: Riva's limit if the request sets none.
MAX_SPEAKERS = 8
#: A pause this long (seconds) may be a change of speaker.
_PAUSE_SECONDS = 0.12
#: Difference of two voices, in the logarithm of their pitch.
_MIN_TONE_DIFFERENCE = 0.2
#: Sampling rate (Hz) for the pitch detection.
_LOW_RATE = 4_000
_LAGS = np.arange(_LOW_RATE // 400, _LOW_RATE // 70)
_FRAME_SAMPLES = _LOW_RATE // 25


def tag_words(utterances: Sequence[Utterance], maximum: int) -> list[int]:
    """Return a tag for each word, from 1 by first appearance."""
    turns = [turn for utterance in utterances for turn in _split_turns(utterance)]
    centres = _find_centres(sorted(tone for _, tone in turns if tone), maximum or MAX_SPEAKERS)
    order: dict[float, int] = {}
    word_tags: list[int] = []
    for words, tone in turns:
        voice = min(centres, key=lambda centre: abs(centre - tone)) if tone and centres else 0.0
        word_tags += [order.setdefault(voice, len(order) + 1)] * len(words)
    return word_tags


def _split_turns(utterance: Utterance) -> list[tuple[list[RecognizedWord], float]]:
    turns: list[list[RecognizedWord]] = []
    for word in utterance.words:
        if turns and word.start - turns[-1][-1].end < _PAUSE_SECONDS:
            turns[-1].append(word)
        else:
            turns.append([word])
    return [
        (turn, _measure_tone(_slice_pcm(utterance, turn[0].start, turn[-1].end))) for turn in turns
    ]


def _slice_pcm(utterance: Utterance, start: float, end: float) -> bytes:
    first, last = (2 * int((time - utterance.start) * RATE) for time in (start, end))
    return utterance.pcm[max(0, first) : last]


def _find_centres(tones: list[float], maximum: int) -> list[float]:
    """Split groups at their largest difference, as long as they are different voices."""
    groups = [tones] if tones else []
    while len(groups) < maximum:
        cuts = [
            (_measure_difference(group, index), group, index)
            for group in groups
            for index in range(1, len(group))
        ]
        difference, group, index = max(cuts, default=(0.0, [], 0))
        if difference < _MIN_TONE_DIFFERENCE:
            break
        groups.remove(group)
        groups += [group[:index], group[index:]]
    return [statistics.fmean(group) for group in groups]


def _measure_difference(tones: list[float], index: int) -> float:
    return statistics.fmean(tones[index:]) - statistics.fmean(tones[:index])


def _measure_tone(pcm: bytes) -> float:
    """Return the logarithm of the median pitch; 0 without a voice."""
    low = np.frombuffer(pcm[: len(pcm) // 2 * 2], dtype="<i2")[:: RATE // _LOW_RATE].astype(float)
    frames = [
        low[start : start + 2 * _FRAME_SAMPLES]
        for start in range(0, len(low) - 2 * _FRAME_SAMPLES, _FRAME_SAMPLES)
    ]
    pitches = [pitch for frame in frames if (pitch := _measure_pitch(frame))]
    return math.log(statistics.median(pitches)) if pitches else 0.0


def _measure_pitch(frame: np.ndarray) -> float:
    """Return the pitch in Hz, by autocorrelation; 0 for a frame without a voice."""
    power = float(frame @ frame)
    if power < len(frame) * 200**2:
        return 0.0
    correlations = [float(frame[:-lag] @ frame[lag:]) / power for lag in _LAGS]
    best = int(np.argmax(correlations))
    return _LOW_RATE / int(_LAGS[best]) if correlations[best] > 0.35 else 0.0
