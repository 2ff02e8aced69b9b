"""Networks ready to run, on one CPU thread, with reproducible results."""

from __future__ import annotations

import numpy as np
import onnxruntime

from engines.arrays import Floats


class Net:
    """A network with one input and one output."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        # One thread: worker processes share the cores, and sums are reproducible.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def run(self, batch: Floats) -> Floats:
        """Return the output of a batch, with the shapes of the network's graph."""
        [output] = self._session.run(["output"], {"input": batch})
        return np.asarray(output, np.float32)
