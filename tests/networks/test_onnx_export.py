"""The exported network answers in ONNX Runtime as it does in torch, at every size and in every batch."""

import copy
import json

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from onnxruntime import InferenceSession
from torch import nn

from helpers.files.photos import read_photo, sample_portraits
from helpers.networks import resnet_unet
from helpers.networks.onnx_export import save, to_onnx, write_onnx
from helpers.networks.registry import build, read_network
from helpers.u2net import LITE, U2Net, normalise, to_official

SHAPES = [(2, 97, 131), (1, 64, 64), (3, 33, 64), (1, 32, 32)]


def stirred(model, seed=0):
    """The model with batch norms that do something, so that folding them is seen."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.3)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.8, 1.6)
                module.bias.normal_(0, 0.3)
    return model.eval()


def answers(model, made, x):
    """What torch answers to x in double precision, and ONNX Runtime, as lists of arrays."""
    with torch.inference_mode():
        wanted = [each.numpy() for each in copy.deepcopy(model).double()(x.double())]
    found = InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"input": x.numpy()}
    )
    return wanted, found


def assert_same(model, made, shape):
    batch, height, width = shape
    wanted, found = answers(model, made, torch.randn(batch, 3, height, width))
    assert len(found) == len(wanted)
    for one, other in zip(wanted, found):
        assert other.shape == one.shape and other.dtype == np.float32
        assert np.abs(one - other).max() < 1e-4
    assert wanted[0].std() > 1e-3  # or anything would be the same


@pytest.fixture(scope="module")
def network(tiny):
    return stirred(U2Net(tiny))


@pytest.fixture(scope="module")
def exported(network):
    return to_onnx(network)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_one_file_serves_every_batch_and_size(network, exported, shape):
    assert_same(network, exported, shape)


def test_a_table_of_ones_own_is_exported():
    table = [stage._replace(mid=2, out=4) for stage in LITE]
    table[0], table[3] = table[0]._replace(height=4, mid=5), table[3]._replace(dilated=True)
    model = stirred(U2Net(table))
    assert_same(model, to_onnx(model), (2, 45, 70))


def test_a_resnet_unet_is_exported(monkeypatch):
    monkeypatch.setattr(resnet_unet, "BRIDGE", 8)
    monkeypatch.setattr(resnet_unet, "WIDTHS", (8, 7, 6, 5))
    model = stirred(build("resnet50_unet"))
    made = to_onnx(model)
    assert [each.name for each in made.graph.output] == ["fused", "side1", "side2", "side3"]
    assert_same(model, made, (2, 49, 38))


def test_the_file_is_in_the_form_that_others_expect(exported):
    assert exported.opset_import[0].version <= 21 and exported.ir_version <= 10  # what ONNX Runtime 1.19 reads
    described = {
        each.name: [size.dim_param or size.dim_value for size in each.type.tensor_type.shape.dim]
        for each in (*exported.graph.input, *exported.graph.output)
    }
    maps = ["fused", "side1", "side2", "side3", "side4", "side5", "side6"]
    assert described == {"input": ["batch", 3, "height", "width"]} | {
        name: ["batch", 1, "height", "width"] for name in maps
    }
    assert [each.name for each in exported.graph.output] == maps
    assert exported.graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT


def test_batch_norms_are_part_of_the_convolutions(network, exported):
    convolutions = {name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)}
    kinds = [node.op_type for node in exported.graph.node]
    assert {node.name for node in exported.graph.node if node.op_type == "Conv"} == convolutions
    assert "BatchNormalization" not in kinds
    assert len({node.name for node in exported.graph.node}) == len(kinds)


def test_the_file_tells_network_table_and_config(network, tiny, tmp_path):
    notes = {"network": "u2net_lite", "table": [list(stage) for stage in tiny], "config": {"image_size": 96}}
    torch.save({"model_state_dict": to_official(network), "history": {}} | notes, tmp_path / "run.pth")
    write_onnx(tmp_path / "run.pth", tmp_path / "run.onnx")
    metadata = {each.key: json.loads(each.value) for each in onnx.load(tmp_path / "run.onnx").metadata_props}
    assert metadata == notes
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.onnx", "run.pth"]


def test_the_network_itself_is_left_as_it_was(tiny):
    model = stirred(U2Net(tiny)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    to_onnx(model)
    assert model.training
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class Foreign(nn.Module):
    """Has a layer that none of the networks has."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Softmax(dim=1)

    def forward(self, x):
        return [self.layer(x)]


def test_an_unknown_layer_is_named():
    with pytest.raises(ValueError, match="Softmax.*no translation"):
        to_onnx(Foreign())


def test_a_file_without_a_network_is_named_and_nothing_is_written(tmp_path):
    torch.save({"layer.weight": torch.zeros(3)}, tmp_path / "foreign.pth")
    with pytest.raises(ValueError, match="foreign.pth.*no U²-Net weights"):
        write_onnx(tmp_path / "foreign.pth", tmp_path / "new.onnx")
    with pytest.raises(FileNotFoundError):
        write_onnx(tmp_path / "nowhere.pth", tmp_path / "new.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["foreign.pth"]


def test_an_interrupted_export_leaves_the_old_file(exported, tmp_path, monkeypatch):
    out = tmp_path / "net.onnx"
    out.write_bytes(b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="disk is full"):
        save(exported, out)
    assert out.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


def test_the_original_weights_answer_the_same_to_a_real_photo(shared):
    model, _ = read_network(shared / "weights" / "u2netp.pth")
    photo = torch.from_numpy(read_photo(sample_portraits()[0])[::3, ::3].copy())  # 200 × 171
    wanted, found = answers(model.eval(), to_onnx(model), normalise(photo.permute(2, 0, 1)[None]))
    assert max(np.abs(one - other).max() for one, other in zip(wanted, found)) < 1e-4
    assert wanted[0].max() > 0.9 and wanted[0].min() < 0.1
