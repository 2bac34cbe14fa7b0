"""Converted networks kept for the next start: no torch then, never another network's, nothing lost where they fail."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from support import ROOT

from helpers.cutout import load_matter
from helpers.cutout import onnx_cache as conversions
from helpers.cutout.onnx_cache import KEPT, find_conversion, keep_conversion, key_of, may_have_gpu
from helpers.u2net import U2Net, to_official

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PORTRAIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def weights(tmp_path, cache, monkeypatch, float32, tiny):
    """A weight file on a machine where ONNX Runtime is the fastest."""
    pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    monkeypatch.setattr("helpers.devices.best_runtime", lambda device: float32)
    return stored(tmp_path / "weights.pth", tiny, seed=0)


def stored(path, table, seed):
    torch.manual_seed(seed)
    state = {"model_state_dict": to_official(U2Net(table)), "table": [list(stage) for stage in table],
             "config": {"image_size": 64}}  # fmt: skip
    torch.save(state, path)
    return path


def test_the_second_start_computes_the_same_without_torch(weights, cache):
    first = load_matter(weights, "cpu")
    code = f"""
import sys, numpy as np
from helpers.cutout import load_matter
matter = load_matter({str(weights)!r}, "cpu")
np.save({str(cache / "alpha.npy")!r}, matter.alpha(np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)))
assert not {{"torch", "onnx"}} & set(sys.modules)
print(matter.name, matter.size)
"""
    printed = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE
    ).stdout
    assert printed.strip() == f"{first.name} {first.size}" and first.size == 64
    assert np.array_equal(np.load(cache / "alpha.npy"), first.alpha(PHOTO))


def test_files_of_others_in_its_folder_stay(cache):
    cache.mkdir()
    for number in range(KEPT + 3):
        (cache / f"own{number}.onnx").write_bytes(b"a user's network")
        keep_conversion(f"{number:032x}", b"converted")
    own = {path.name for path in cache.iterdir() if path.name.startswith("own")}
    assert len(own) == KEPT + 3 and len(list(cache.iterdir())) == 2 * KEPT + 3


def test_a_damaged_one_is_made_anew(weights, cache):
    whole = load_matter(weights, "cpu").alpha(PHOTO)
    (path,) = cache.iterdir()
    assert cache.stat().st_mode & 0o77 == 0  # its owner's alone
    contents = path.read_bytes()
    for damaged in (contents[:-1], contents[:5000] + bytes([contents[5000] ^ 1]) + contents[5001:], b""):
        path.write_bytes(damaged)
        assert find_conversion(key_of(weights)) is None
        assert np.array_equal(load_matter(weights, "cpu").alpha(PHOTO), whole)
        assert path.read_bytes() == contents


def test_other_weights_of_the_same_name_are_converted_themselves(weights, tiny):
    before = load_matter(weights, "cpu").alpha(PHOTO)
    stored(weights, tiny, seed=1)
    assert not np.array_equal(load_matter(weights, "cpu").alpha(PHOTO), before)


def test_weights_replaced_while_they_are_converted_are_not_taken_for_the_new_ones(weights, cache, tiny, monkeypatch):
    from helpers.networks import registry as networks

    def read(path):
        found = read_network(path)
        stored(weights, tiny, seed=1)
        return found

    read_network = networks.read_network
    monkeypatch.setattr(networks, "read_network", read)
    load_matter(weights, "cpu")
    assert not cache.exists()


def test_only_those_used_last_are_kept(cache):
    for number in range(KEPT + 2):
        keep_conversion(f"{number:032}", b"network %d" % number)
        for path in cache.iterdir():
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9))  # a second passes
        assert find_conversion(f"{0:032}") == b"network 0"
    found = {number for number in range(KEPT + 2) if find_conversion(f"{number:032}")}
    assert found == {0, *range(3, KEPT + 2)}


def test_one_that_may_only_be_read_is_used(cache, monkeypatch):
    keep_conversion("0" * 32, b"network")

    def denied(*arguments, **options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "utime", denied)
    assert find_conversion("0" * 32) == b"network"


def test_without_a_place_to_keep_them_weights_load_all_the_same(weights, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PORTRAIT_CACHE", str(tmp_path / "file" / "cache"))
    load_matter(weights, "cpu")
    monkeypatch.delenv("PORTRAIT_CACHE")
    monkeypatch.setattr(conversions.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    load_matter(weights, "cpu")


@pytest.mark.parametrize("device, gpu, kept", [("cpu", True, True), (None, False, True), (None, True, False)])
def test_where_there_may_be_a_gpu_torch_is_asked(device, gpu, kept, weights, monkeypatch):
    monkeypatch.setattr("helpers.cutout.matter.may_have_gpu", lambda: gpu)
    load_matter(weights, device)
    monkeypatch.setattr("helpers.networks.registry.read_network", lambda path: pytest.fail("torch was asked"))
    if kept:
        load_matter(weights, device)
    else:
        with pytest.raises(pytest.fail.Exception):
            load_matter(weights, device)


def test_a_gpu_is_told_by_its_device_file(tmp_path, monkeypatch):
    monkeypatch.setattr(conversions, "Path", lambda path: tmp_path)
    monkeypatch.setattr(conversions.platform, "system", lambda: "Linux")
    assert not may_have_gpu()
    (tmp_path / "nvidia0").touch()
    assert may_have_gpu()
    (tmp_path / "nvidia0").unlink()
    monkeypatch.setattr(conversions.platform, "system", lambda: "Darwin")
    assert may_have_gpu()
