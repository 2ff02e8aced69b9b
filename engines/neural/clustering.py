"""Puts pieces of speech together that have one voice, and so counts the voices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from engines.arrays import Floats

Labels = NDArray[np.intp]

#: Mean distance (1 - cosine) of two groups of pieces from which they are two voices. On the
#: recordings that it was chosen by, all from 0.45 to 0.65 are equally good.
CLUSTER_THRESHOLD = 0.55
#: How much nearer two pieces are because the segmentation never lost their speaker from sight.
SAME_TRACK_BONUS = 0.15
#: Frames of speech that make a voice, two and a half seconds; in a short recording a tenth of the
#: speech will do. Whoever says less is taken for the most similar voice.
MIN_VOICE_FRAMES, MIN_VOICE_SHARE = 148, 0.1
#: Pieces that are compared with each other: time and memory grow with the square of this.
MAX_PIECES = 3000


def cluster(
    vectors: Floats,
    track_numbers: Labels,
    frame_counts: Labels,
    minimum: int = 1,
    maximum: int | None = None,
) -> Labels:
    """The voice of each piece, as numbers from 0 on in the order of their first pieces.

    *vectors*: of length one, a row a piece. *track_numbers*: which track a piece is of.
    *frame_counts*: how long it is. *minimum*, *maximum*: how many voices there are, as far as that
    is known.

    Agglomerative clustering by average linkage.
    """
    sample = _sample_pieces(len(vectors))
    labels = _label_clusters(_compute_distances(vectors[sample], track_numbers[sample]), minimum)
    voices = _average_vectors(vectors[sample], labels, frame_counts[sample])
    voices = voices[_select_voices(labels, frame_counts[sample], minimum, maximum)]
    return _renumber((vectors @ voices.T).argmax(1))


def _sample_pieces(count: int) -> Labels:
    """All pieces, or of too many some that are evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, MAX_PIECES)).astype(np.intp))


def _compute_distances(vectors: Floats, track_numbers: Labels) -> Floats:
    similarity = vectors @ vectors.T + SAME_TRACK_BONUS * (
        track_numbers[:, None] == track_numbers[None]
    )
    distances: Floats = np.clip(1 - similarity, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def _label_clusters(distances: Floats, minimum: int) -> Labels:
    """The group of each piece; as many groups as there must be, if the distances say fewer."""
    if len(distances) == 1:
        return np.zeros(1, np.intp)
    tree = linkage(squareform(distances, checks=False), "average")
    labels = fcluster(tree, CLUSTER_THRESHOLD, "distance")
    if labels.max() < minimum:
        labels = fcluster(tree, minimum, "maxclust")
    return np.asarray(labels - 1, np.intp)


def _average_vectors(vectors: Floats, labels: Labels, frame_counts: Labels) -> Floats:
    """The voice of each group."""
    sums = np.zeros((int(labels.max()) + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, labels, vectors * frame_counts[:, None])
    vectors_by_group: Floats = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return vectors_by_group


def _select_voices(
    labels: Labels, frame_counts: Labels, minimum: int, maximum: int | None
) -> Sequence[int]:
    """The groups that are voices, those that say most first."""
    totals = np.bincount(labels, weights=frame_counts)
    threshold = min(MIN_VOICE_FRAMES, MIN_VOICE_SHARE * totals.sum())
    ranked = np.argsort(-totals, kind="stable")
    count = max(minimum, int((totals >= threshold).sum()))
    return [int(group) for group in ranked[: min(count, maximum or count)]]


def _renumber(labels: Labels) -> Labels:
    _, firsts, numbers = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[numbers]
