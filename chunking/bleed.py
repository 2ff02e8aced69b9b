"""Finds where a channel of a call only hears the other one.

A handset or a room's microphone picks up the other party, 10 to 40 dB quieter than their own
channel has them. Voice activity calls that speech and an engine hears every word of it, so it would
be said twice, by two speakers. What tells it from two people talking at once is that it is always
quieter by about the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chunking.decode import SAMPLE_RATE
from transcripts.types import Span

Flags = NDArray[np.bool_]
#: dBFS a frame.
Levels = NDArray[np.float32]

#: Seconds.
FRAME = 0.02
#: An echo comes after this at most (seconds), and rooms ring on for as long.
ECHO = 0.3
#: Levels are those of the loudest frame so near: a syllable has weak frames (seconds).
SYLLABLE = 0.06
#: What is quieter than the other channel by less than this is a voice of its own (dB).
LEAST = 8.0
#: So much louder than it is as a rule, and it is more than the other channel (dB).
TOLERANCE = 6.0
#: Below this nothing is heard at all: the channel is muted, or over (dBFS).
MUTE = -75.0
#: So much of the other's speech is needed to know how much quieter it is (seconds).
ENOUGH = 1.0
#: Bleed and what is between it that lasts less than this is taken for the same (seconds).
SHORTEST = 0.1

_FRAME_SAMPLES = round(FRAME * SAMPLE_RATE)
_BLOCK_FRAMES = 30_000
_SILENCE = 1e-10


def bleed(tracks: Sequence[Path], speech: Sequence[Sequence[Span]]) -> tuple[tuple[Span, ...], ...]:
    """Where in its *speech* each channel only hears another, in order, in seconds.

    *tracks* are the channels of one recording, 16 kHz mono 16-bit samples without a header; they
    are read block by block, and eight bytes are kept for each `FRAME` of each.
    """
    frames = max((path.stat().st_size // 2 // _FRAME_SAMPLES for path in tracks), default=0)
    levels = [_levels(path, frames) for path in tracks]
    spoken = [_flags(spans, frames) for spans in speech]
    return tuple(_of_one(channel, levels, spoken) for channel in range(len(tracks)))


def without(spans: Iterable[Span], holes: Sequence[Span]) -> list[Span]:
    """The *spans* as far as they are in none of the *holes*; both are in order."""
    left: list[Span] = []
    for span in spans:
        start = span.start
        for hole in holes:
            if hole.end > start and hole.start < span.end:
                if hole.start > start:
                    left.append(Span(start, hole.start))
                start = hole.end
        if start < span.end:
            left.append(Span(start, span.end))
    return left


def _of_one(channel: int, levels: Sequence[Levels], spoken: Sequence[Flags]) -> tuple[Span, ...]:
    own = _loudest(levels[channel], SYLLABLE, SYLLABLE)
    flags = np.zeros(len(own), np.bool_)
    for other in range(len(levels)):
        if other != channel:
            flags |= _is_heard_of(own, levels[other], spoken[other])
    flags = _smoothed(flags & spoken[channel])
    return tuple(
        Span(round(start * FRAME, 3), round(end * FRAME, 3)) for start, end in _runs(flags)
    )


def _is_heard_of(own: Levels, other: Levels, spoken: Flags) -> Flags:
    """Where a channel is quieter than another one that speaks, by as much as it always is."""
    quieter = _loudest(other, ECHO, SYLLABLE) - own
    heard = _spread(spoken, ECHO) & (quieter >= LEAST) & (own > MUTE)
    if np.count_nonzero(heard) * FRAME < ENOUGH:
        return np.zeros(len(own), np.bool_)
    usual = float(np.median(quieter[heard]))
    return heard & (quieter >= usual - TOLERANCE)


def _levels(path: Path, frames: int) -> Levels:
    """The level of each frame; silence where the track has ended."""
    levels = np.full(frames, 10 * np.log10(_SILENCE), np.float32)
    with path.open("rb") as file:
        for first in range(0, frames, _BLOCK_FRAMES):
            samples = np.frombuffer(file.read(2 * _BLOCK_FRAMES * _FRAME_SAMPLES), "<i2")
            whole = len(samples) // _FRAME_SAMPLES
            sound = samples[: whole * _FRAME_SAMPLES].reshape(whole, -1).astype(np.float32)
            power = sound.var(axis=1) / np.float32(32768.0**2)
            levels[first : first + whole] = 10 * np.log10(np.maximum(power, _SILENCE))
    return levels


def _flags(spans: Iterable[Span], frames: int) -> Flags:
    flags = np.zeros(frames, np.bool_)
    for span in spans:
        flags[round(span.start / FRAME) : round(span.end / FRAME)] = True
    return flags


def _loudest(levels: Levels, before: float, after: float) -> Levels:
    """Of each frame and those so many seconds before and after it, the loudest."""
    loudest = levels.copy()
    for shift in range(1, round(before / FRAME) + 1):
        np.maximum(loudest[shift:], levels[:-shift], out=loudest[shift:])
    for shift in range(1, round(after / FRAME) + 1):
        np.maximum(loudest[:-shift], levels[shift:], out=loudest[:-shift])
    return loudest


def _spread(flags: Flags, after: float) -> Flags:
    """The flags, each of which stays for so many seconds."""
    longer = flags.copy()
    for start, end in _runs(flags):
        longer[start : end + round(after / FRAME)] = True
    return longer


def _smoothed(flags: Flags) -> Flags:
    """Without runs and gaps that are shorter than anything that is said."""
    for value in (False, True):
        for start, end in _runs(flags == value):
            is_inner = start > 0 and end < len(flags)
            if is_inner and (end - start) * FRAME < SHORTEST:
                flags[start:end] = not value
    return flags


def _runs(flags: Flags) -> list[tuple[int, int]]:
    """Start and end of every run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], flags, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]
