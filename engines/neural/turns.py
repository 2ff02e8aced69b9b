"""From tracks whose pieces have voices to turns of speakers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engines import wav
from engines.neural.clustering import Labels
from engines.neural.pieces import Frames, Piece
from engines.neural.segmentation import FRAME
from engines.neural.tracks import SPEAKS, Track
from transcripts.types import Turn

#: Seconds of a frame, and from its number times these to the sound that it is about.
FRAME_SECONDS, SHIFT = FRAME / wav.RATE, 0.0226
#: Seconds of silence within a turn; a shorter turn than the second is none.
LONGEST_PAUSE, SHORTEST_TURN = 0.5, 0.1


def find_turns(
    tracks: Sequence[Track], pieces: Sequence[Piece], labels: Labels, duration: float
) -> tuple[tuple[Turn, ...], dict[int, int]]:
    """The turns in the order of time, and the number of each label's speaker.

    Speakers are numbered as they first speak, and their turns overlap where two speak at once.
    *labels*: the voice of each piece. *duration*: seconds of the recording.
    """
    frames, voices = _spoken(tracks, pieces, labels)
    found = [
        (start, end, int(label))
        for label in np.unique(labels)
        for start, end in _stretches(np.unique(frames[voices == label]), duration)
    ]
    found.sort()
    order = dict.fromkeys(label for _, _, label in found)
    numbers = {label: number for number, label in enumerate(order)}
    return tuple(Turn(start, end, numbers[label]) for start, end, label in found), numbers


def _spoken(
    tracks: Sequence[Track], pieces: Sequence[Piece], labels: Labels
) -> tuple[Frames, Labels]:
    """Every frame in which a track speaks, with its voice: that of the track's nearest piece."""
    own: dict[int, list[tuple[Frames, int]]] = {}
    for piece, voice in zip(pieces, labels, strict=True):
        own.setdefault(piece.track, []).append((piece.frames, int(voice)))
    spoken, voices = [], []
    for number, known in own.items():
        track = tracks[number]
        spoken.append(track.start + np.flatnonzero(track.likelihood > SPEAKS))
        frames = np.concatenate([frames for frames, _ in known])
        whose = np.concatenate([np.full(len(frames), voice) for frames, voice in known])
        voices.append(_nearest(frames, whose, spoken[-1]))
    return np.concatenate(spoken), np.concatenate(voices)


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
