"""Joins the windows of a recording: speakers of one window are found again in the next.

Two windows share three quarters of their sound. A speaker of one who speaks when a speaker of the
other does is the same, so a track is a speaker for as long as nobody is lost from sight.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from engines.neural.segmentation import HOP, Windows
from engines.neural.sessions import Floats

#: Likelihood from which somebody speaks.
SPEAKS = 0.5
#: Of what two speakers say together in the shared frames, how much must be said at the same time.
AGREES = 0.5
#: Frames that a speaker must speak in a window to be anybody.
LEAST = 6
_ORDERS = tuple(permutations(range(3)))


@dataclass(frozen=True, slots=True)
class Track:
    """A speaker as far as the windows follow each other."""

    #: Frame of the recording at which its likelihoods begin.
    start: int
    #: One for each frame, 0 to 1.
    likelihood: Floats

    @property
    def end(self) -> int:
        return self.start + len(self.likelihood)


def follow(windows: Windows) -> list[Track]:
    """The tracks of a recording, in the order in which they begin."""
    chains: list[list[tuple[int, int]]] = []  # of windows, and of speakers in them
    current: dict[int, list[tuple[int, int]]] = {}
    for number, activity in enumerate(windows.activity):
        before = windows.activity[number - 1] if number else None
        found = _match(before, activity) if before is not None else {}
        following = {}
        for speaker in range(3):
            if (activity[:, speaker] > SPEAKS).sum() < LEAST:
                continue
            chain = current.get(found.get(speaker, -1))
            if chain is None:
                chains.append(chain := [])
            chain.append((number, speaker))
            following[speaker] = chain
        current = following
    return [_track(windows, chain) for chain in chains]


def _match(before: Floats, after: Floats) -> dict[int, int]:
    """For speakers of a window, who they were in the one before."""
    then, now = before[HOP:] > SPEAKS, after[:-HOP] > SPEAKS
    both = then.T.astype(np.float32) @ now.astype(np.float32)
    either = then.sum(0)[:, None] + now.sum(0)[None] - both
    order = max(_ORDERS, key=lambda order: sum(both[order[now], now] for now in range(3)))
    return {
        speaker: order[speaker]
        for speaker in range(3)
        if both[order[speaker], speaker] > AGREES * either[order[speaker], speaker]
    }


def _track(windows: Windows, chain: list[tuple[int, int]]) -> Track:
    """The mean of what its windows say; the middle of a window knows more than its ends."""
    frames = windows.activity.shape[1]
    start, end = chain[0][0] * HOP, chain[-1][0] * HOP + frames
    total, weight = np.zeros(end - start, np.float32), np.zeros(end - start, np.float32)
    trust = _trust(frames)
    for number, speaker in chain:
        at = number * HOP - start
        total[at : at + frames] += trust * windows.activity[number, :, speaker]
        weight[at : at + frames] += trust
    return Track(start, np.asarray(total / weight, np.float32))


def _trust(frames: int) -> NDArray[np.float32]:
    return np.hamming(frames).astype(np.float32)
