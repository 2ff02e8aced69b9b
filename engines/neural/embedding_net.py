"""The network CAM++ as an ONNX graph: the voice of a piece of speech as 192 numbers.

The layers are those of Wang et al., "CAM++: A fast and efficient network for speaker verification
using context-aware masking", 2023: convolutions over time and frequency, then densely connected
time-delay layers, each masked by its context.
"""

from __future__ import annotations

import numpy as np

from engines.neural.checkpoint import Tensors
from engines.neural.graph import Graph

#: Number of layers of each dense block, and the dilation of their kernels.
_BLOCKS = ((12, 1), (24, 2), (16, 2))
#: Frames that share a mask.
_MASK_FRAMES = 100


def build(tensors: Tensors) -> bytes:
    """Build the graph from mel log energies ``(batch, frames, 80)`` to voices ``(batch, 192)``."""
    graph = Graph(tensors)
    x = graph.node("Transpose", "input", perm=[0, 2, 1])
    x = _head(graph, x)
    x = graph.conv(x, "xvector.tdnn.linear", strides=[2], pads=[2, 2])
    x = _norm(graph, x, "xvector.tdnn.nonlinear")
    for number, (layers, reach) in enumerate(_BLOCKS, 1):
        for layer in range(1, layers + 1):
            output = _dense(graph, x, f"xvector.block{number}.tdnnd{layer}", reach)
            x = graph.node("Concat", x, output, axis=1)
        x = _norm(graph, x, f"xvector.transit{number}.nonlinear")
        x = graph.conv(x, f"xvector.transit{number}.linear")
    x = _pool_statistics(graph, _norm(graph, x, "xvector.out_nonlinear"))
    x = graph.conv(x, "xvector.dense.linear")
    x = graph.batch_norm(x, "xvector.dense.nonlinear.batchnorm")
    x = graph.node("Squeeze", x, graph.constant([2], np.int64))
    return graph.build_model(x, ("batch", "frames", 80), ("batch", 192))


def _head(graph: Graph, x: str) -> str:
    """Add convolutions over time and frequency; they reduce the frequencies to an eighth."""
    x = graph.node("Unsqueeze", x, graph.constant([1], np.int64))
    x = _relu(graph, graph.batch_norm(_conv2(graph, x, "head.conv1", 1), "head.bn1"))
    for layer in (1, 2):
        x = _residual(graph, x, f"head.layer{layer}.0", 2)
        x = _residual(graph, x, f"head.layer{layer}.1", 1)
    x = _relu(graph, graph.batch_norm(_conv2(graph, x, "head.conv2", 2), "head.bn2"))
    # Merge channels and frequencies: the input is batch, channels, frequencies, frames.
    shape = graph.node("Shape", x)
    ends = graph.node("Gather", shape, graph.constant([0, 3], np.int64))
    batch, frames = (
        graph.node("Gather", ends, graph.constant([index], np.int64)) for index in (0, 1)
    )
    flat = graph.node("Concat", batch, graph.constant([-1], np.int64), frames, axis=0)
    return graph.node("Reshape", x, flat)


def _residual(graph: Graph, x: str, name: str, stride: int) -> str:
    y = _conv2(graph, x, f"{name}.conv1", stride)
    y = _relu(graph, graph.batch_norm(y, f"{name}.bn1"))
    y = graph.batch_norm(_conv2(graph, y, f"{name}.conv2", 1), f"{name}.bn2")
    if graph.has_tensor(f"{name}.shortcut.0.weight"):
        x = graph.conv(x, f"{name}.shortcut.0", strides=[stride, 1])
        x = graph.batch_norm(x, f"{name}.shortcut.1")
    return _relu(graph, graph.node("Add", y, x))


def _conv2(graph: Graph, x: str, name: str, stride: int) -> str:
    return graph.conv(x, name, strides=[stride, 1], pads=[1, 1, 1, 1])


def _dense(graph: Graph, x: str, name: str, reach: int) -> str:
    x = graph.conv(_norm(graph, x, f"{name}.nonlinear1"), f"{name}.linear1")
    x = _norm(graph, x, f"{name}.nonlinear2")
    local = graph.conv(x, f"{name}.cam_layer.linear_local", dilations=[reach], pads=[reach, reach])
    mean = graph.node("ReduceMean", x, axes=[2], keepdims=1)
    context = graph.node("Add", _average_blocks(graph, x), mean)
    context = _relu(graph, graph.conv(context, f"{name}.cam_layer.linear1"))
    mask = graph.node("Sigmoid", graph.conv(context, f"{name}.cam_layer.linear2"))
    return graph.node("Mul", local, mask)


def _average_blocks(graph: Graph, x: str) -> str:
    """Add the mean of every `_MASK_FRAMES` frames, repeated for each of them."""
    means = graph.node(
        "AveragePool", x, kernel_shape=[_MASK_FRAMES], strides=[_MASK_FRAMES], ceil_mode=1
    )
    deep = graph.node("Unsqueeze", means, graph.constant([3], np.int64))
    wide = graph.node("Expand", deep, graph.constant([1, 1, 1, _MASK_FRAMES], np.int64))
    flat = graph.node("Reshape", wide, graph.constant([0, 0, -1], np.int64))
    frames = graph.node("Gather", graph.node("Shape", x), graph.constant([2], np.int64))
    start, axis = graph.constant([0], np.int64), graph.constant([2], np.int64)
    return graph.node("Slice", flat, start, frames, axis)


def _pool_statistics(graph: Graph, x: str) -> str:
    """Add mean and standard deviation over time, ``(batch, channels, 1)``."""
    mean = graph.node("ReduceMean", x, axes=[2], keepdims=1)
    centered = graph.node("Sub", x, mean)
    squares = graph.node(
        "ReduceSum", graph.node("Mul", centered, centered), graph.constant([2], np.int64)
    )
    frames = graph.node("Gather", graph.node("Shape", x), graph.constant([2], np.int64))
    degrees = graph.node("Sub", graph.node("Cast", frames, to=1), graph.constant([1.0]))
    deviation = graph.node("Sqrt", graph.node("Div", squares, degrees))
    return graph.node("Concat", mean, deviation, axis=1)


def _norm(graph: Graph, x: str, name: str) -> str:
    return _relu(graph, graph.batch_norm(x, f"{name}.batchnorm"))


def _relu(graph: Graph, x: str) -> str:
    return graph.node("Relu", x)
