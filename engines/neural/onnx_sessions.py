"""Nets that are ready to run: on one thread of the processor, with the same numbers each time."""

from __future__ import annotations

import numpy as np
import onnxruntime

from engines.arrays import Floats


class Net:
    """A net from one input to one output."""

    def __init__(self, model: bytes) -> None:
        options = onnxruntime.SessionOptions()
        # One thread: worker processes share the cores, and sums come out the same each time.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )

    def run(self, batch: Floats) -> Floats:
        """The output of a batch, an array of what the net's graph says."""
        [output] = self._session.run(["output"], {"input": batch})
        return np.asarray(output, np.float32)
