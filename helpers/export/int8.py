"""A network in eight-bit integers: calibrated on pictures, with fragile layers in float; its cost is measured.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018,
by ONNX Runtime: weights symmetric with a scale for each channel, activations with one for each tensor.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import nn

from helpers.cutout.matter import shrink
from helpers.cutout.predictors import OnnxPredictor
from helpers.networks.fuse import fused
from helpers.networks.onnx_export import INPUT, to_onnx
from helpers.u2net import normalise

TOLERATED = 0.1
"""The share of a convolution's variance that rounding may destroy. In the original u2netp.pth one convolution takes
small differences of large values and loses a multiple of it. The next worst one loses less than a hundredth."""

WATCHED = 4
"""The number of pictures on which this loss is measured."""


class Cost(NamedTuple):
    """Cost and gain of eight bits: mean absolute errors of alpha, and median seconds per picture, of both files."""

    pictures: int
    mad: float
    exact_mad: float
    seconds: float
    exact_seconds: float


def quantise(
    model: nn.Module, notes: Mapping[str, Any], photos: Iterable[NDArray], size: int
) -> tuple[onnx.ModelProto, list[str]]:
    """The int8 `onnx.ModelProto` of a network, and the names of its hidden convolutions that stay in float.

    `notes` as in `helpers.networks.onnx_export.to_onnx`. `photos`, (H, W, 3) uint8 RGB, are like those that will be cut
    out. The network sees them at `size`, and no value inside it can become larger than on these. The side
    outputs and their fusion stay in float: they are the result, and cheap.
    """
    exact, inputs = to_onnx(model, notes), [_input_of(photo, size) for photo in photos]
    fragile = _fragile(fused(model), exact.graph, inputs[:WATCHED])
    joining = _joining(exact.graph)
    left = [*_heads(exact.graph), *fragile, *(joining[name] for name in fragile)]
    with TemporaryDirectory(prefix="portrait-int8-") as folder:
        prepared, out = Path(folder, "prepared.onnx"), Path(folder, "int8.onnx")
        quant_pre_process(exact, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            prepared, out, _Inputs(inputs), per_channel=True, activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8, nodes_to_exclude=left,
            reduce_range=True,  # 7 bits: processors without VNNI add two products of 8 bits in 16, which overflow
        )  # fmt: skip
        rounded = onnx.load(out)
    del rounded.metadata_props[:]
    rounded.metadata_props.extend(exact.metadata_props)
    return rounded, fragile


def cost_of(exact: Path, quantised: Path, pairs: Iterable[tuple[NDArray, NDArray]], size: int) -> Cost:
    """The `Cost` of the `quantised` ONNX file against the `exact` one, computed by turns on the same pictures.

    `pairs` yields photos (H, W, 3) and ground truths (H, W), both uint8; errors are means over all pixels of the
    photo as the network sees it.
    """
    predictors = OnnxPredictor(exact, "cpu"), OnnxPredictor(quantised, "cpu")
    errors, seconds = [], []
    for photo, truth in pairs:
        small = shrink(photo, size)
        truth = cv2.resize(truth, small.shape[1::-1], interpolation=cv2.INTER_AREA) / 255
        for predict in predictors:
            start = time.perf_counter()
            alpha = predict(small.transpose(2, 0, 1)[None])[0]
            seconds.append(time.perf_counter() - start)
            errors.append(np.abs(alpha - truth).mean())
    return Cost(len(errors) // 2, float(np.mean(errors[1::2])), float(np.mean(errors[::2])),
                float(np.median(seconds[1::2])), float(np.median(seconds[::2])))  # fmt: skip


def _input_of(photo: NDArray, size: int) -> NDArray:
    """(1, 3, h, w) float32: a photo as the network sees it."""
    return normalise(torch.from_numpy(shrink(photo, size)).permute(2, 0, 1)[None]).numpy()


class _Inputs(CalibrationDataReader):
    def __init__(self, inputs: Iterable[NDArray]) -> None:
        self.inputs = iter(inputs)

    def get_next(self) -> dict[str, NDArray] | None:
        """The next input by its name, None after the last."""
        x = next(self.inputs, None)
        return None if x is None else {INPUT: x}


def _fragile(model: nn.Module, graph: onnx.GraphProto, inputs: Sequence[NDArray]) -> list[str]:
    """Names of the hidden convolutions of joined values that would lose more than `TOLERATED` by rounding.

    Only joined ones: ONNX Runtime quantises every convolution whose input is quantised because others read it too.
    `model` is the network with its batch norms folded.
    """
    joining, heads = _joining(graph), _heads(graph)
    names = {layer: name for name, layer in model.named_modules() if name in joining and name not in heads}
    fragile = set()

    def look(layer: Any, inputs: Any, exact: Any) -> None:
        x, step = inputs[0], (inputs[0].max() - inputs[0].min()).clamp(min=1e-12) / 255
        steps = layer.weight.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-12) / 63  # 7 bits
        x, weight = (x / step).round() * step, (layer.weight / steps).round() * steps
        rounded = F.conv2d(x, weight, layer.bias, layer.stride, layer.padding, layer.dilation)
        if (rounded - exact).square().mean() > TOLERATED * exact.var():
            fragile.add(names[layer])

    for layer in names:
        layer.register_forward_hook(look)
    with torch.inference_mode():
        for x in inputs:
            model(torch.from_numpy(x))
    return sorted(fragile)


def _joining(graph: onnx.GraphProto) -> dict[str, str]:
    """{convolution: what joins its input}, by name, for those whose input is a concatenation."""
    joints = {node.output[0]: node.name for node in graph.node if node.op_type == "Concat"}
    return {node.name: joints[node.input[0]] for node in graph.node
            if node.op_type == "Conv" and node.input[0] in joints}  # fmt: skip


def _heads(graph: onnx.GraphProto) -> list[str]:
    """Names of all layers after the last ReLU or sum: the side outputs and their fusion."""
    hidden, heads = set(), []
    for node in reversed(graph.node):
        if node.op_type in ("Relu", "Add") or node.output[0] in hidden:
            hidden.update(node.input)
        else:
            heads.append(node.name)
    return heads
