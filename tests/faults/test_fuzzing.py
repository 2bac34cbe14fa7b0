"""Damaged and made-up input of every kind: 100,000 times and more, a result or one line that names the file."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from fuzz_targets import TARGETS, attack
from hypothesis import configuration, given, settings
from hypothesis import strategies as st
from PIL import Image
from support import ROOT

from helpers.config import field_rules, load_config, parse_setting
from helpers.files.photos import open_photo, to_rgb
from helpers.files.png import encode_png

LEAST = 100_000
FUZZER = Path(__file__).with_name("fuzz.py")
executed = {}  # by whom → executions
unfinished = []


@pytest.fixture(autouse=True, scope="module")
def no_folder_of_hypothesis_stays(tmp_path_factory):
    configuration.set_hypothesis_home_dir(tmp_path_factory.mktemp("hypothesis"))


def tried(strategy, run, long):
    """`run` with values of a strategy, the same ones every time in the short version; counts them."""

    @settings(max_examples=1000 if long else 100, derandomize=not long, database=None, deadline=None)
    @given(strategy)
    def once(value):
        executed["hypothesis"] = executed.get("hypothesis", 0) + 1
        run(value)

    unfinished.append(run)
    once()
    unfinished.remove(run)


def damaged(seeds):
    """Bytes with pieces cut out of one of the `seeds`, and others put there; or any bytes."""
    cuts = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), max_size=4)

    def cut(seed, places):
        for place, length, piece in places:
            start = int(place * len(seed))
            seed = seed[:start] + piece + seed[start + length :]
        return seed

    return st.builds(cut, st.sampled_from(list(seeds)), cuts) | st.binary(max_size=64)


@pytest.mark.parametrize("target", TARGETS)
def test_damaged_input_is_read_or_refused_by_name(target, long, tmp_path):
    if target in ("metadata", "model"):
        pytest.importorskip("onnx")
        pytest.importorskip("onnxruntime")
    tried(damaged(TARGETS[target].seeds()), lambda data: attack(target, data, tmp_path), long)


def test_whatever_a_configuration_may_hold_can_be_set_by_its_text(long):
    def values(rule):
        rule = rule.get("anyOf", [rule])[0]
        if "enum" in rule:
            return st.sampled_from(rule["enum"])
        if rule["type"] == "boolean":
            return st.booleans()
        least = rule.get("minimum", 0)
        if rule["type"] == "integer":
            return st.integers(least, 10**6)
        return st.floats(least, 0.999, exclude_min="exclusiveMinimum" in rule)

    def set_by_text(chosen):
        name, value = chosen
        assert parse_setting(f"{name}={value}") == (name, value)
        try:
            assert getattr(load_config("rmbg", **{name: value}), name) == value
        except ValueError as error:
            assert any(why in str(error) for why in ("contradicts", "must be odd", "too small", "to split"))

    fields = [st.tuples(st.just(name), values(rule)) for name, rule in field_rules().items() if name != "name"]
    tried(st.one_of(fields), set_by_text, long)


def test_any_picture_comes_back_from_its_png(long):
    def come_back(made):
        mode, width, height, seed, dots = made
        shape = (height, width, {"L": 1, "RGB": 3, "RGBA": 4}[mode])
        pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        picture = Image.fromarray(pixels.squeeze(2) if mode == "L" else pixels)
        picture.info["dpi"] = dots, dots
        again = open_photo(encode_png(picture))
        assert np.array_equal(to_rgb(again), to_rgb(picture))
        assert again.info["dpi"] == pytest.approx((dots, dots), abs=0.013)
        assert mode != "RGBA" or np.array_equal(np.asarray(again.convert("RGBA"))[..., 3], pixels[..., 3])

    mode, side = st.sampled_from(["L", "RGB", "RGBA"]), st.integers(1, 40)
    tried(st.tuples(mode, side, side, st.integers(0, 2**32), st.floats(1, 1e5)), come_back, long)


def fuzzed(target, runs, seed):
    """The executions of a target that libFuzzer counts."""
    command = [sys.executable, str(FUZZER), target, "--runs", str(runs), "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{target}:\n{done.stderr[-4000:]}"
    return int(re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)[1])


@pytest.mark.skipif(not find_spec("atheris"), reason="atheris is not installed: it has no wheel for every Python")
def test_a_hundred_thousand_inputs_guided_by_coverage(long):
    targets = [name for name in TARGETS if name not in ("metadata", "model") or find_spec("onnxruntime")]
    unfinished.append(fuzzed)
    runs = {name: TARGETS[name].runs * (10 if long else 1) for name in targets}
    seeds = [0 if long else 1] * len(targets)  # short, the same inputs every time; long, others
    with ThreadPoolExecutor(2) as pool:
        counts = dict(zip(targets, pool.map(fuzzed, targets, runs.values(), seeds)))
    assert all(counts[name] >= runs[name] for name in targets), counts
    assert sum(counts.values()) >= LEAST * (10 if long else 1)
    unfinished.remove(fuzzed)
    executed["atheris"] = sum(counts.values())


def test_what_fuzzing_found(survived):
    """The last one here: a line for all of them."""
    if not executed:
        pytest.skip("no other test of this file was run")
    assert not unfinished
    how = " and ".join(f"{who} ({count:,})" for who, count in executed.items())
    survived(f"damaged input by {how}: photos, masks, manifests, lists, folders, settings, checkpoints, ONNX files",
             f"{sum(executed.values()):,}",
             "read, or refused in one line with the file's name; no finding is left")  # fmt: skip
