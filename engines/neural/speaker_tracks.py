"""Link the speakers of successive windows of a recording.

Two windows share three quarters of their audio. If a speaker of one window speaks at the same time
as a speaker of the next, they are the same person. A track is a speaker in consecutive windows,
until the link is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from engines.arrays import Floats
from engines.neural.segmentation import HOP_FRAMES, Windows

#: Likelihood above which a speaker speaks.
SPEECH_THRESHOLD = 0.5
#: Least share of two speakers' joint speech, in the shared frames, in which both must speak.
AGREEMENT_THRESHOLD = 0.5
#: Frames that a speaker must speak in a window to count.
MIN_SPEECH_FRAMES = 6
_PERMUTATIONS = tuple(permutations(range(3)))


@dataclass(frozen=True, slots=True)
class SpeakerTrack:
    """A speaker in consecutive windows."""

    #: Frame of the recording at which the likelihoods begin.
    start: int
    #: One value per frame, 0 to 1.
    likelihood: Floats

    @property
    def end(self) -> int:
        return self.start + len(self.likelihood)


def build_tracks(windows: Windows) -> list[SpeakerTrack]:
    """Return the tracks of a recording, ordered by start."""
    chains: list[list[tuple[int, int]]] = []  # pairs of a window and a speaker in it
    current: dict[int, list[tuple[int, int]]] = {}
    for number, activity in enumerate(windows.activity):
        previous = windows.activity[number - 1] if number else None
        matches = _match_speakers(previous, activity) if previous is not None else {}
        continued = {}
        for speaker in range(3):
            if (activity[:, speaker] > SPEECH_THRESHOLD).sum() < MIN_SPEECH_FRAMES:
                continue
            chain = current.get(matches.get(speaker, -1))
            if chain is None:
                chains.append(chain := [])
            chain.append((number, speaker))
            continued[speaker] = chain
        current = continued
    return [_average_track(windows, chain) for chain in chains]


def _match_speakers(before: Floats, after: Floats) -> dict[int, int]:
    """Return, for speakers of a window, the same speaker in the window before."""
    then, now = before[HOP_FRAMES:] > SPEECH_THRESHOLD, after[:-HOP_FRAMES] > SPEECH_THRESHOLD
    both = then.T.astype(np.float32) @ now.astype(np.float32)
    either = then.sum(0)[:, None] + now.sum(0)[None] - both
    order = max(_PERMUTATIONS, key=lambda order: sum(both[order[now], now] for now in range(3)))
    return {
        speaker: order[speaker]
        for speaker in range(3)
        if both[order[speaker], speaker] > AGREEMENT_THRESHOLD * either[order[speaker], speaker]
    }


def _average_track(windows: Windows, chain: list[tuple[int, int]]) -> SpeakerTrack:
    """Return the weighted mean of its windows, whose middle is more reliable than their ends."""
    frames = windows.activity.shape[1]
    start, end = chain[0][0] * HOP_FRAMES, chain[-1][0] * HOP_FRAMES + frames
    total, weight = np.zeros(end - start, np.float32), np.zeros(end - start, np.float32)
    window_weights = _hamming_weights(frames)
    for number, speaker in chain:
        offset = number * HOP_FRAMES - start
        total[offset : offset + frames] += window_weights * windows.activity[number, :, speaker]
        weight[offset : offset + frames] += window_weights
    return SpeakerTrack(start, np.asarray(total / weight, np.float32))


def _hamming_weights(frames: int) -> NDArray[np.float32]:
    return np.hamming(frames).astype(np.float32)
