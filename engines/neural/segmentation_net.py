"""The network pyannote/segmentation-3.0 as an ONNX graph: which of up to three speakers speak.

The layers are those of PyanNet: sinc filters (Ravanelli and Bengio, "Speaker recognition from raw
waveform with SincNet", 2018), three convolutions, four bidirectional LSTM layers and two dense
layers. The output has a class for each set of at most two of three speakers (Plaquet and Bredin,
"Powerset multi-class cross entropy loss for neural speaker diarization", 2023).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines import wav
from engines.neural.checkpoint import Tensors
from engines.neural.graph import Graph

#: Samples from one output of a sinc filter to the next.
STRIDE = 10
#: Lowest edge of a filter, and its minimum width (Hz).
MIN_EDGE_HZ, MIN_WIDTH_HZ = 50.0, 50.0
_POOL = 3
_LAYERS, _HIDDEN = 4, 128
_LEAK = 0.01


def build(tensors: Tensors) -> bytes:
    """Build the graph: audio ``(batch, 1, samples)`` to log likelihoods ``(batch, frames, 7)``."""
    graph = Graph(tensors)
    x = graph.instance_norm("input", "sincnet.wav_norm1d")
    filters = graph.constant(_build_sinc_filters(tensors)[:, None])
    x = graph.node("Abs", graph.node("Conv", x, filters, strides=[STRIDE]))
    x = _pool(graph, x, 0)
    for layer in (1, 2):
        x = _pool(graph, graph.conv(x, f"sincnet.conv1d.{layer}"), layer)
    x = graph.node("Transpose", x, perm=[2, 0, 1])  # frames, batch, features
    for layer in range(_LAYERS):
        x = _lstm(graph, x, layer)
    x = graph.node("Transpose", x, perm=[1, 0, 2])
    for layer in (0, 1):
        x = graph.node("LeakyRelu", graph.linear(x, f"linear.{layer}"), alpha=_LEAK)
    x = graph.node("LogSoftmax", graph.linear(x, "classifier"), axis=-1)
    return graph.build_model(x, ("batch", 1, "samples"), ("batch", "frames", 7))


def _pool(graph: Graph, x: str, layer: int) -> str:
    pooled = graph.node("MaxPool", x, kernel_shape=[_POOL], strides=[_POOL])
    normed = graph.instance_norm(pooled, f"sincnet.norm1d.{layer}")
    return graph.node("LeakyRelu", normed, alpha=_LEAK)


def _build_sinc_filters(tensors: Tensors) -> NDArray[np.float32]:
    """Return band-pass filters with learned edges, ``(filters, samples)``: even, then odd ones."""
    name = "sincnet.conv1d.0.filterbank"
    low = MIN_EDGE_HZ + np.abs(tensors[f"{name}.low_hz_"].astype(np.float64))
    high = np.clip(
        low + MIN_WIDTH_HZ + np.abs(tensors[f"{name}.band_hz_"]), MIN_EDGE_HZ, wav.RATE / 2
    )
    times, window = tensors[f"{name}.n_"], tensors[f"{name}.window_"]
    width = 2 * (high - low)
    below, above = low @ times, high @ times
    even = (np.sin(above) - np.sin(below)) / (times / 2) * window
    odd = (np.cos(below) - np.cos(above)) / (times / 2) * window
    evens = np.hstack([even, width, even[:, ::-1]]) / width
    odds = np.hstack([odd, np.zeros_like(width), -odd[:, ::-1]]) / width
    return np.vstack([evens, odds]).astype(np.float32)


def _lstm(graph: Graph, x: str, layer: int) -> str:
    """Add one bidirectional LSTM layer over ``(frames, batch, features)``."""
    sides = (f"l{layer}", f"l{layer}_reverse")
    weights = [
        graph.constant(
            np.stack([_reorder_gates(graph.tensor(f"lstm.weight_{kind}_{s}")) for s in sides])
        )
        for kind in ("ih", "hh")
    ]
    biases = np.stack(
        [
            np.concatenate(
                [_reorder_gates(graph.tensor(f"lstm.bias_{kind}_{s}")) for kind in ("ih", "hh")]
            )
            for s in sides
        ]
    )
    y = graph.node(
        "LSTM", x, *weights, graph.constant(biases), direction="bidirectional", hidden_size=_HIDDEN
    )
    both = graph.node("Transpose", y, perm=[0, 2, 1, 3])  # frames, batch, directions, features
    return graph.node("Reshape", both, graph.constant([0, 0, -1], np.int64))


def _reorder_gates(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder the gates: PyTorch has in, forget, cell, out; ONNX has in, out, forget, cell."""
    into, forget, cell, out = np.split(weight, 4)
    return np.concatenate([into, out, forget, cell])
