"""Joins the windows of a recording: speakers of one window are found again in the next.

Two windows share three quarters of their sound. A speaker of one who speaks when a speaker of the
other does is the same, so a track is a speaker for as long as nobody is lost from sight.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from engines.arrays import Floats
from engines.neural.segmentation import HOP_FRAMES, Windows

#: Likelihood from which somebody speaks.
SPEECH_THRESHOLD = 0.5
#: Of what two speakers say together in the shared frames, how much must be said at the same time.
AGREEMENT_THRESHOLD = 0.5
#: Frames that a speaker must speak in a window to be anybody.
MIN_SPEECH_FRAMES = 6
_PERMUTATIONS = tuple(permutations(range(3)))


@dataclass(frozen=True, slots=True)
class SpeakerTrack:
    """A speaker as far as the windows follow each other."""

    #: Frame of the recording at which its likelihoods begin.
    start: int
    #: One for each frame, 0 to 1.
    likelihood: Floats

    @property
    def end(self) -> int:
        return self.start + len(self.likelihood)


def build_tracks(windows: Windows) -> list[SpeakerTrack]:
    """The tracks of a recording, in the order in which they begin."""
    chains: list[list[tuple[int, int]]] = []  # of windows, and of speakers in them
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
    """For speakers of a window, who they were in the one before."""
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
    """The mean of what its windows say; the middle of a window knows more than its ends."""
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
