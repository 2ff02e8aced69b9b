"""Follow known voices through the speech: assign a voice to each tenth of a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.mixture import GaussianMixture

from engines.arrays import Doubles, FrameIndices, Frames
from engines.speaker_features.voice_activity import split_runs

#: Frames that are assigned together.
STEP_FRAMES = 10
#: Log likelihood that a change of speaker costs: changes for less than about a second do not pay
#: off. Any value from 40 to 100 gives the same turns within a percent.
CHANGE_COST = 60.0
#: The same after a pause of more than `PAUSE_FRAMES`, where changes of speaker are more likely.
PAUSE_CHANGE_COST = 20.0
PAUSE_FRAMES = 20
#: Gaussians per voice, and frames needed for each.
GAUSSIANS, FRAMES_EACH = 4, 60
#: Frames used to train a voice; more are slower, not better.
MAX_TRAINING_FRAMES = 10_000


def resegment(
    features: Frames, frame_numbers: FrameIndices, voices: Sequence[FrameIndices]
) -> list[FrameIndices]:
    """Train each voice on its frames, then reassign all frames to the voices.

    *frame_numbers* are the numbers of the frames in the recording. A voice without frames is
    dropped.
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
    """Return the likeliest column of each row (Viterbi); a change at row *i* costs ``costs[i]``."""
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
