"""Follows known voices through the speech: who is heard in each tenth of a second."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture

from engines.voices.cepstra import Frames
from engines.voices.speech import runs

Places = NDArray[np.intp]
Numbers = NDArray[np.float64]

#: Frames that are decided together.
STEP = 10
#: Log likelihood that a change of speaker costs: one that lasts less than about a second does not
#: pay. Anything from 40 to 100 gives the same turns within a percent.
CHANGE = 60.0
#: The same where the speaker before has paused for more than PAUSE frames: people change there.
CHANGE_AFTER_PAUSE = 20.0
PAUSE = 20
#: Gaussians a voice, and frames for one of them.
GAUSSIANS, FRAMES_EACH = 4, 60
#: Frames that a voice is learnt from; more make it slower, not better.
ENOUGH = 10_000


def follow(sound: Frames, times: Places, voices: Sequence[Places]) -> list[Places]:
    """Learn each voice from its frames, then share all frames out anew among the voices.

    *times* are the numbers of the frames in the recording. A voice that gets nothing is gone.
    """
    if len(voices) == 1:
        return [np.arange(len(sound))]
    likely = np.stack([_learn(sound[voice]).score_samples(sound) for voice in voices], axis=1)
    steps = np.concatenate([np.arange(run[0], run[-1] + 1, STEP) for run in runs(times)])
    paused = np.diff(times, prepend=times[0])[steps] > PAUSE
    costs = np.where(paused, CHANGE_AFTER_PAUSE, CHANGE)
    path = best_path(np.add.reduceat(likely, steps, axis=0), costs)
    owners = np.repeat(path, np.diff(steps, append=len(sound)))
    return [np.flatnonzero(owners == voice) for voice in np.unique(owners)]


def _learn(frames: Frames) -> GaussianMixture:
    some = frames[:: -(-len(frames) // ENOUGH)]
    mixture = GaussianMixture(
        min(GAUSSIANS, max(1, len(some) // FRAMES_EACH)),
        covariance_type="diag",
        reg_covar=0.1,
        tol=1e-2,
        max_iter=200,
        init_params="k-means++",
        random_state=0,
    )
    return mixture.fit(some)


def best_path(likely: Numbers, costs: Numbers) -> Places:
    """Viterbi: the most likely column in each row, when changing to row *i* costs ``costs[i]``."""
    came_from = np.tile(np.arange(likely.shape[1]), (len(likely), 1))
    best = likely[0]
    for row in range(1, len(likely)):
        leader = int(best.argmax())
        changed = best[leader] - costs[row]
        came_from[row, best < changed] = leader
        best = np.maximum(best, changed) + likely[row]

    path = np.empty(len(likely), np.intp)
    path[-1] = best.argmax()
    for row in range(len(likely) - 1, 0, -1):
        path[row - 1] = came_from[row, path[row]]
    return path
