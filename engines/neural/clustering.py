"""Group pieces of speech by voice; the number of groups is the number of voices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from engines.arrays import Floats

Labels = NDArray[np.intp]

#: Mean distance (1 - cosine) of two groups of pieces above which they are two voices. On the
#: recordings used to choose it, all values from 0.45 to 0.65 work equally well.
CLUSTER_THRESHOLD = 0.55
#: Reduction of the distance between two pieces of one track.
SAME_TRACK_BONUS = 0.15
#: Frames of speech that a voice needs: two and a half seconds, or a tenth of the speech in a short
#: recording. A group with less speech is merged into the most similar voice.
MIN_VOICE_FRAMES, MIN_VOICE_SHARE = 148, 0.1
#: Most pieces that are compared with each other: time and memory grow with the square of this.
MAX_PIECES = 3000


def cluster(
    vectors: Floats,
    track_numbers: Labels,
    frame_counts: Labels,
    minimum: int = 1,
    maximum: int | None = None,
) -> Labels:
    """Return the voice of each piece, as numbers from 0 in the order of their first pieces.

    *vectors*: of length one, one row per piece. *track_numbers*: the track of each piece.
    *frame_counts*: the length of each piece in frames. *minimum*, *maximum*: the number of voices,
    as far as known.

    Agglomerative clustering with average linkage.
    """
    sample = _sample_pieces(len(vectors))
    labels = _label_clusters(_compute_distances(vectors[sample], track_numbers[sample]), minimum)
    voices = _average_vectors(vectors[sample], labels, frame_counts[sample])
    voices = voices[_select_voices(labels, frame_counts[sample], minimum, maximum)]
    return _renumber((vectors @ voices.T).argmax(1))


def _sample_pieces(count: int) -> Labels:
    """Return all pieces, or an evenly spread sample if there are too many."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_PIECES)).astype(np.intp))


def _compute_distances(vectors: Floats, track_numbers: Labels) -> Floats:
    similarity = vectors @ vectors.T + SAME_TRACK_BONUS * (
        track_numbers[:, None] == track_numbers[None]
    )
    distances: Floats = np.clip(1 - similarity, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def _label_clusters(distances: Floats, minimum: int) -> Labels:
    """Return the group of each piece, with at least *minimum* groups."""
    if len(distances) == 1:
        return np.zeros(1, np.intp)
    tree = linkage(squareform(distances, checks=False), "average")
    labels = fcluster(tree, CLUSTER_THRESHOLD, "distance")
    if labels.max() < minimum:
        labels = fcluster(tree, minimum, "maxclust")
    return np.asarray(labels - 1, np.intp)


def _average_vectors(vectors: Floats, labels: Labels, frame_counts: Labels) -> Floats:
    """Return the mean vector of each group, at length one."""
    sums = np.zeros((int(labels.max()) + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, labels, vectors * frame_counts[:, None])
    vectors_by_group: Floats = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return vectors_by_group


def _select_voices(
    labels: Labels, frame_counts: Labels, minimum: int, maximum: int | None
) -> Sequence[int]:
    """Return the groups that are voices, those with most speech first."""
    totals = np.bincount(labels, weights=frame_counts)
    threshold = min(MIN_VOICE_FRAMES, MIN_VOICE_SHARE * totals.sum())
    ranked = np.argsort(-totals, kind="stable")
    count = max(minimum, int((totals >= threshold).sum()))
    return [int(group) for group in ranked[: min(count, maximum or count)]]


def _renumber(labels: Labels) -> Labels:
    _, firsts, numbers = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[numbers]
