"""Detect which of up to three speakers speak, in overlapping windows of ten seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engines.arrays import Floats
from engines.neural.onnx_sessions import Net

#: Samples of a window, and from one frame of the network to the next.
WINDOW_SAMPLES, FRAME_SAMPLES = 160_000, 270
HOP_FRAMES = 148  # frames from one window to the next: two and a half seconds
HOP_SAMPLES = HOP_FRAMES * FRAME_SAMPLES
#: The set of speakers that each class of the network stands for.
_SETS = np.array(
    [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 1]], np.float32
)
#: Windows per batch.
_BATCH_WINDOWS = 8


@dataclass(frozen=True, slots=True)
class Windows:
    """Output of the network for a recording."""

    #: Likelihood, 0 to 1, that each local speaker speaks: ``(windows, frames, 3)``. The order of
    #: speakers may differ from window to window.
    activity: Floats


def segment(net: Net, samples: Floats) -> Windows:
    """Segment *samples*: 16 kHz, mono, -1 to 1. The last window is padded with silence."""
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
