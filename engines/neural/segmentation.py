"""Who of up to three speakers speaks, in windows of ten seconds that overlap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.arrays import Floats
from engines.neural.onnx_sessions import Net

#: Samples of a window, from one to the next, and from one frame of the net to the next.
WINDOW_SAMPLES, FRAME_SAMPLES = 160_000, 270
HOP_FRAMES = 148  # frames: two and a half seconds
HOP_SAMPLES = HOP_FRAMES * FRAME_SAMPLES
#: The sets of speakers that a class of the net stands for.
_SETS = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], np.float32
)
#: Windows that the net is given at a time.
_BATCH_WINDOWS = 8


@dataclass(frozen=True, slots=True)
class Windows:
    """What the net says of a recording."""

    #: Likelihood, 0 to 1, that each local speaker speaks: ``(windows, frames, 3)``. Who is first in
    #: one window may be third in the next.
    activity: Floats


def segment(net: Net, samples: Floats) -> Windows:
    """Segment *samples*: 16 kHz, mono, -1 to 1. The last window is filled up with silence."""
    count = 1 + max(0, -(-(len(samples) - WINDOW_SAMPLES) // HOP_SAMPLES))
    starts = range(0, count * HOP_SAMPLES, HOP_SAMPLES)
    activities = []
    for first in range(0, count, _BATCH_WINDOWS):
        batch = np.stack(
            [_cut_window(samples, start) for start in starts[first : first + _BATCH_WINDOWS]]
        )
        activities.append(np.exp(net.run(batch[:, None])) @ _SETS)
    return Windows(np.concatenate(activities))


def _cut_window(samples: Floats, start: int) -> Floats:
    window = samples[start : start + WINDOW_SAMPLES]
    return np.pad(window, (0, WINDOW_SAMPLES - len(window)))
