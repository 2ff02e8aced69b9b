"""Puts pieces of speech together that sound like one voice, and so counts the voices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from engines.arrays import Doubles, FrameIndices, Frames

#: Frames of a piece. Half a second less finds sounds instead of voices, half a second more mixes
#: the voices of quick answers.
PIECE_FRAMES = 150
#: A shorter piece says too little of a voice.
MIN_PIECE_FRAMES = 30
#: Pieces compared with each other; of more (half an hour of speech has some 1,000) only so many,
#: evenly spread. It bounds time and memory: both grow with the square of this.
MAX_PIECES = 900
#: Pieces whose average difference is less are one group. Of one voice it is 0, of two 2 to 6.
LINKAGE_THRESHOLD = 0.8
#: Groups whose sound as a whole differs by less are one voice. Repeats and moods of one voice come
#: to 1.3; voices on one telephone line, or in one room far from the microphone, begin at 1.5.
MERGE_THRESHOLD = 1.5
#: The same where one of them has less than this share of the speech. That little may be one
#: sentence that is often repeated (3.4 to 3.9 in half an hour) or a laugh: a voice that is seldom
#: heard has to be clearly another one.
MINOR_MERGE_THRESHOLD, MINOR_SHARE = 4.5, 0.025
#: How different two samples of one voice look for no other reason than being short: this over the
#: frames of each. Measured: 3.5 at 150 frames each, 1.9 at 300, 0.5 at 1,000.
SHORT_SAMPLE_BIAS = 280.0

#: Groups that are still compared as wholes. Nobody has so many voices to tell apart; noise has.
_MAX_GROUPS = 40
#: Keeps the covariance of a short piece from being singular.
_COVARIANCE_FLOOR = 1e-2


def cut_pieces(runs: Sequence[FrameIndices]) -> list[FrameIndices]:
    """Cut runs of speech into pieces of about equal length; there is always one."""
    pieces = [
        piece
        for run in runs
        for piece in np.array_split(run, max(1, round(len(run) / PIECE_FRAMES)))
    ]
    long = [piece for piece in pieces if len(piece) >= MIN_PIECE_FRAMES]
    if not long:
        return [np.concatenate(pieces)]
    return [
        long[index]
        for index in np.linspace(0, len(long) - 1, min(len(long), MAX_PIECES), dtype=int)
    ]


def cluster_pieces(
    features: Frames, pieces: Sequence[FrameIndices], minimum: int, maximum: int | None
) -> list[FrameIndices]:
    """Give the frames of each voice, of so many voices at least and at most.

    Average linkage first: it is not misled by a sentence that is said again and again, as
    joining whole groups would be, which collects what is said instead of who says it. Then whole
    groups are compared, which is surer once there is more of each to compare.
    """
    groups = _link_pieces(features, pieces, minimum)
    while len(groups) > max(1, minimum):
        excess = measure_differences([features[group] for group in groups]) - _merge_thresholds(
            groups
        )
        np.fill_diagonal(excess, np.inf)
        first, second = sorted(divmod(int(excess.argmin()), len(groups)))
        if excess[first, second] > 0 and (maximum is None or len(groups) <= maximum):
            break
        groups[first] = np.concatenate([groups[first], groups.pop(second)])
    return groups


def _merge_thresholds(groups: Sequence[FrameIndices]) -> Doubles:
    """How different each two groups may be and still be one voice."""
    sizes = np.array([len(group) for group in groups])
    minor = sizes < MINOR_SHARE * sizes.sum()
    return np.where(minor[:, None] | minor[None, :], MINOR_MERGE_THRESHOLD, MERGE_THRESHOLD)


def _link_pieces(
    features: Frames, pieces: Sequence[FrameIndices], minimum: int
) -> list[FrameIndices]:
    if len(pieces) == 1:
        return list(pieces)
    distances = squareform(measure_differences([features[piece] for piece in pieces]), checks=False)
    # Differences of short pieces can be below zero, which scipy does not take.
    lowest = distances.min()
    tree = linkage(distances - lowest, "average")
    count = 1 + int((tree[:, 2] + lowest > LINKAGE_THRESHOLD).sum())
    labels = fcluster(tree, max(minimum, min(count, _MAX_GROUPS)), "maxclust")
    return [
        np.concatenate(
            [
                piece
                for piece, piece_label in zip(pieces, labels, strict=True)
                if piece_label == label
            ]
        )
        for label in np.unique(labels)
    ]


def measure_differences(samples: Sequence[Frames]) -> Doubles:
    """How different each two sound, whatever the amount of speech in them: 0 for the same voice.

    Each is taken as a Gaussian. The number is how much the log determinant of the covariance of an
    even mixture exceeds the mean of the two: the likelihood ratio of BIC clustering (Chen and
    Gopalakrishnan 1998) a frame, so that one bound serves for a minute and for an hour.
    """
    means = np.array([sample.mean(axis=0, dtype=np.float64) for sample in samples])
    covariances = np.array([np.cov(sample.T, bias=True) for sample in samples])
    covariances += _COVARIANCE_FLOOR * np.eye(means.shape[1])
    log_determinants = np.linalg.slogdet(covariances)[1]
    bias = SHORT_SAMPLE_BIAS / np.array([len(sample) for sample in samples])

    distances = np.zeros((len(samples), len(samples)))
    for index in range(1, len(samples)):
        offsets = means[:index] - means[index]
        mixed = (covariances[:index] + covariances[index]) / 2 + offsets[:, :, None] * offsets[
            :, None, :
        ] / 4
        excess = (
            np.linalg.slogdet(mixed)[1] - (log_determinants[:index] + log_determinants[index]) / 2
        )
        distances[index, :index] = excess - bias[:index] - bias[index]
    return distances + distances.T
