"""Puts pieces of speech together that sound like one voice, and so counts the voices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from engines.voices.cepstra import Frames

Places = NDArray[np.intp]
Numbers = NDArray[np.float64]

#: Frames of a piece. Half a second less finds sounds instead of voices, half a second more mixes
#: the voices of quick answers.
PIECE = 150
#: A shorter piece says too little of a voice.
SHORTEST_PIECE = 30
#: Pieces compared with each other; of more (half an hour of speech has some 1,000) only so many,
#: evenly spread. It bounds time and memory: both grow with the square of this.
MOST_PIECES = 900
#: Pieces whose average difference is less are one group. Of one voice it is 0, of two 2 to 6.
ALIKE = 0.8
#: Groups whose sound as a whole differs by less are one voice. Repeats and moods of one voice come
#: to 1.3; voices on one telephone line, or in one room far from the microphone, begin at 1.5.
SAME_VOICE = 1.5
#: The same where one of them has less than this share of the speech. That little may be one
#: sentence that is often repeated (3.4 to 3.9 in half an hour) or a laugh: a voice that is seldom
#: heard has to be clearly another one.
SAME_VOICE_MINOR, MINOR = 4.5, 0.025
#: How different two samples of one voice look for no other reason than being short: this over the
#: frames of each. Measured: 3.5 at 150 frames each, 1.9 at 300, 0.5 at 1,000.
SHORTNESS = 280.0

#: Groups that are still compared as wholes. Nobody has so many voices to tell apart; noise has.
_MOST_GROUPS = 40
#: Keeps the covariance of a short piece from being singular.
_FLOOR = 1e-2


def cut(runs: Sequence[Places]) -> list[Places]:
    """Cut runs of speech into pieces of about equal length; there is always one."""
    pieces = [
        piece for run in runs for piece in np.array_split(run, max(1, round(len(run) / PIECE)))
    ]
    long = [piece for piece in pieces if len(piece) >= SHORTEST_PIECE]
    if not long:
        return [np.concatenate(pieces)]
    return [
        long[at] for at in np.linspace(0, len(long) - 1, min(len(long), MOST_PIECES), dtype=int)
    ]


def group(sound: Frames, pieces: Sequence[Places], least: int, most: int | None) -> list[Places]:
    """Give the frames of each voice, of so many voices at least and at most.

    Average linkage first: it is not misled by a sentence that is said again and again, as
    joining whole groups would be, which collects what is said instead of who says it. Then whole
    groups are compared, which is surer once there is more of each to compare.
    """
    groups = _alike(sound, pieces, least)
    while len(groups) > max(1, least):
        excess = differences([sound[group] for group in groups]) - _allowed(groups)
        np.fill_diagonal(excess, np.inf)
        one, other = sorted(divmod(int(excess.argmin()), len(groups)))
        if excess[one, other] > 0 and (most is None or len(groups) <= most):
            break
        groups[one] = np.concatenate([groups[one], groups.pop(other)])
    return groups


def _allowed(groups: Sequence[Places]) -> Numbers:
    """How different each two groups may be and still be one voice."""
    sizes = np.array([len(group) for group in groups])
    minor = sizes < MINOR * sizes.sum()
    return np.where(minor[:, None] | minor[None, :], SAME_VOICE_MINOR, SAME_VOICE)


def _alike(sound: Frames, pieces: Sequence[Places], least: int) -> list[Places]:
    if len(pieces) == 1:
        return list(pieces)
    apart = squareform(differences([sound[piece] for piece in pieces]), checks=False)
    # Differences of short pieces can be below zero, which scipy does not take.
    lowest = apart.min()
    tree = linkage(apart - lowest, "average")
    count = 1 + int((tree[:, 2] + lowest > ALIKE).sum())
    labels = fcluster(tree, max(least, min(count, _MOST_GROUPS)), "maxclust")
    return [
        np.concatenate([piece for piece, own in zip(pieces, labels, strict=True) if own == label])
        for label in np.unique(labels)
    ]


def differences(samples: Sequence[Frames]) -> Numbers:
    """How different each two sound, whatever the amount of speech in them: 0 for the same voice.

    Each is taken as a Gaussian. The number is how much the log determinant of the covariance of an
    even mixture exceeds the mean of the two: the likelihood ratio of BIC clustering (Chen and
    Gopalakrishnan 1998) a frame, so that one bound serves for a minute and for an hour.
    """
    means = np.array([sample.mean(axis=0, dtype=np.float64) for sample in samples])
    spreads = np.array([np.cov(sample.T, bias=True) for sample in samples])
    spreads += _FLOOR * np.eye(means.shape[1])
    sizes = np.linalg.slogdet(spreads)[1]
    short = SHORTNESS / np.array([len(sample) for sample in samples])

    apart = np.zeros((len(samples), len(samples)))
    for one in range(1, len(samples)):
        gaps = means[:one] - means[one]
        mixed = (spreads[:one] + spreads[one]) / 2 + gaps[:, :, None] * gaps[:, None, :] / 4
        excess = np.linalg.slogdet(mixed)[1] - (sizes[:one] + sizes[one]) / 2
        apart[one, :one] = excess - short[:one] - short[one]
    return apart + apart.T
