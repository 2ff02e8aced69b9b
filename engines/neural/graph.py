"""Build ONNX graphs from weights, with one method per kind of layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from engines.neural.checkpoint import Tensors

#: Versions of the operators; old enough for every supported onnxruntime.
OPSET, IR_VERSION = 17, 8
#: Added to the variance in batch and instance normalization.
EPSILON = 1e-5


class Graph:
    """A network under construction; each method adds a layer and returns the name of its output."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}

    def tensor(self, name: str) -> NDArray[Any]:
        """Return a weight of the network as read."""
        return self._tensors[name]

    def has_tensor(self, name: str) -> bool:
        return name in self._tensors

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Add a constant to the graph."""
        name = f"c{len(self._constants)}"
        array = np.ascontiguousarray(value, dtype)
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add an ONNX operator."""
        output = f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def conv(self, x: str, name: str, **attributes: Any) -> str:
        """Add a convolution with the weights of that name, and the bias if there is one."""
        inputs = [self.constant(self.tensor(f"{name}.weight"))]
        if self.has_tensor(f"{name}.bias"):
            inputs.append(self.constant(self.tensor(f"{name}.bias")))
        return self.node("Conv", x, *inputs, **attributes)

    def batch_norm(self, x: str, name: str) -> str:
        """Add batch normalization in inference mode."""
        mean, variance = self.tensor(f"{name}.running_mean"), self.tensor(f"{name}.running_var")
        has_scale = self.has_tensor(f"{name}.weight")
        scale = self.tensor(f"{name}.weight") if has_scale else np.ones_like(mean)
        shift = self.tensor(f"{name}.bias") if has_scale else np.zeros_like(mean)
        values = [self.constant(value) for value in (scale, shift, mean, variance)]
        return self.node("BatchNormalization", x, *values, epsilon=EPSILON)

    def instance_norm(self, x: str, name: str) -> str:
        values = [self.constant(self.tensor(f"{name}.{part}")) for part in ("weight", "bias")]
        return self.node("InstanceNormalization", x, *values, epsilon=EPSILON)

    def linear(self, x: str, name: str) -> str:
        """Add a dense layer over the last axis."""
        weight = self.constant(self.tensor(f"{name}.weight").T)
        product = self.node("MatMul", x, weight)
        return self.node("Add", product, self.constant(self.tensor(f"{name}.bias")))

    def build_model(
        self, output_name: str, input_shape: Sequence[str | int], output_shape: Sequence[str | int]
    ) -> bytes:
        """Return the model from ``input`` to ``output``; a name in a shape is a free dimension."""
        self._nodes.append(helper.make_node("Identity", [output_name], ["output"]))
        graph = helper.make_graph(
            self._nodes,
            "net",
            [helper.make_tensor_value_info("input", TensorProto.FLOAT, list(input_shape))],
            [helper.make_tensor_value_info("output", TensorProto.FLOAT, list(output_shape))],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return bytes(model.SerializeToString())
