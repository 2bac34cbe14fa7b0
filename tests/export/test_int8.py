"""Eight bits: close to the float network, in float where they would not be, and their price measured rightly."""

import copy

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from helpers.cutout.predictors import OnnxPredictor, TorchPredictor
from helpers.export.int8 import cost_of, quantise
from helpers.networks.onnx_export import save, to_onnx
from helpers.synthetic.dataset import make_portrait
from helpers.u2net import U2Net

SIZE, FLOAT = 64, onnx.TensorProto.FLOAT
CANCELLING = "decoder.4.up.0.conv"


@pytest.fixture(scope="module")
def photos():
    return [make_portrait(seed, SIZE).image for seed in range(6)]


@pytest.fixture(scope="module")
def network(tiny, photos):
    """The tiny network, its batch norms fitted to the photos and its last maps told apart."""
    torch.manual_seed(4)
    model = U2Net(tiny)
    with torch.no_grad():
        for _ in range(20):
            model(torch.from_numpy(np.stack(photos)).permute(0, 3, 1, 2) / 64 - 2)
        for side in model.sides:
            side.weight.mul_(6)
    return model.eval()


@pytest.fixture(scope="module")
def delicate(network):
    """The same with two channels alike, of which a later convolution takes the difference, times a hundred."""
    model = copy.deepcopy(network)
    block, reader = model.decoder[4].up[1], model.decoder[4].up[0].conv
    with torch.no_grad():
        for tensor in (block.conv.weight, block.conv.bias, *block.norm.parameters(), *block.norm.buffers()):
            if tensor.ndim:  # all but the counter of batches
                tensor[1] = tensor[0]
        reader.weight[:, 0] += 100
        reader.weight[:, 1] -= 100
    return model


@pytest.fixture(scope="module")
def quantised(network, photos):
    return quantise(network, {"config": {"image_size": SIZE}}, photos, SIZE)


def fused_of(made, photos, folder):
    """Maps (B, SIZE, SIZE) of square photos by an ONNX model."""
    save(made, folder / "made.onnx")
    return OnnxPredictor(folder / "made.onnx", "cpu")(np.stack(photos).transpose(0, 3, 1, 2))


def test_integers_answer_nearly_as_floats_do(network, quantised, float32, tmp_path):
    made, left = quantised
    unseen = [make_portrait(seed, SIZE).image for seed in range(20, 24)]
    exact = TorchPredictor(network, float32)(np.stack(unseen).transpose(0, 3, 1, 2))
    found = fused_of(made, unseen, tmp_path)
    assert left == []
    assert 0 < np.abs(found - exact).mean() < 0.05 * exact.std()


def test_all_hidden_convolutions_have_integer_weights_and_the_maps_float_ones(quantised):
    made, _ = quantised
    kinds = {each.name: each.data_type for each in made.graph.initializer}
    tables = {each.name: numpy_helper.to_array(each) for each in made.graph.initializer}
    producers = {node.output[0]: node for node in made.graph.node}
    for node in made.graph.node:
        if node.op_type != "Conv":
            continue
        weight = node.input[1]
        if node.name.startswith(("sides", "fuse")):
            assert kinds[weight] == FLOAT
        else:
            integers = tables[producers[weight].input[0]]
            assert integers.dtype == np.int8
            assert 60 < np.abs(integers.astype(int)).max() <= 64  # seven bits: no overflow on any processor


def test_the_notes_and_the_form_stay(quantised, network):
    made, _ = quantised
    exact = to_onnx(network, {"config": {"image_size": SIZE}})
    assert made.metadata_props == exact.metadata_props
    assert made.ir_version == exact.ir_version
    assert {each.domain: each.version for each in made.opset_import}[""] == exact.opset_import[0].version
    assert made.graph.input == exact.graph.input
    assert [each.name for each in made.graph.output] == [each.name for each in exact.graph.output]


def test_a_small_difference_of_large_values_stays_in_float(delicate, photos, float32, tmp_path):
    made, left = quantise(delicate, {}, photos, SIZE)
    exact = TorchPredictor(delicate, float32)(np.stack(photos).transpose(0, 3, 1, 2))
    assert left == [CANCELLING]
    assert np.abs(fused_of(made, photos, tmp_path) - exact).mean() < 0.03 * exact.std()
    producers = {output: node for node in made.graph.node for output in node.output}
    convolution = next(node for node in made.graph.node if node.name == CANCELLING)
    assert producers[convolution.input[0]].op_type == "Concat"  # of an integer input ONNX Runtime would make integers
    assert convolution.input[1] in {each.name for each in made.graph.initializer if each.data_type == FLOAT}


def test_the_price_is_the_difference_of_the_errors(network, quantised, float32, tmp_path):
    save(to_onnx(network), tmp_path / "exact.onnx")
    save(quantised[0], tmp_path / "int8.onnx")
    portraits = [make_portrait(seed, SIZE) for seed in (30, 31)]
    cost = cost_of(tmp_path / "exact.onnx", tmp_path / "int8.onnx", ((p.image, p.matte) for p in portraits), SIZE)
    images = np.stack([portrait.image for portrait in portraits]).transpose(0, 3, 1, 2)
    truths = np.stack([portrait.matte for portrait in portraits]) / 255
    exact = np.abs(TorchPredictor(network, float32)(images) - truths).mean()
    rounded = np.abs(OnnxPredictor(tmp_path / "int8.onnx", "cpu")(images) - truths).mean()
    assert cost.pictures == 2
    assert cost.exact_mad == pytest.approx(exact, abs=1e-5)
    assert cost.mad == pytest.approx(rounded, abs=1e-5)
    assert abs(exact - rounded) > 1e-4  # or they could be swapped unseen
    assert cost.seconds > 0 and cost.exact_seconds > 0
