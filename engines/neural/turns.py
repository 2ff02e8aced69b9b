"""From tracks whose pieces have voices to turns of speakers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engines.neural.clustering import Labels
from engines.neural.pieces import Frames, Piece
from engines.neural.segmentation import FRAME, RATE
from engines.neural.tracks import SPEAKS, Track
from transcripts.types import Turn

#: Seconds of a frame, and from its number times these to the sound that it is about.
FRAME_SECONDS, SHIFT = FRAME / RATE, 0.0226
#: Seconds of silence within a turn; a shorter turn than the second is none.
LONGEST_PAUSE, SHORTEST_TURN = 0.5, 0.1


def find_turns(
    tracks: Sequence[Track], pieces: Sequence[Piece], labels: Labels, duration: float
) -> tuple[tuple[Turn, ...], dict[int, int]]:
    """The turns in the order of time, and the number of each label's speaker.

    Speakers are numbered as they first speak, and their turns overlap where two speak at once.
    *labels*: the voice of each piece. *duration*: seconds of the recording.
    """
    found = [
        (start, end, int(label))
        for label in np.unique(labels)
        for start, end in _stretches(_frames_of(label, tracks, pieces, labels), duration)
    ]
    found.sort()
    order = dict.fromkeys(label for _, _, label in found)
    numbers = {label: number for number, label in enumerate(order)}
    return tuple(Turn(start, end, numbers[label]) for start, end, label in found), numbers


def _frames_of(
    label: int, tracks: Sequence[Track], pieces: Sequence[Piece], labels: Labels
) -> Frames:
    """When a voice speaks: a track has in each frame the voice of its nearest piece."""
    mine = []
    for number in {piece.track for piece in pieces}:
        track = tracks[number]
        heard = track.start + np.flatnonzero(track.likelihood > SPEAKS)
        own = [
            (piece.frames, voice)
            for piece, voice in zip(pieces, labels, strict=True)
            if piece.track == number
        ]
        known = np.concatenate([frames for frames, _ in own])
        voices = np.concatenate([np.full(len(frames), voice) for frames, voice in own])
        mine.append(heard[_nearest(known, voices, heard) == label])
    return np.unique(np.concatenate(mine))


def _nearest(known: Frames, voices: Labels, frames: Frames) -> Labels:
    """The voices at the known frames that are nearest to these."""
    order = np.argsort(known, kind="stable")
    known, voices = known[order], voices[order]
    after = np.clip(np.searchsorted(known, frames), 0, len(known) - 1)
    before = np.maximum(after - 1, 0)
    is_before = np.abs(known[before] - frames) < np.abs(known[after] - frames)
    chosen: NDArray[np.intp] = voices[np.where(is_before, before, after)]
    return chosen


def _stretches(frames: Frames, duration: float) -> Iterator[tuple[float, float]]:
    """Start and end, in seconds, of what is said without a long pause."""
    if not len(frames):
        return
    ends = np.flatnonzero(np.diff(frames) * FRAME_SECONDS > LONGEST_PAUSE) + 1
    for run in np.split(frames, ends):
        start = max(0.0, float(run[0]) * FRAME_SECONDS + SHIFT)
        end = min(duration, float(run[-1] + 1) * FRAME_SECONDS + SHIFT)
        if end - start >= SHORTEST_TURN:
            yield start, end
