"""Weights in half precision: what goes in comes out, and what cannot is refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

from helpers.checkpoints import read_checkpoint, read_weights
from helpers.cutout import load_matter
from helpers.export import main, write_safetensors
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
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(first.model(x)[0], second.model(x)[0], atol=2e-3)


def test_the_command_writes_and_tells(checkpoint, tmp_path, capsys):
    out = tmp_path / "new" / "small.safetensors"
    assert main([str(checkpoint), str(out)]) == 0
    assert f"{out.stat().st_size:,} bytes" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([str(checkpoint), str(tmp_path / "small.pth")])
    assert "must end in .safetensors" in capsys.readouterr().err


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
