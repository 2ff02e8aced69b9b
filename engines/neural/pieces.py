"""Cuts tracks into pieces of clean speech, of which each has a voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engines.neural.segmentation import FRAME
from engines.neural.tracks import SPEAKS, Track

#: Frames of a piece: three seconds, if the speaker says as much; and of one that has a voice.
USUAL, LEAST = 178, 24
#: Frames over which a piece may spread, pauses included.
SPREAD = 592

Frames = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Piece:
    """What one track says by itself in a short time."""

    track: int
    #: Of the recording, in order.
    frames: Frames


def cut(tracks: Sequence[Track]) -> list[Piece]:
    """The pieces of all tracks. A track that is never alone has pieces with others in them."""
    count = max((track.end for track in tracks), default=0)
    speaking = np.zeros(count, np.intp)
    for track in tracks:
        speaking[track.start : track.end] += track.likelihood > SPEAKS
    pieces = []
    for number, track in enumerate(tracks):
        heard = track.start + np.flatnonzero(track.likelihood > SPEAKS)
        alone = heard[speaking[heard] == 1]
        chosen = alone if len(alone) >= LEAST else heard
        pieces += [Piece(number, frames) for frames in _parts(chosen)]
    return pieces


def _parts(frames: Frames) -> Iterator[Frames]:
    """Cut where a piece would be too long, in the order of time; a rest that is short is joined."""
    parts: list[Frames] = []
    while len(frames):
        size = int(np.searchsorted(frames, frames[0] + SPREAD))
        size = min(size, USUAL)
        parts.append(frames[:size])
        frames = frames[size:]
    for at in range(len(parts) - 1, 0, -1):
        is_near = parts[at][-1] - parts[at - 1][0] <= 2 * SPREAD
        if len(parts[at]) < USUAL // 2 and is_near:
            parts[at - 1] = np.concatenate([parts[at - 1], parts.pop(at)])
    yield from parts


def sound_of(piece: Piece, sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples of a piece, one stretch after the other."""
    runs = np.split(piece.frames, np.flatnonzero(np.diff(piece.frames) > 1) + 1)
    stretches = [sound[run[0] * FRAME : (run[-1] + 1) * FRAME] for run in runs]
    return np.concatenate(stretches)
