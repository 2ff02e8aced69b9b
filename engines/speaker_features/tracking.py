"""Follows known voices through the speech: who is heard in each tenth of a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.mixture import GaussianMixture

from engines.arrays import Doubles, FrameIndices, Frames
from engines.speaker_features.voice_activity import split_runs

#: Frames that are decided together.
STEP_FRAMES = 10
#: Log likelihood that a change of speaker costs: one that lasts less than about a second does not
#: pay. Anything from 40 to 100 gives the same turns within a percent.
CHANGE_COST = 60.0
#: The same where the speaker before has paused for more than `PAUSE_FRAMES`: people change there.
PAUSE_CHANGE_COST = 20.0
PAUSE_FRAMES = 20
#: Gaussians a voice, and frames for one of them.
GAUSSIANS, FRAMES_EACH = 4, 60
#: Frames that a voice is learnt from; more make it slower, not better.
MAX_TRAINING_FRAMES = 10_000


def resegment(
    features: Frames, frame_numbers: FrameIndices, voices: Sequence[FrameIndices]
) -> list[FrameIndices]:
    """Learn each voice from its frames, then share all frames out anew among the voices.

    *frame_numbers* are the numbers of the frames in the recording. A voice that gets nothing is
    gone.
    """
    if len(voices) == 1:
        return [np.arange(len(features))]
    scores = np.stack(
        [_fit_mixture(features[voice]).score_samples(features) for voice in voices], axis=1
    )
    steps = np.concatenate(
        [np.arange(run[0], run[-1] + 1, STEP_FRAMES) for run in split_runs(frame_numbers)]
    )
    paused = np.diff(frame_numbers, prepend=frame_numbers[0])[steps] > PAUSE_FRAMES
    costs = np.where(paused, PAUSE_CHANGE_COST, CHANGE_COST)
    path = find_best_path(np.add.reduceat(scores, steps, axis=0), costs)
    labels = np.repeat(path, np.diff(steps, append=len(features)))
    return [np.flatnonzero(labels == voice) for voice in np.unique(labels)]


def _fit_mixture(frames: Frames) -> GaussianMixture:
    sample = frames[:: -(-len(frames) // MAX_TRAINING_FRAMES)]
    mixture = GaussianMixture(
        min(GAUSSIANS, max(1, len(sample) // FRAMES_EACH)),
        covariance_type="diag",
        reg_covar=0.1,
        tol=1e-2,
        max_iter=200,
        init_params="k-means++",
        random_state=0,
    )
    return mixture.fit(sample)


def find_best_path(scores: Doubles, costs: Doubles) -> FrameIndices:
    """Viterbi: the most likely column in each row, when changing to row *i* costs ``costs[i]``."""
    origins = np.tile(np.arange(scores.shape[1]), (len(scores), 1))
    best = scores[0]
    for row in range(1, len(scores)):
        leader = int(best.argmax())
        switched = best[leader] - costs[row]
        origins[row, best < switched] = leader
        best = np.maximum(best, switched) + scores[row]

    path = np.empty(len(scores), np.intp)
    path[-1] = best.argmax()
    for row in range(len(scores) - 1, 0, -1):
        path[row - 1] = origins[row, path[row]]
    return path
