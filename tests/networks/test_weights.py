"""Weight files of every kind that people have: what is taken off, and what a file of another kind is called."""

import io
import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from helpers.networks.registry import read_network
from helpers.networks.weights import read_checkpoint, read_weights
from helpers.u2net import TABLES, U2Net, to_official


@pytest.fixture(autouse=True)
def small(tiny, monkeypatch):
    monkeypatch.setitem(TABLES, "u2net_lite", tiny)


@pytest.fixture(scope="module")
def weights(tiny):
    return to_official(U2Net(tiny))


def prefixed(weights, prefix):
    return {prefix + name: value for name, value in weights.items()}


@pytest.mark.parametrize(("prefix", "message"), [
    ("module.", ["the prefix module."]), ("_orig_mod.", ["the prefix _orig_mod."]),
    ("model.", ["the prefix model."]), ("net.", ["the prefix net."]),
    ("module._orig_mod.", ["the prefix module.", "the prefix _orig_mod."]),
    ("_orig_mod.module.", ["the prefix _orig_mod.", "the prefix module."]),
    ("student.", ["the prefix student."]),
])  # fmt: skip
def test_a_prefix_of_every_name_is_taken_off_and_told(prefix, message, weights, tmp_path, capsys):
    path = tmp_path / "w.pth"
    torch.save(prefixed(weights, prefix), path)
    found = read_weights(path)
    assert found.keys() == weights.keys()
    assert all(torch.equal(found[name], weights[name]) for name in weights)
    assert capsys.readouterr().err == f"{path}: {', '.join(message)} taken off to find the weights\n"
    network, _ = read_network(path)
    assert torch.equal(network.state_dict()["fuse.weight"], weights["outconv.weight"])


@pytest.mark.parametrize(("wrapped", "message"), [
    (lambda weights: {"epoch": 3, "state_dict": weights}, "the key state_dict"),
    (lambda weights: {"model": weights, "optimizer": {}, "lr": 0.1}, "the key model"),
    (lambda weights: {"net": weights, "acc": 0.9}, "the key net"),
    (lambda weights: {"state_dict": prefixed(weights, "model."), "hyper_parameters": {}},
     "the key state_dict, the prefix model."),
    (lambda weights: {"model": {"state_dict": prefixed(weights, "module.")}},
     "the key model, the key state_dict, the prefix module."),
    (lambda weights: {"g_ema": weights, "optimizer": {"state": {}, "param_groups": []}}, "the key g_ema"),
    (lambda weights: {"params": weights, "params_ema": dict(weights)},
     "the key params (there are weights under params_ema as well)"),
    (lambda weights: {"n_averaged": torch.tensor(5), **prefixed(weights, "module.")}, "the prefix module."),
])  # fmt: skip
def test_a_wrapper_is_taken_off_and_told(wrapped, message, weights, tmp_path, capsys):
    path = tmp_path / "w.pth"
    torch.save(wrapped(weights), path)
    found = read_weights(path)
    assert found.keys() == weights.keys() and all(torch.equal(found[name], weights[name]) for name in weights)
    assert capsys.readouterr().err == f"{path}: {message} taken off to find the weights\n"


@pytest.mark.parametrize("state", [lambda weights: weights, lambda weights: {"model_state_dict": weights, "epoch": 1}])
def test_nothing_is_told_of_the_files_of_this_project(state, weights, tmp_path, capsys):
    torch.save(state(weights), tmp_path / "w.pth")
    assert read_weights(tmp_path / "w.pth").keys() == weights.keys()
    assert capsys.readouterr() == ("", "")


def zipped(**parts):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("_", "."), content)
    return stream.getvalue()


def test_an_onnx_model_in_the_place_of_weights_is_named_with_what_to_do(tmp_path):
    for name, advice in (
        ("a.onnx", "name the checkpoint that it was made from"),
        ("a.pth", "let its name end in .onnx"),
    ):
        (tmp_path / name).write_bytes(b"\x08\x08\x12\x07pytorch" + bytes(99))
        with pytest.raises(ValueError, match=rf"{name}: .*an ONNX model.*; {advice}"):
            read_weights(tmp_path / name)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 4574861\n"


@pytest.mark.parametrize(("content", "reason", "advice"), [
    (b"<!DOCTYPE html><html><head><title>Quota</title></head></html>", "a web page", "download the file itself"),
    (b"\n <HTML><body>Sign in", "a web page", "download the file itself"),
    (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "a web page", "download the file itself"),
    (b'{"error":"Repository not found"}', "a text that begins with", "download the file itself"),
    (POINTER.encode(), "a Git LFS pointer", "git lfs pull"),
    (zipped(u2net_pth=b"PK"), "a zip archive with u2net.pth in it", "unpack it"),
    (zipped(arr_npy=b""), "NumPy arrays", "PyTorch weights"),
    (b"\x1f\x8b\x08" + bytes(99), "a gzip archive", "unpack it"),
    (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file", "PyTorch weights"),
    (b"\x89PNG\r\n\x1a\n" + bytes(99), "a PNG picture", "name the weight file"),
    (b"", "an empty file", "copy or download it again"),
    (b"\x08\x09\x12\x07pytorch" + bytes(99), "an ONNX model", "end in .onnx"),
], ids=["page", "capitals", "xml", "json", "pointer", "zip", "npz", "gzip", "hdf5", "png", "none", "onnx"])  # fmt: skip
def test_a_file_of_another_kind_is_named_as_what_it_is(content, reason, advice, tmp_path):
    path = tmp_path / "u2net.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_checkpoint(path)
    assert str(caught.value).startswith(f"{path}: not a readable checkpoint ({reason}")
    assert advice in str(caught.value).rpartition("; ")[2]
    assert len(str(caught.value).splitlines()) == 1


def whole(model, path):
    torch.save(model, path)


def in_a_dict(model, path):
    torch.save({"epoch": 3, "model": model}, path)


def legacy(model, path):
    torch.save(model, path, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize("save", [whole, in_a_dict, legacy])
def test_a_pickled_network_is_named_and_nobody_is_advised_to_load_it_unsafely(save, tiny, tmp_path):
    path = tmp_path / "whole.pth"
    save(U2Net(tiny), path)
    with pytest.raises(ValueError) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: not a readable checkpoint (a pickled helpers.u2net.U2Net, not only tensors")
    assert "runs code" in text and "state_dict()" in text
    assert "weights_only" not in text and "trust" not in text and "allowlist" not in text


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
def test_a_pickle_of_another_program_is_named(tiny, tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(U2Net(tiny)))
    with pytest.raises(
        ValueError, match=r"model\.pkl: not a readable checkpoint \(a pickle that torch.save did not write\)"
    ):
        read_checkpoint(path)


def test_a_number_of_numpy_in_a_checkpoint_is_named(weights, tmp_path):
    torch.save({"model_state_dict": weights, "best": np.float64(0.9)}, tmp_path / "np.pth")
    with pytest.raises(
        ValueError, match=r"np\.pth: not a readable checkpoint \(a pickled numpy\S+scalar, not only tensors"
    ):
        read_checkpoint(tmp_path / "np.pth")


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_a_torchscript_program_is_named(tmp_path):
    path = tmp_path / "script.pth"
    torch.jit.save(torch.jit.trace(torch.nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2)), path)
    with pytest.raises(
        ValueError, match=r"script\.pth: not a readable checkpoint \(a TorchScript program\); .*state_dict"
    ):
        read_checkpoint(path)


def test_states_of_random_generators_beside_the_weights_are_none(weights, tmp_path):
    torch.save({"my_net": weights, "random": {"cpu": torch.get_rng_state()}}, tmp_path / "a.pth")
    assert read_weights(tmp_path / "a.pth").keys() == weights.keys()


def test_several_state_dicts_under_unknown_keys_are_not_guessed(weights, tmp_path):
    torch.save({"netG": weights, "netD": {"layer.weight": torch.zeros(2)}}, tmp_path / "gan.pth")
    with pytest.raises(ValueError, match=r"gan\.pth: holds no weights, but the keys netG, netD; expected a state dict"):
        read_weights(tmp_path / "gan.pth")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(number, weights, tmp_path):
    broken = {name: value.clone() for name, value in weights.items()}
    broken["outconv.bias"][0] = number
    torch.save({"model_state_dict": broken}, tmp_path / "nan.pth")
    with pytest.raises(
        ValueError, match=rf"nan\.pth: NaN or infinite numbers in 1 of {len(weights)} weights, first in outconv\.bias"
    ):
        read_weights(tmp_path / "nan.pth")


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.int64])
def test_whole_numbers_are_no_weights(kind, weights, tmp_path):
    """As in a quantised network without its scales."""
    name = next(name for name in weights if name.endswith("weight"))
    wrong = weights | {name: weights[name].to(kind)}
    torch.save(wrong, tmp_path / "whole.pth")
    save_file(wrong, tmp_path / "whole.safetensors")
    for file in ("whole.pth", "whole.safetensors"):
        numbers = str(kind).removeprefix("torch.")
        with pytest.raises(ValueError, match=rf"{file}: {name} holds {numbers} numbers, .*; take the weights that it"):
            read_weights(tmp_path / file)


def test_counters_may_be_of_any_kind(weights, tmp_path):
    counters = {"stage1.norm.num_batches_tracked": torch.tensor(3, dtype=torch.int32)}
    torch.save(weights | counters, tmp_path / "a.pth")
    save_file(weights | counters, tmp_path / "a.safetensors")
    for file in ("a.pth", "a.safetensors"):
        assert read_weights(tmp_path / file).keys() == weights.keys() | counters.keys()


def test_a_negative_variance_is_damage(weights, tmp_path):
    name = next(name for name in weights if name.endswith("running_var"))
    torch.save(weights | {name: -weights[name]}, tmp_path / "wrong.pth")
    with pytest.raises(ValueError, match=rf"wrong\.pth: a negative variance in {name}: it is damaged; replace it"):
        read_weights(tmp_path / "wrong.pth")


def test_notes_of_another_program_that_are_no_json_are_passed_over(weights, tmp_path):
    save_file(weights, tmp_path / "w.safetensors", metadata={"config": "lr: 1e-3", "network": '"u2net_lite"'})
    model, notes = read_network(tmp_path / "w.safetensors")
    assert notes == {}
    for key, tensor in to_official(model).items():
        assert torch.equal(tensor, weights[key])


def test_the_contents_tell_a_safetensors_file_and_not_its_name(weights, tmp_path):
    save_file(weights, tmp_path / "model.pth")
    torch.save(weights, tmp_path / "model.safetensors")
    for name in ("model.pth", "model.safetensors"):
        found = read_weights(tmp_path / name)
        assert found.keys() == weights.keys()
        assert torch.equal(found["outconv.weight"], weights["outconv.weight"])


def test_a_checkpoint_without_weights_is_told_by_what_it_holds(tmp_path):
    torch.save({"epoch": 1, "optimizer": {}, **json.loads('{"a": 1, "b": 2, "c": 3, "d": 4}')}, tmp_path / "none.pth")
    with pytest.raises(ValueError, match=r"none\.pth: holds no weights, but the keys epoch, optimizer, a, b, c …;"):
        read_weights(tmp_path / "none.pth")


def test_a_zip_whose_table_is_damaged_is_told_as_damaged(tmp_path):
    """A wrong flag makes the name of a part UTF-8 that it is not."""
    path = tmp_path / "u2net.pth"
    data = bytearray(zipped(u2net_pth=b"PK"))
    table = data.index(b"PK\1\2")
    data[table + 9] |= 8  # bit 11 of the flags: the name is UTF-8
    data[table + 46] = 0xFF
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"u2net\.pth: not a readable checkpoint .*name the weight file, or replace it by"
    ) as caught:
        read_checkpoint(path)
    assert type(caught.value) is ValueError
