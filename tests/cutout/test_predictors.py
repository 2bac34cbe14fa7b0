"""Predictors: the same maps as the network's own, from torch and from ONNX files, and files that are refused."""

import base64
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import ROOT
from torch import nn

from helpers.cutout.predictors import OnnxPredictor, TorchPredictor
from helpers.devices import Runtime
from helpers.networks.fuse import fused
from helpers.networks.resnet_unet import Bridge, DecoderBlock, conv_norm
from helpers.u2net import LITE, BatchNorm, U2Net, normalise


def pictures(count=2, height=32, width=64):
    return np.random.default_rng(0).integers(0, 256, (count, 3, height, width), np.uint8)


def lively(model):
    """The model with batch norms that do something, as after training."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    return model


def _bottleneck():
    from torchvision.models.resnet import Bottleneck

    return Bottleneck(8, 2, downsample=conv_norm(8, 8, 1), norm_layer=BatchNorm)


@pytest.mark.parametrize("make, channels", [
    (U2Net.lite, [3]), (_bottleneck, [8]), (lambda: Bridge(6, 4), [6]), (lambda: DecoderBlock(6, 3, 4), [6, 3]),
], ids=["u2net_lite", "resnet50_unet's encoder", "its bridge", "its decoder"])  # fmt: skip
def test_batch_norms_become_part_of_the_convolutions(make, channels):
    model = lively(make()).eval()
    quick = fused(model)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    inputs = [torch.rand(2, count, 64, 32) for count in channels]
    with torch.inference_mode():
        ours, theirs = quick(*inputs), model(*inputs)
    for one, other in zip(ours, theirs, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-5)


def test_the_network_given_stays_as_it_is(tiny, float32):
    model = lively(U2Net(tiny)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    TorchPredictor(model, float32)(pictures())
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_predictor_answers_with_the_fused_map(tiny, float32):
    model = lively(U2Net(tiny)).eval()
    maps = TorchPredictor(model, float32)(pictures())
    with torch.inference_mode():
        expected = model(normalise(torch.from_numpy(pictures())))[0]
    assert isinstance(maps, np.ndarray) and maps.dtype == np.float32 and maps.shape == (2, 32, 64)
    assert np.allclose(maps, expected[:, 0].numpy(), rtol=0, atol=1e-5)
    assert np.ptp(maps) > 1e-3


def test_mixed_precision_is_what_autocast_computes(tiny):
    model, runtime = lively(U2Net(tiny)).eval(), Runtime(torch.device("cpu"), torch.bfloat16, torch.channels_last)
    maps = TorchPredictor(model, runtime)(pictures())
    with torch.inference_mode(), runtime.autocast():
        x = normalise(torch.from_numpy(pictures())).contiguous(memory_format=torch.channels_last)
        expected = fused(model).to(memory_format=torch.channels_last)(x)[0]
    assert np.array_equal(maps, expected[:, 0].float().numpy())


def test_a_network_that_answers_with_no_numbers_is_refused_by_its_file(tiny, float32):
    model = U2Net(tiny).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.fill_(3e38)
    with pytest.raises(ValueError, match=r"huge\.pth: answers with nan to nan, which is no alpha; .*take another file"):
        TorchPredictor(model, float32, "huge.pth")(pictures())


def test_the_name_says_what_computes(tiny, float32):
    assert TorchPredictor(U2Net(LITE), float32).name == "u2net_lite, torch, cpu float32"
    own = [stage._replace(mid=2) for stage in tiny]
    mixed = Runtime(torch.device("cpu"), torch.bfloat16, torch.channels_last)
    assert TorchPredictor(U2Net(own), mixed).name == "U2Net, torch, cpu bfloat16"


# ----------------------------------------------------------------------------------------------------------------- ONNX


def write_onnx(path, shape=("batch", 3, "height", "width"), kind="Sigmoid", metadata=(), inputs=("input",)):
    """A model whose map is the mean of the last input's channels, through `kind`."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ReduceMean", inputs[-1:], ["grey"], axes=[1]), helper.make_node(kind, ["grey"], ["map"])]
    graph = helper.make_graph(
        nodes, "grey", [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info("map", TensorProto.FLOAT, None)],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)
    return path


def grey(images):
    return torch.sigmoid(normalise(torch.from_numpy(images)).mean(1)).numpy()


def test_an_onnx_file_is_fed_with_the_same_input_as_torch(tmp_path):
    metadata = {"config": json.dumps({"image_size": 96}), "network": json.dumps("u2net_lite")}
    predict = OnnxPredictor(write_onnx(tmp_path / "grey.onnx", metadata=metadata), "cpu")
    maps = predict(pictures())
    assert maps.dtype == np.float32
    assert np.allclose(maps, grey(pictures()), rtol=0, atol=1e-6)
    assert predict.name == "u2net_lite, onnxruntime, cpu"
    assert predict.size_for() == 96 and predict.size_for(64) == 64


def test_an_onnx_file_without_notes_is_taken_for_a_u2net_of_320(tmp_path, capsys):
    predict = OnnxPredictor(write_onnx(tmp_path / "grey.onnx"))
    assert "grey.onnx: does not say what network it is, and is used as a U²-Net" in capsys.readouterr().err
    OnnxPredictor(write_onnx(tmp_path / "told.onnx", metadata=[("network", '"u2net"')]))
    assert capsys.readouterr().err == ""
    assert predict.size_for() == 320
    assert predict.name.startswith("grey, onnxruntime, ")


def test_a_file_for_one_picture_of_one_size_answers_for_many_of_any(tmp_path):
    predict = OnnxPredictor(write_onnx(tmp_path / "fixed.onnx", (1, 3, 40, 40)), "cpu")
    images = np.repeat(np.arange(0, 250, 50, dtype=np.uint8), 3 * 32 * 64).reshape(5, 3, 32, 64)
    assert np.allclose(predict(images), grey(images), rtol=0, atol=1e-6)
    assert predict.size_for() == 40
    with pytest.raises(ValueError, match="fixed.onnx: computes at 40 × 40 pixels only"):
        predict.size_for(320)


@pytest.mark.parametrize("wrong", [
    {"inputs": ("other", "input")}, {"shape": ("batch", 4, "height", "width")}, {"shape": ("batch", 3)},
], ids=["two inputs", "four channels", "no picture"])  # fmt: skip
def test_onnx_files_of_something_else_are_refused(wrong, tmp_path):
    with pytest.raises(ValueError, match="foreign.onnx: expected one input"):
        OnnxPredictor(write_onnx(tmp_path / "foreign.onnx", **wrong))


def test_a_map_that_is_no_alpha_is_refused(tmp_path):
    with pytest.raises(ValueError, match="logits.onnx: answers with"):
        OnnxPredictor(write_onnx(tmp_path / "logits.onnx", kind="Identity"))(pictures())
    with pytest.raises(ValueError, match=r"flat.onnx: its first output is \(1, 1, 1, 1\)"):
        OnnxPredictor(write_onnx(tmp_path / "flat.onnx", kind="ReduceMean"))(pictures())


@pytest.mark.parametrize("metadata", [
    {"config": "{"}, {"config": "[]"}, {"config": '{"image_size": "64"}'}, {"config": '{"image_size": 1e9}'},
    {"config": "[" * 100_000}, {"network": "{}"}, {"network": '"one\\ntwo"'}, {"network": "u2net"},
], ids=range(8))  # fmt: skip
def test_notes_that_cannot_be_are_refused_by_name(metadata, tmp_path):
    with pytest.raises(ValueError, match=r"odd\.onnx: its ") as caught:
        OnnxPredictor(write_onnx(tmp_path / "odd.onnx", metadata=metadata))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("options", [{"metadata": {"network": "umlaut"}}, {"shape": ("batch", 3, "umlaut", "width")}],
                         ids=["notes", "size"])  # fmt: skip
def test_names_in_no_utf_8_are_refused_by_name(options, tmp_path, capfd):
    path = write_onnx(tmp_path / "latin.onnx", **options)
    path.write_bytes(path.read_bytes().replace(b"umlaut", b"uml\xe4ut"))
    with pytest.raises(ValueError, match=r"latin\.onnx: (its names or notes|not a readable)"):
        OnnxPredictor(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("side", [0, 10**6])
def test_a_size_that_cannot_be_is_refused(side, tmp_path):
    with pytest.raises(ValueError, match=r"odd\.onnx: "):
        OnnxPredictor(write_onnx(tmp_path / "odd.onnx", (1, 3, side, side)))


def test_what_cannot_be_computed_or_is_no_number_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"nan\.onnx: answers with nan"):
        OnnxPredictor(write_onnx(tmp_path / "nan.onnx", kind="Log"))(pictures())
    other_size = OnnxPredictor(write_onnx(tmp_path / "one.onnx", ("batch", 3, 32, "width")))
    with pytest.raises(ValueError, match=r"one\.onnx: does not compute on 2 pictures"):
        other_size(pictures(height=64))


def test_a_damaged_or_missing_onnx_file_is_named(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match="broken.onnx: not a readable ONNX model .*take a file that python -m"):
        OnnxPredictor(tmp_path / "broken.onnx")
    (tmp_path / "page.onnx").write_bytes(b"<!doctype html>")
    with pytest.raises(
        ValueError, match=r"page.onnx: not a readable ONNX model \(a web page, not .*; download the file"
    ):
        OnnxPredictor(tmp_path / "page.onnx")
    with pytest.raises(FileNotFoundError, match="nowhere.onnx"):
        OnnxPredictor(tmp_path / "nowhere.onnx")


def test_without_onnxruntime_the_error_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ValueError, match="model.onnx.*pip install onnxruntime"):
        OnnxPredictor(tmp_path / "model.onnx")


def test_a_device_that_onnxruntime_lacks_is_refused(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    path = write_onnx(tmp_path / "grey.onnx")
    with pytest.raises(ValueError, match="device=cuda"):
        OnnxPredictor(path, "cuda")
    assert OnnxPredictor(path).name == "grey, onnxruntime, cpu"


def test_an_onnx_file_cuts_out_without_torch(tmp_path):
    path = write_onnx(tmp_path / "grey.onnx")
    code = (
        "import sys, numpy as np\n"
        "from helpers.cutout.matter import load_matter\n"
        "matter = load_matter(sys.argv[1], 'cpu', 32)\n"
        "assert matter.cutout(np.full((50, 40, 3), 99, np.uint8)).size == (40, 50)\n"
        "assert not {'torch', 'numba', 'pymatting'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, check=True)


@pytest.mark.parametrize("asked", ["", "all", "0", "-1", "3500m", "1.0", "4,2"])
def test_any_omp_num_threads_leaves_an_onnx_file_usable(asked, tmp_path, monkeypatch):
    path = write_onnx(tmp_path / "grey.onnx")
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert OnnxPredictor(path)(np.zeros((1, 3, 32, 32), np.uint8)).shape == (1, 32, 32)


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="reads Linux's /proc")
def test_onnx_runtime_tells_its_maker_nothing(tmp_path):
    """From 1.29 on it would, by way of files that it begins as soon as it is imported."""
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    free = {"ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "CI", "TMPDIR", "XDG_CACHE_HOME", "HOME"}
    places = {name: str(tmp_path) for name in ("TMPDIR", "XDG_CACHE_HOME", "HOME")}
    environment = {name: value for name, value in os.environ.items() if name not in free} | places
    code = "import helpers.cutout.predictors, onnxruntime, os; print(*(os.readlink(f'/proc/self/fd/{n}') " \
           "for n in os.listdir('/proc/self/fd') if os.path.exists(f'/proc/self/fd/{n}')))"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, check=True)
    assert list(tmp_path.rglob("*")) == []
    assert b"onnxruntime" not in done.stdout


def test_a_model_without_an_output_is_refused_by_name():
    """Its bytes as fuzzing found them: the list of its outputs has become part of the input."""
    pytest.importorskip("onnxruntime")
    model = base64.b64decode(
        "CAk6ggEKJgoFaW5wdXQSBGdyZXkiClJlZHVjZU1lYW4qCwoEYXhlc0ABoAEHChQKBGdyZXkSA21hcCIHU2lnbW9pZBIEbWVhblovCgVpbnB1"
        "dBImCiQIARIgCgsSBWJhdGNoCgIIAwoIEgZoZWlnaHQKBxIFd2lkjZed9AoDbWFwEgQKAggBQgQKABAR"
    )
    with pytest.raises(ValueError, match="the exported network: "):
        OnnxPredictor(model)
