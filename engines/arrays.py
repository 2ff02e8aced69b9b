"""Types of the arrays that engines and diarizers compute with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Numbers of frames, counted from the start of a piece of audio.
FrameIndices = NDArray[np.intp]
#: One vector of features a frame, shape (frames, features).
Frames = NDArray[np.float32]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
