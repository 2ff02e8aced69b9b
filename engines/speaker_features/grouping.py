"""Group pieces of speech that sound like one voice; this gives the number of voices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from engines.arrays import Doubles, FrameIndices, Frames

#: Frames of a piece. Pieces half a second shorter separate phones instead of voices; half a second
#: longer ones mix the voices of quick answers.
PIECE_FRAMES = 150
#: A shorter piece does not characterize a voice.
MIN_PIECE_FRAMES = 30
#: Most pieces that are compared; of more (half an hour of speech has some 1,000), an evenly spread
#: sample. This limits time and memory, which grow with its square.
MAX_PIECES = 900
#: Pieces with a lower average difference are one group. For one voice it is 0, for two 2 to 6.
LINKAGE_THRESHOLD = 0.8
#: Groups with a lower difference as a whole are one voice. Repetitions and moods of one voice reach
#: 1.3; voices on one telephone line, or in one room far from the microphone, begin at 1.5.
MERGE_THRESHOLD = 1.5
#: The same if one of them has less than this share of the speech. So little speech may be one often
#: repeated sentence (3.4 to 3.9 in half an hour) or a laugh, so a rare voice must differ clearly.
MINOR_MERGE_THRESHOLD, MINOR_SHARE = 4.5, 0.025
#: Difference of two samples of one voice that is due to their length only: this divided by the
#: frames of each. Measured: 3.5 at 150 frames each, 1.9 at 300, 0.5 at 1,000.
SHORT_SAMPLE_BIAS = 280.0

#: Most groups that are compared as a whole. No recording has so many voices, but noise has.
_MAX_GROUPS = 40
#: Keeps the covariance of a short piece from being singular.
_COVARIANCE_FLOOR = 1e-2


def cut_pieces(runs: Sequence[FrameIndices]) -> list[FrameIndices]:
    """Cut runs of speech into pieces of about equal length; return at least one."""
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
    """Return the frames of each voice, with *minimum* to *maximum* voices.

    Average linkage comes first: a sentence that is repeated does not mislead it. Merging whole
    groups at once would collect equal sentences instead of equal voices. Then whole groups are
    compared, which is more reliable once each group has more speech.
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
    """Return for each pair of groups the difference up to which they are one voice."""
    sizes = np.array([len(group) for group in groups])
    minor = sizes < MINOR_SHARE * sizes.sum()
    return np.where(minor[:, None] | minor[None, :], MINOR_MERGE_THRESHOLD, MERGE_THRESHOLD)


def _link_pieces(
    features: Frames, pieces: Sequence[FrameIndices], minimum: int
) -> list[FrameIndices]:
    if len(pieces) == 1:
        return list(pieces)
    distances = squareform(measure_differences([features[piece] for piece in pieces]), checks=False)
    # Differences of short pieces can be negative, which scipy rejects.
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

    Each sample is modelled as a Gaussian. The difference is how much the log determinant of the
    covariance of an even mixture exceeds the mean of the two. That is the likelihood ratio of BIC
    clustering (Chen and Gopalakrishnan 1998) per frame, so one threshold serves any length.
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
