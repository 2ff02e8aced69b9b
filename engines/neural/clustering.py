"""Puts pieces of speech together that have one voice, and so counts the voices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from engines.neural.sessions import Floats

Labels = NDArray[np.intp]

#: Mean distance (1 - cosine) of two groups of pieces from which they are two voices. On the
#: recordings that it was chosen by, all from 0.45 to 0.65 are equally good.
TWO_VOICES = 0.55
#: How much nearer two pieces are because the segmentation never lost their speaker from sight.
SAME_TRACK = 0.15
#: Frames of speech that make a voice, two and a half seconds; in a short recording a tenth of the
#: speech will do. Whoever says less is taken for the most similar voice.
LEAST_VOICE, LEAST_SHARE = 148, 0.1
#: Pieces that are compared with each other: time and memory grow with the square of this.
MOST_PIECES = 3000


def cluster(
    vectors: Floats, tracks: Labels, frames: Labels, least: int = 1, most: int | None = None
) -> Labels:
    """The voice of each piece, as numbers from 0 on in the order of their first pieces.

    *vectors*: of length one, a row a piece. *tracks*: which track a piece is of. *frames*: how long
    it is. *least*, *most*: how many voices there are, as far as that is known.

    Agglomerative clustering by average linkage.
    """
    chosen = _choose(len(vectors))
    labels = _group(_distances(vectors[chosen], tracks[chosen]), least)
    voices = _means(vectors[chosen], labels, frames[chosen])
    voices = voices[_substantial(labels, frames[chosen], least, most)]
    return _in_order((vectors @ voices.T).argmax(1))


def _choose(count: int) -> Labels:
    """All pieces, or of too many some that are evenly spread."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_PIECES)).astype(np.intp))


def _distances(vectors: Floats, tracks: Labels) -> Floats:
    near = vectors @ vectors.T + SAME_TRACK * (tracks[:, None] == tracks[None])
    distances = np.clip(1 - near, 0, 2)
    np.fill_diagonal(distances, 0)
    return distances


def _group(distances: Floats, least: int) -> Labels:
    """The group of each piece; as many groups as there must be, if the distances say fewer."""
    if len(distances) == 1:
        return np.zeros(1, np.intp)
    tree = linkage(squareform(distances, checks=False), "average")
    labels = fcluster(tree, TWO_VOICES, "distance")
    if labels.max() < least:
        labels = fcluster(tree, least, "maxclust")
    return np.asarray(labels - 1, np.intp)


def _means(vectors: Floats, labels: Labels, frames: Labels) -> Floats:
    """The voice of each group."""
    sums = np.zeros((int(labels.max()) + 1, vectors.shape[1]), np.float32)
    np.add.at(sums, labels, vectors * frames[:, None])
    return sums / np.linalg.norm(sums, axis=1, keepdims=True)


def _substantial(labels: Labels, frames: Labels, least: int, most: int | None) -> Sequence[int]:
    """The groups that are voices, those that say most first."""
    said = np.bincount(labels, weights=frames)
    enough = min(LEAST_VOICE, LEAST_SHARE * said.sum())
    ranked = np.argsort(-said, kind="stable")
    count = max(least, int((said >= enough).sum()))
    return ranked[: min(count, most or count)].tolist()


def _in_order(labels: Labels) -> Labels:
    _, firsts, numbers = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[numbers]
