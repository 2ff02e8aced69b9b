"""Find where a channel of a call only carries the voice of another one.

A handset or a room microphone picks up the other party, 10 to 40 dB quieter than their own channel.
Voice activity detection marks that as speech, and an engine transcribes it, so every word would
appear twice, from two speakers. Unlike the speech of two people at once, bleed is always quieter by
about the same level.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from chunking.decode.decoder import SAMPLE_RATE
from chunking.vad.speech import Flags, Levels, find_runs
from transcripts.types import Interval

#: Length of a frame (seconds).
FRAME_SECONDS = 0.02
#: Longest delay of an echo (seconds); rooms reverberate for as long.
ECHO_SECONDS = 0.3
#: A level is that of the loudest frame within this distance: syllables have weak frames (seconds).
SYLLABLE_SECONDS = 0.06
#: Audio quieter than the other channel by less than this is a separate voice (dB).
MIN_ATTENUATION_DB = 8.0
#: Audio louder than the usual bleed by more than this contains another voice (dB).
TOLERANCE_DB = 6.0
#: Below this level there is no audio: the channel is muted or has ended (dBFS).
MUTE_DB = -75.0
#: Candidate seconds needed to measure how much quieter the bleed is.
MIN_EVIDENCE_SECONDS = 1.0
#: Shorter runs of bleed, and shorter gaps between them, are removed (seconds).
MIN_RUN_SECONDS = 0.1

_FRAME_SAMPLES = round(FRAME_SECONDS * SAMPLE_RATE)
_BLOCK_FRAMES = 30_000
_SILENCE_POWER = 1e-10


def find_bleed(
    channel_paths: Sequence[Path], speech: Sequence[Sequence[Interval]]
) -> tuple[tuple[Interval, ...], ...]:
    """Return for each channel where in its *speech* it only carries another one, in seconds.

    *channel_paths* are the channels of one recording as 16 kHz mono 16-bit samples without a
    header. They are read block by block; memory holds eight bytes per frame of `FRAME_SECONDS` and
    channel.
    """
    frames = max((path.stat().st_size // 2 // _FRAME_SAMPLES for path in channel_paths), default=0)
    levels = [_measure_levels(path, frames) for path in channel_paths]
    spoken = [_mark_intervals(intervals, frames) for intervals in speech]
    return tuple(
        _find_channel_bleed(channel, levels, spoken) for channel in range(len(channel_paths))
    )


def subtract_intervals(
    intervals: Iterable[Interval], excluded: Sequence[Interval]
) -> list[Interval]:
    """Return the *intervals* without the *excluded* ones; both are in order."""
    remaining: list[Interval] = []
    for interval in intervals:
        start = interval.start
        for excluded_interval in excluded:
            if excluded_interval.end > start and excluded_interval.start < interval.end:
                if excluded_interval.start > start:
                    remaining.append(Interval(start, excluded_interval.start))
                start = excluded_interval.end
        if start < interval.end:
            remaining.append(Interval(start, interval.end))
    return remaining


def _find_channel_bleed(
    channel: int, levels: Sequence[Levels], spoken: Sequence[Flags]
) -> tuple[Interval, ...]:
    channel_levels = _spread_maximum(levels[channel], SYLLABLE_SECONDS, SYLLABLE_SECONDS)
    flags = np.zeros(len(channel_levels), np.bool_)
    for other in range(len(levels)):
        if other != channel:
            flags |= _mark_bleed(channel_levels, levels[other], spoken[other])
    flags = _smooth_flags(flags & spoken[channel])
    return tuple(
        Interval(round(start * FRAME_SECONDS, 3), round(end * FRAME_SECONDS, 3))
        for start, end in find_runs(flags)
    )


def _mark_bleed(channel_levels: Levels, other_levels: Levels, other_spoken: Flags) -> Flags:
    """Mark frames that are quieter than another speaking channel by the usual attenuation."""
    attenuation = _spread_maximum(other_levels, ECHO_SECONDS, SYLLABLE_SECONDS) - channel_levels
    candidates = (
        _extend_flags(other_spoken, ECHO_SECONDS)
        & (attenuation >= MIN_ATTENUATION_DB)
        & (channel_levels > MUTE_DB)
    )
    if np.count_nonzero(candidates) * FRAME_SECONDS < MIN_EVIDENCE_SECONDS:
        return np.zeros(len(channel_levels), np.bool_)
    typical = float(np.median(attenuation[candidates]))
    return candidates & (attenuation >= typical - TOLERANCE_DB)


def _measure_levels(path: Path, frames: int) -> Levels:
    """Return the level of each frame (dBFS); silence after the end of the track."""
    levels = np.full(frames, 10 * np.log10(_SILENCE_POWER), np.float32)
    with path.open("rb") as file:
        for first in range(0, frames, _BLOCK_FRAMES):
            samples = np.frombuffer(file.read(2 * _BLOCK_FRAMES * _FRAME_SAMPLES), "<i2")
            count = len(samples) // _FRAME_SAMPLES
            block = samples[: count * _FRAME_SAMPLES].reshape(count, -1).astype(np.float32)
            power = block.var(axis=1) / np.float32(32768.0**2)
            levels[first : first + count] = 10 * np.log10(np.maximum(power, _SILENCE_POWER))
    return levels


def _mark_intervals(intervals: Iterable[Interval], frames: int) -> Flags:
    flags = np.zeros(frames, np.bool_)
    for interval in intervals:
        flags[round(interval.start / FRAME_SECONDS) : round(interval.end / FRAME_SECONDS)] = True
    return flags


def _spread_maximum(levels: Levels, before: float, after: float) -> Levels:
    """Return for each frame the maximum level in the seconds *before* and *after* it."""
    loudest = levels.copy()
    for shift in range(1, round(before / FRAME_SECONDS) + 1):
        np.maximum(loudest[shift:], levels[:-shift], out=loudest[shift:])
    for shift in range(1, round(after / FRAME_SECONDS) + 1):
        np.maximum(loudest[:-shift], levels[shift:], out=loudest[:-shift])
    return loudest


def _extend_flags(flags: Flags, after: float) -> Flags:
    """Return the flags with each run extended by *after* seconds."""
    longer = flags.copy()
    for start, end in find_runs(flags):
        longer[start : end + round(after / FRAME_SECONDS)] = True
    return longer


def _smooth_flags(flags: Flags) -> Flags:
    """Return the flags without runs and gaps that are shorter than any spoken sound."""
    for value in (False, True):
        for start, end in find_runs(flags == value):
            is_inner = start > 0 and end < len(flags)
            if is_inner and (end - start) * FRAME_SECONDS < MIN_RUN_SECONDS:
                flags[start:end] = not value
    return flags
