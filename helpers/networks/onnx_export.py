"""A network as one ONNX file, for any batch and any size, its batch norms folded into the convolutions before them.

The forward pass is recorded with torch.fx, and each of the few operations that these networks are made of is written
down in ONNX. `torch.onnx.export` makes a file that is no faster, in far more time, and needs onnxscript.
"""

import json
import operator
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
import torch
import torch.nn.functional as F
from onnx import TensorProto, helper, numpy_helper
from torch import fx, nn

from helpers.files.atomic import whole_file
from helpers.networks.fuse import fused
from helpers.networks.knet import apply_kernels, gather_features, person_logits
from helpers.networks.registry import read_network
from helpers.u2net import pool, resize_like

OPSET, IR_VERSION = 18, 10
"""The oldest set of operations that is enough, and a file version that ONNX Runtime reads from 1.18 on."""

INPUT, FUSED = "input", "fused"


def write_onnx(weights: Path | str, out: Path | str) -> None:
    """Write the network in the checkpoint or weight file `weights` to `out`, in single precision.

    The file's one input is `input`: (batch, 3, height, width) float32 as `helpers.u2net.normalise` gives it, of any
    size from 32 up. Its outputs are (batch, 1, height, width) in [0, 1]: `fused` first, then `side1`, `side2`, …; of a
    ResNet U-Net, which has no fusion, its map of the full resolution stands as `fused`. Network, table and config are
    in the file's metadata as JSON. Errors as in `helpers.networks.registry.read_network`.
    """
    save(to_onnx(*read_network(weights)), out)


def save(model: Any, out: Path | str) -> None:
    """Write an `onnx.ModelProto` to `out`, whole or not at all."""
    with whole_file(out) as temporary:
        temporary.write_bytes(model.SerializeToString())


def to_onnx(model: nn.Module, notes: Mapping[str, Any] | None = None) -> Any:
    """The `onnx.ModelProto` of a network of `helpers.networks.registry` as `write_onnx` describes it, checked.

    Its convolutions have the names of the network's modules. `notes` is a dict of plain values for the metadata. Raises
    ValueError naming a layer or operation that is not known here.
    """
    translator = _Translator(fused(model))
    outputs = translator.translate()
    names = [FUSED, *(f"side{i}" for i in range(1, len(outputs)))]
    nodes = translator.nodes + [
        helper.make_node("Identity", [value], [name], name) for value, name in zip(outputs, names)
    ]
    graph = helper.make_graph(
        nodes, type(model).__name__, [_image(INPUT, 3)], [_image(name, 1) for name in names], translator.weights
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    helper.set_model_props(made, {key: json.dumps(value) for key, value in (notes or {}).items()})
    onnx.checker.check_model(made, full_check=True)
    return made


def _image(name, channels):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, "height", "width"])


def _nothing(translator, node):
    """A folded batch norm, or a conversion to the type that all values have already."""
    return translator.values[node.args[0]]


def _plain(kind):
    """How to write down an operation that is one of ONNX's as it stands."""
    return lambda translator, node: translator._add(kind, node, node.args)


class _Tracer(fx.Tracer):
    """Records the forward pass down to single layers. A function that looks at sizes is recorded as one call."""

    def __init__(self) -> None:
        super().__init__(autowrap_functions=(pool, resize_like, apply_kernels, gather_features, person_logits))

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not list(module.children())


class _Translator:
    """Writes the nodes of a recorded forward pass as ONNX nodes; values have the names of the recorded ones."""

    def __init__(self, model: nn.Module) -> None:
        self.modules, self.parameters = dict(model.named_modules()), dict(model.named_parameters())
        self.graph = _Tracer().trace(model)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.values: dict[Any, Any] = {}

    def translate(self):
        """Fills `nodes` and `weights`; returns the names of the outputs."""
        for node in self.graph.nodes:
            if node.op == "output":
                return [self.values[each] for each in node.args[0]]
            self.values[node] = INPUT if node.op == "placeholder" else self._one(node)

    def _one(self, node):
        if node.op == "get_attr":
            return self._constant(node.target, self.parameters[node.target])
        layer = self.modules[node.target] if node.op == "call_module" else None
        write = self.LAYERS.get(type(layer)) or self.FUNCTIONS.get(node.target)
        if write is None:
            raise ValueError(f"the network's {node.op} {layer or node.target} has no translation into ONNX here")
        return write(self, node)

    def _add(self, kind, node, inputs, name=None, **attributes):
        names = [self.values[each] if isinstance(each, fx.Node) else each for each in inputs]
        self.nodes.append(helper.make_node(kind, names, [node.name], name or node.name, **attributes))
        return node.name

    def _conv(self, node):
        conv, inputs = self.modules[node.target], [node.args[0]]
        for kind in ("weight", "bias"):
            inputs.append(self._constant(f"{node.target}.{kind}", getattr(conv, kind).float()))
        return self._add("Conv", node, inputs, node.target, kernel_shape=conv.kernel_size, strides=conv.stride,
                         pads=conv.padding * 2, dilations=conv.dilation, group=conv.groups)  # fmt: skip

    def _max_pool(self, node):
        layer = self.modules[node.target]
        side, stride, padding = layer.kernel_size, layer.stride, layer.padding
        return self._add("MaxPool", node, node.args, kernel_shape=[side] * 2, strides=[stride] * 2, pads=[padding] * 4)

    def _halve(self, node):
        return self._add("MaxPool", node, node.args, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)

    def _resize(self, node):
        x, target = (self.values[each] for each in node.args)
        batch, size, shape = (f"{node.name}_{part}" for part in ("batch", "size", "shape"))
        # all four sizes: where ONNX Runtime moves the channels to the end, it overlooks that `axes` names only two
        self.nodes += [
            helper.make_node("Shape", [x], [batch], batch, end=2),
            helper.make_node("Shape", [target], [size], size, start=2),
            helper.make_node("Concat", [batch, size], [shape], shape, axis=0),
        ]
        return self._add("Resize", node, [x, "", "", shape], mode="linear")

    def _linear(self, node):
        layer, matrix, bias = self.modules[node.target], f"{node.target}.weight", f"{node.target}.bias"
        self._constant(matrix, layer.weight.T)
        self._constant(bias, layer.bias)
        product = f"{node.name}_product"
        self.nodes.append(helper.make_node("MatMul", [self.values[node.args[0]], matrix], [product], product))
        return self._add("Add", node, [product, bias])

    def _layer_norm(self, node):
        layer, inputs = self.modules[node.target], [node.args[0]]
        for kind in ("weight", "bias"):
            inputs.append(self._constant(f"{node.target}.{kind}", getattr(layer, kind)))
        return self._add("LayerNormalization", node, inputs, axis=-1, epsilon=layer.eps)

    def _multiply(self, node):
        inputs = list(node.args)
        if isinstance(inputs[1], float):
            inputs[1] = self._constant(f"{node.name}_factor", torch.tensor(inputs[1]))
        return self._add("Mul", node, inputs)

    def _swap_last_two(self, node):
        return self._add("Transpose", node, node.args[:1], perm=[0, 2, 1])

    def _softmax(self, node):
        return self._add("Softmax", node, node.args, axis=node.kwargs["dim"])

    def _flat(self, node, features):
        """The name of a (B, C, H, W) value as (B, C, H·W)."""
        flat = f"{node.name}_{self.values[features]}_flat"
        shape = self._constant(f"{flat}_shape", torch.tensor([0, 0, -1]))  # 0 keeps the size as it was
        self.nodes.append(helper.make_node("Reshape", [self.values[features], shape], [flat], flat))
        return flat

    def _apply_kernels(self, node):
        kernels, features = node.args
        product, count, size, shape = (f"{node.name}_{part}" for part in ("product", "count", "size", "shape"))
        self.nodes += [
            helper.make_node("MatMul", [self.values[kernels], self._flat(node, features)], [product], product),
            helper.make_node("Shape", [product], [count], count, end=2),
            helper.make_node("Shape", [self.values[features]], [size], size, start=2),
            helper.make_node("Concat", [count, size], [shape], shape, axis=0),
        ]
        return self._add("Reshape", node, [product, shape])

    def _gather_features(self, node):
        masks, features = (self._flat(node, value) for value in node.args)
        columns, product, count, number = (f"{node.name}_{part}" for part in ("columns", "sum", "count", "number"))
        self.nodes += [
            helper.make_node("Transpose", [features], [columns], columns, perm=[0, 2, 1]),
            helper.make_node("MatMul", [masks, columns], [product], product),
            helper.make_node("Shape", [masks], [count], count, start=2),
            helper.make_node("Cast", [count], [number], number, to=TensorProto.FLOAT),
        ]
        return self._add("Div", node, [product, number])

    def _person_logits(self, node):
        parts = [f"{node.name}_person", f"{node.name}_background"]
        self.nodes.append(
            helper.make_node("Split", [self.values[node.args[0]]], parts, f"{node.name}_split", axis=1, num_outputs=2)
        )
        return self._add("Sub", node, parts)

    def _constant(self, name, tensor):
        """Store a tensor under a name, once; returns the name."""
        if all(stored.name != name for stored in self.weights):
            self.weights.append(numpy_helper.from_array(tensor.detach().contiguous().numpy(), name))
        return name

    def _concat(self, node):
        return self._add("Concat", node, node.args[0], axis=node.kwargs["dim"])

    LAYERS = {
        nn.Conv2d: _conv, nn.MaxPool2d: _max_pool, nn.ReLU: _plain("Relu"), nn.Identity: _nothing,
        nn.Linear: _linear, nn.LayerNorm: _layer_norm,
    }  # fmt: skip
    FUNCTIONS = {
        pool: _halve, resize_like: _resize, torch.cat: _concat, F.relu: _plain("Relu"),
        torch.sigmoid: _plain("Sigmoid"), operator.add: _plain("Add"), "float": _nothing, operator.mul: _multiply,
        operator.matmul: _plain("MatMul"), "transpose": _swap_last_two, torch.softmax: _softmax,
        apply_kernels: _apply_kernels, gather_features: _gather_features, person_logits: _person_logits,
    }  # fmt: skip
