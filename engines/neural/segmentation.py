"""Who of up to three speakers speaks, in windows of ten seconds that overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.neural.sessions import Floats, Net

#: Samples of a window, from one to the next, and from one frame of the net to the next.
WINDOW, FRAME = 160_000, 270
HOP = 148  # frames: two and a half seconds
STEP = HOP * FRAME
#: The sets of speakers that a class of the net stands for.
_SETS = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], np.float32
)
#: Windows that the net is given at a time.
_BATCH = 8


@dataclass(frozen=True, slots=True)
class Windows:
    """What the net says of a recording."""

    #: Likelihood, 0 to 1, that each local speaker speaks: ``(windows, frames, 3)``. Who is first in
    #: one window may be third in the next.
    activity: Floats


def segment(net: Net, sound: Floats) -> Windows:
    """Look at all of *sound*: 16 kHz, mono, -1 to 1. The last window is filled up with silence."""
    count = 1 + max(0, -(-(len(sound) - WINDOW) // STEP))
    starts = range(0, count * STEP, STEP)
    found = []
    for first in range(0, count, _BATCH):
        batch = np.stack([_window(sound, start) for start in starts[first : first + _BATCH]])
        found.append(np.exp(net.run(batch[:, None])) @ _SETS)
    return Windows(np.concatenate(found))


def _window(sound: Floats, start: int) -> Floats:
    window = sound[start : start + WINDOW]
    return np.pad(window, (0, WINDOW - len(window)))
