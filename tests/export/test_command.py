"""Weights in half precision: what goes in comes out, and what cannot is refused; and the command."""

import errno
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file

from helpers.cutout import load_matter
from helpers.export.__main__ import main
from helpers.export.files import _calibrating, _spread, _tested, write_safetensors
from helpers.files.photos import read_grey, read_photo
from helpers.networks.weights import read_checkpoint, read_weights
from helpers.synthetic.dataset import write_dataset
from helpers.u2net import U2Net, to_official


@pytest.fixture
def checkpoint(tiny, tmp_path):
    """A checkpoint of a network of three channels at 96², with what else a run stores."""
    torch.manual_seed(3)
    state = {
        "model_state_dict": to_official(U2Net(tiny)), "table": [list(stage) for stage in tiny], "network": "u2net_lite",
        "config": {"image_size": 96}, "optimizer_state_dict": {"state": {}}, "history": {"train": [1.0]},
    }  # fmt: skip
    torch.save(state, tmp_path / "run.pth")
    return tmp_path / "run.pth"


def test_the_weights_come_back_up_to_half_precision(checkpoint, tmp_path):
    write_safetensors(checkpoint, tmp_path / "small.safetensors")
    before, after = read_weights(checkpoint), read_weights(tmp_path / "small.safetensors")
    assert {name for name in before if not name.endswith("num_batches_tracked")} == set(after)
    for name, tensor in after.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, before[name].half().float())
    state = read_checkpoint(tmp_path / "small.safetensors")
    assert state["config"] == {"image_size": 96} and state["network"] == "u2net_lite" and "history" not in state


def test_the_matter_is_the_same_from_both_files(checkpoint, tmp_path):
    write_safetensors(checkpoint, tmp_path / "small.safetensors")
    first, second = load_matter(checkpoint, "cpu"), load_matter(tmp_path / "small.safetensors", "cpu")
    assert first.size == second.size == 96
    photo = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    assert np.allclose(first.alpha(photo), second.alpha(photo), atol=2e-3)


def test_the_command_writes_and_tells(checkpoint, tmp_path, capsys):
    out = tmp_path / "new" / "small.safetensors"
    assert main([str(checkpoint), str(out)]) == 0
    assert f"{out.stat().st_size:,} bytes" in capsys.readouterr().out


@pytest.mark.parametrize("out, options, printed", [
    ("small.pth", [], "must end in .safetensors or .onnx"),
    ("small.safetensors", ["--int8"], "--int8 is for .onnx"),
    ("small.onnx", ["--calibrate", "photos"], "for --int8"),
    ("small.onnx", ["--data", "pictures"], "for --int8"),
])  # fmt: skip
def test_wrong_usage_is_told(out, options, printed, checkpoint, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([str(checkpoint), str(tmp_path / out), *options])
    assert stopped.value.code == 2
    assert printed in capsys.readouterr().err


def test_what_cannot_be_written_is_told_in_one_line(checkpoint, tmp_path, capsys, monkeypatch):
    """A safetensors file as well: its own library has errors of its own."""

    def full(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main([str(checkpoint), str(tmp_path / "small.safetensors")]) == 1
    assert capsys.readouterr().err == (
        f"error: [Errno 28] No space left on device; make room, then run the same command again: "
        f"'{tmp_path}/small.safetensors'\n"
    )
    assert not list(tmp_path.glob("*small*"))


def test_a_reader_that_has_gone_is_told_in_one_line(checkpoint, tmp_path, capsys, monkeypatch):
    def gone(*_, **__):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr("sys.stdout.write", gone)
    assert main([str(checkpoint), str(tmp_path / "small.safetensors")]) == 1
    assert capsys.readouterr().err == "error: [Errno 32] Broken pipe\n"
    assert read_weights(tmp_path / "small.safetensors")


def test_the_command_writes_onnx_by_the_name(checkpoint, tmp_path, capsys):
    assert main([str(checkpoint), str(tmp_path / "small.onnx")]) == 0
    assert "bytes" in capsys.readouterr().out
    assert "QuantizeLinear" not in {node.op_type for node in onnx.load(tmp_path / "small.onnx").graph.node}


def test_int8_from_photos_is_measured_on_a_test_split(checkpoint, tmp_path, capsys):
    data = write_dataset(tmp_path / "made", count=8, size=64, workers=1)
    photos = data / "images" / "train"
    assert (
        main([str(checkpoint), str(tmp_path / "a.onnx"), "--int8", "--calibrate", str(photos), "--data", str(data)])
        == 0
    )
    printed = capsys.readouterr().out
    tested = len(list((data / "images" / "test").iterdir()))
    assert f"on {tested} pictures (test split of {data}) at 96²" in printed
    assert "MAD" in printed and "s/picture" in printed
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(tmp_path / "a.onnx").graph.node}


def test_the_ranges_are_those_of_training_photos_or_of_all_in_a_folder(tmp_path):
    data = write_dataset(tmp_path / "made", count=8, size=64, workers=1)
    training = [read_photo(path) for path in sorted((data / "images" / "train").iterdir())]
    for folder in (data, data / "images" / "train"):
        assert [photo.tolist() for photo in _calibrating(folder, 96)] == [photo.tolist() for photo in training]
    assert [photo.shape for photo in _calibrating(None, 96)] == [(96, 96, 3)] * 16


def test_what_is_measured_has_exact_truths_where_there_are_such(tmp_path):
    data = write_dataset(tmp_path / "made", count=8, size=64, workers=1)
    matte = sorted((data / "mattes" / "test").iterdir())[0]
    assert np.array_equal(next(iter(_tested(data, 96)))[1], read_grey(matte))
    shutil.rmtree(data / "mattes")
    hard = next(iter(_tested(data, 96)))[1]
    assert set(np.unique(hard)) == {0, 255}


def test_int8_needs_nothing_but_the_weights(checkpoint, tmp_path, capsys):
    assert main([str(checkpoint), str(tmp_path / "small.onnx"), "--int8"]) == 0
    assert "on 16 pictures (synthetic portraits) at 96²" in capsys.readouterr().out
    assert (tmp_path / "small.onnx").is_file()


@pytest.mark.parametrize("option", ["--calibrate", "--data"])
def test_a_folder_without_pictures_is_named_and_nothing_is_left(option, checkpoint, tmp_path, capsys):
    assert main([str(checkpoint), str(tmp_path / "small.onnx"), "--int8", option, str(tmp_path / "nowhere")]) == 1
    assert "nowhere: no" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run.pth"]


def test_pictures_are_spread_over_the_folder():
    assert _spread(list(range(7)), 16) == list(range(7))
    assert _spread(list(range(100)), 4) == [0, 25, 50, 75]


def test_without_onnx_the_command_says_what_to_install(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.delitem(sys.modules, "helpers.networks.onnx_export", raising=False)
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert main([str(checkpoint), str(tmp_path / "small.onnx")]) == 1
    assert "onnx is missing; pip install -e '.[export]'" in capsys.readouterr().err


def test_values_beyond_half_precision_are_refused_and_nothing_is_left(checkpoint, tmp_path, capsys):
    state = torch.load(checkpoint, weights_only=True)
    state["model_state_dict"]["side1.bias"].fill_(1e6)
    torch.save(state, checkpoint)
    assert main([str(checkpoint), str(tmp_path / "small.safetensors")]) == 1
    assert "side1.bias" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["run.pth"]


def test_other_peoples_safetensors_load_without_notes(tiny, tmp_path):
    weights = to_official(U2Net.lite())
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, tmp_path / "plain.safetensors",
              {"format": "pt", "config": json.dumps({"image_size": 64})})  # fmt: skip
    assert load_matter(tmp_path / "plain.safetensors", "cpu").size == 64
    save_file(weights, tmp_path / "bare.safetensors")
    assert load_matter(tmp_path / "bare.safetensors", "cpu").size == 320


@pytest.mark.parametrize("keep", [0, 5, 1000, -10])
def test_a_damaged_file_is_named(keep, checkpoint, tmp_path):
    path = tmp_path / "small.safetensors"
    write_safetensors(checkpoint, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match="small.safetensors: not a readable checkpoint"):
        read_checkpoint(path)
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / "nowhere.safetensors")
