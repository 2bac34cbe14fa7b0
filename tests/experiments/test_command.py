"""The claims: what each compares, one trial from training to its rows, the table that goes on, and what it shows."""

import inspect
import math
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from support import ROOT

import helpers
from helpers.config import PRESETS, Config, load_config
from helpers.cutout import Matter
from helpers.cutout.predictors import TorchPredictor
from helpers.experiments import __main__ as experiments
from helpers.experiments import runs as measured
from helpers.experiments import trial as trials
from helpers.experiments.__main__ import main, measure_runs, missing_runs, time_left
from helpers.experiments.claims import (
    CLAIMS,
    FIELDS,
    LARGE,
    METRICS,
    REPORT,
    SYNTHETIC_ONLY,
    VARIANTS,
    Enlargement,
    add_results,
    claim_table,
    compare,
    config_of,
    read_results,
    values_of,
)
from helpers.experiments.runs import alone
from helpers.experiments.trial import commit, measure, portraits_of, run_variant, sources_of, start_of
from helpers.losses import LOSSES
from helpers.networks import pretrained
from helpers.networks.registry import read_network, weights_out
from helpers.schedule import SCHEDULES, rates
from helpers.synthetic.dataset import make_portrait, write_dataset
from helpers.training import setup as assembly
from helpers.u2net import TABLES, U2Net

CONFIG = load_config("smoke", image_size=32, batch_size=3, epochs=2)
TRAINED = [name for name, variant in VARIANTS.items() if not isinstance(variant, Enlargement) and name != "knet"]
"""K-Net starts from the weights of a whole lite network only, see tests/networks/test_knet.py."""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Twelve synthetic portraits: six to train on, three to test; beside them as many of twice the size."""
    folder = tmp_path_factory.mktemp("made")
    write_dataset(folder / "made-12x64-large", 12, 128, workers=1)
    return write_dataset(folder / "made-12x64", 12, 64, workers=1)


@pytest.fixture(autouse=True)
def small(monkeypatch, tiny, tmp_path):
    """The tiny network in place of both, and no weights of this project."""
    for name in ("u2net", "u2net_lite"):
        monkeypatch.setitem(TABLES, name, tiny)
    monkeypatch.setitem(pretrained.SHIPPED, "u2net_lite", tmp_path / "none.safetensors")


@pytest.fixture
def weights(tiny, tmp_path):
    """A file of weights to start from."""
    return _stored(U2Net(tiny), tiny, tmp_path / "start.pth")


def _stored(model, table, path):
    state = {"model_state_dict": weights_out(model), "table": [list(stage) for stage in table]}
    torch.save(state | {"config": {"image_size": 32}}, path)
    return path


# ---------------------------------------------------------------------------------------------- what the claims compare


def differing(name, other):
    if isinstance(VARIANTS[name], Enlargement):
        ours, theirs = (VARIANTS[which]._asdict() for which in (name, other))
    else:
        ours, theirs = (asdict(config_of(which, 0, CONFIG)) for which in (name, other))
    return {field: value for field, value in ours.items() if value != theirs[field]}


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (1, {"loss": {"cross_entropy", "l1"}}),
        (2, {"edge_weight": {0, 4, 10}, "edge_on": {"all"}, "edge_width": {3, 15}}),
        (3, {"schedule": set(SCHEDULES) - {"one_cycle"}, "max_lr": {"auto"}}),
        (4, {"truth": {"mattes"}}),
        (5, {"start": {"pretrained"}, "network": {"u2net"}}),
        (6, {"thresholded": {True}}),
        (7, {"precision": {"bfloat16"}, "network": {"u2net_knet"}}),
        (8, {"image_size": {144}}),
    ],
)
def test_variants_differ_from_their_baseline_in_one_thing_and_only_in_what_is_claimed(claim, expected):
    baseline, *others = CLAIMS[claim].variants
    found = {}
    for name in others:
        [(field, value)] = differing(name, baseline).items()
        found.setdefault(field, set()).add(value)
    assert found == expected


def test_every_variant_is_used_and_none_stands_there_twice():
    used = [name for claim in CLAIMS.values() for name in claim.variants]
    assert set(used) == set(VARIANTS)
    runs = {(str(variant), SYNTHETIC_ONLY.get(name), name in LARGE) for name, variant in VARIANTS.items()}
    assert len(runs) == len(VARIANTS)


def test_the_baseline_is_the_reports_recipe():
    report = Config()
    for field in ("loss", "edge_weight", "edge_width", "edge_on", "schedule", "max_lr", "truth"):
        assert REPORT[field] == getattr(report, field)
    assert VARIANTS["report"] == {}
    assert (REPORT["network"], REPORT["start"]) == ("u2net_lite", "pretrained")


def test_the_configuration_of_a_run_is_the_presets_but_for_what_the_variant_says():
    assert config_of("edge_4", 3, CONFIG) == replace(CONFIG, **REPORT | {"edge_weight": 4.0, "seed": 3})
    with pytest.raises(ValueError, match="continuous is measured without training"):
        config_of("continuous", 0, CONFIG)


def test_only_what_has_mattes_is_trained_on_where_mattes_are_claimed():
    assert CLAIMS[4].variants + CLAIMS[8].variants == tuple(SYNTHETIC_ONLY)
    protocol = PRESETS["protocol"]
    sizes = [config_of(name, 0, protocol).image_size for name in ("report", "exact_truth", "size_320", "size_720")]
    assert sizes == [160, 320, 320, 720]


# ------------------------------------------------------------------------------------------------------------ schedules


@pytest.fixture(scope="module")
def curves():
    return {name: rates(lambda optimizer, of=of: of(optimizer, 1e-3, 60), 60) for name, of in SCHEDULES.items()}


def test_all_schedules_have_the_same_number_of_steps_and_the_same_highest_rate(curves):
    for name, curve in curves.items():
        assert len(curve) == 60, name
        assert max(curve) == pytest.approx(1e-3, rel=0.01), name
    assert len({tuple(curve) for curve in curves.values()}) == len(SCHEDULES)


def test_the_schedules_have_their_shapes(curves):
    assert curves["constant"] == [1e-3] * 60
    assert curves["step"] == pytest.approx([1e-3] * 30 + [1e-4] * 15 + [1e-5] * 15)
    assert curves["cosine"][0] == 1e-3 and curves["cosine"][30] == pytest.approx(5e-4)
    assert all(below < above for above, below in pairwise(curves["cosine"]))
    triangles = curves["triangular"]
    assert [triangles[step] for step in (0, 20, 40)] == pytest.approx([4e-5] * 3)
    assert [triangles[step] for step in (10, 30, 50)] == pytest.approx([1e-3] * 3)
    assert triangles[5] == pytest.approx((4e-5 + 1e-3) / 2)


def test_without_annihilation_the_cycle_ends_where_it_began(curves):
    one, without = curves["one_cycle"], curves["no_annihilation"]
    assert one[0] == without[0] == pytest.approx(4e-5)
    assert without[-1] == pytest.approx(4e-5)
    assert one[-1] < 1e-8
    assert one.index(max(one)) == without.index(max(without))


# ------------------------------------------------------------------------------------------------------------ one trial


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_is_what_its_variant_says(name, made, portrait_folder, weights, monkeypatch):
    runs, variant = [], config_of(name, 1, CONFIG)
    low_to_high = [1e-6 * 1.1**step for step in range(100)]
    found = (low_to_high, [1 / (1 + math.exp((step - 60) / 4)) for step in range(100)])
    monkeypatch.setattr(assembly, "range_test", lambda *_: found)

    def trained(run, after_batch):
        runs.append(run)
        run.epoch += 1

    monkeypatch.setattr(trials, "train_epoch", trained)
    monkeypatch.setattr(trials, "measure", lambda mattes: {"whole": dict.fromkeys(METRICS, 0.5)})
    rows = run_variant(name, 1, CONFIG, made, [portrait_folder], weights)
    run = runs[0]
    assert runs == [run] * CONFIG.epochs
    assert run.config.network == variant.network
    assert run.config.seed == run.loader.dataset.seed == 1
    rate = low_to_high[60] if variant.max_lr == "auto" else variant.max_lr
    assert [row["max_lr"] for row in rows] == [pytest.approx(rate, rel=0.01)] * 2

    maps, alpha = torch.rand(7, 2, 1, 16, 16), (torch.rand(2, 1, 16, 16) > 0.5).float()
    numbers = {"edge_weight": variant.edge_weight, "edge_width": variant.edge_width, "edge_on": variant.edge_on}
    assert run.loss(maps, alpha) == LOSSES[variant.loss](maps, alpha, **numbers)
    steps = len(run.loader) * CONFIG.epochs
    expected = rates(lambda optimizer: SCHEDULES[variant.schedule](optimizer, rate, steps), steps, rate)
    lrs = []
    for step in range(steps):
        lrs.append(run.optimizer.param_groups[0]["lr"])
        if step < steps - 1:
            run.optimizer.step()
            run.schedule.step()
    assert lrs == expected

    shown = portraits_of(name, made)
    assert shown.name == ("made-12x64-large" if name in ("size_320", "size_720") else "made-12x64")
    names = {pair.truth.parent.parent.name for pair in run.loader.dataset.pairs if shown in pair.truth.parents}
    assert names == {variant.truth}
    alone = name in SYNTHETIC_ONLY
    assert len(run.loader.dataset) == (6 if alone else 6 + 12)
    assert rows[0]["data"] == (shown.name if alone else f"made-12x64 + {portrait_folder.name}")
    loaded = torch.load(weights, weights_only=True)["model_state_dict"]
    same = [torch.equal(value, loaded[key]) for key, value in weights_out(run.model).items() if "conv_s1.weight" in key]
    assert set(same) == {variant.start == "pretrained"}
    assert rows[0]["start"].split()[0] == ("start.pth" if variant.start == "pretrained" else "random")


def test_a_trial_is_trained_measured_and_told(made, portrait_folder, weights):
    rows = run_variant("report", 0, CONFIG, made, [portrait_folder], weights)
    assert [(row["set"], row["region"]) for row in rows] == [
        ("made", "whole"), ("made", "band"), ("real", "whole"), ("real", "band"),
    ]  # fmt: skip
    for row in rows:
        assert list(row) == list(FIELDS)
        assert all(type(row[name]) is kind for name, kind in FIELDS.items())
        assert (row["claim"], row["variant"], row["seed"], row["steps"]) == ("1 2 3 5 7", "report", 0, 8)
        assert (row["preset"], row["image_size"], row["max_lr"]) == ("smoke", 32, 1e-3)
        assert row["seconds"] > 0 and row["commit"] == commit()
        assert 0 < row["mse"] <= row["mad"] < 1
    assert rows[0]["sad"] == pytest.approx(rows[0]["mad"] * 64 * 64 / 1000, abs=1e-4)
    assert rows[1]["sad"] < rows[0]["sad"]


def test_a_trial_that_was_stopped_goes_on_to_the_same_weights_and_errors(made, tmp_path, monkeypatch):
    whole = run_variant("random_start", 0, CONFIG, made)
    monkeypatch.setattr(trials, "SAVE_EVERY", 0)
    saved = trials.write_checkpoint

    def killed(path, state):
        saved(path, state)
        (path.parent / "seconds.txt").write_text("1000")
        if len(state["history"]["train"]) == 3:  # in the middle of the second epoch
            raise KeyboardInterrupt

    monkeypatch.setattr(trials, "write_checkpoint", killed)
    out, todo = tmp_path / "claims.csv", [("random_start", 0)]
    with pytest.raises(KeyboardInterrupt):
        measure_runs(todo, CONFIG, made, out=out)
    [folder] = (tmp_path / "claims.unfinished").iterdir()
    assert folder.name == "smoke-random_start-0" and not out.exists()
    steps = []
    monkeypatch.setattr(trials, "write_checkpoint", lambda path, state: steps.append(len(state["history"]["train"])))
    measure_runs(todo, CONFIG, made, out=out)
    assert steps == [4]
    assert [[row[metric] for metric in METRICS] for row in read_results(out)] == [
        [row[metric] for metric in METRICS] for row in whole
    ]
    assert read_results(out)[0]["seconds"] > 1000
    assert not folder.exists()


def test_the_time_left_is_that_of_runs_of_the_same_kind():
    left = [("l1", 1), ("report", 1)]
    assert time_left([], left, CONFIG) == "2 runs are left; how long they take is known after the first one"
    rows = [row("report", 0) | {"seconds": 3600.0}, row("edge_4", 0) | {"seconds": 7200.0}]
    assert time_left(rows, left, CONFIG, 2) == "2 runs are left, about 1.2 hours of training at 2 at a time"
    assert time_left(rows, [], CONFIG) == "0 runs are left"
    trains_nothing = ("continuous", 0)
    assert (
        time_left(rows, [*left[1:], trains_nothing], CONFIG)
        == "2 runs are left, about 1.0 hours of training at 1 at a time"
    )


def test_a_single_run_needs_no_process_of_its_own(faked, tmp_path):
    """It has all cores then, and Ctrl-C. The fake is known to this process alone."""
    measure_runs([("l1", 0)], CONFIG, tmp_path, jobs=2, out=tmp_path / "claims.csv")
    assert faked[0] == [("l1", 0)]


def test_a_trial_can_be_repeated_and_its_seed_matters(made):
    def errors(seed):
        return [[row[metric] for metric in METRICS] for row in run_variant("random_start", seed, CONFIG, made)]

    first = errors(0)
    assert len(first) == 2  # measured on the synthetic portraits alone
    assert errors(0) == first != errors(1)


def test_own_weights_are_started_from_where_they_lie(made, weights, monkeypatch, tiny, tmp_path):
    own = _stored(U2Net(tiny), tiny, tmp_path / "own.pth")
    assert start_of("continuous", weights) == weights
    monkeypatch.setitem(pretrained.SHIPPED, "u2net_lite", own)
    assert start_of("continuous", weights) == own
    assert start_of("report", weights) == start_of("exact_truth", weights) == weights  # neither has seen exact mattes


def test_missing_weights_are_told(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="none.pth: no weights there; put u2netp.pth into saved_models/"):
        start_of("report", tmp_path / "none.pth")
    monkeypatch.setattr(trials, "find_pretrained", lambda network: None)
    with pytest.raises(FileNotFoundError, match="u2netp.pth: no weights there"):
        start_of("continuous")
    assert start_of("random_start") is None


def test_errors_are_averaged_over_portraits_and_bands():
    half = np.zeros((20, 20))
    half[:, 10:] = 1
    found = measure([(abs(half - 0.1), half), (np.full((20, 20), 0.7), np.ones((20, 20)))], width=3)
    assert found["whole"]["mad"] == pytest.approx((0.1 + 0.3) / 2)
    assert found["whole"]["mse"] == pytest.approx((0.01 + 0.09) / 2)
    assert found["band"]["sad"] == pytest.approx(0.1 * 40 / 1000)  # two columns of the first; the second has no edge
    assert "band" not in measure([(np.ones((9, 9)), np.ones((9, 9)))])


# -------------------------------------------------------------------------------------------------------------- claim 6


def test_predictions_are_enlarged_continuous_and_thresholded(weights, made, monkeypatch, float32):
    """In float32, as docs/protocol.md says, whatever this machine is fast at."""
    seen, matter = {}, Matter(TorchPredictor(read_network(weights)[0], float32), 32)
    monkeypatch.setattr(trials, "measure", lambda mattes, width: seen.update({width: list(mattes)}) or {})
    for name, size in (("continuous", 64), ("thresholded", 96)):
        monkeypatch.setitem(VARIANTS, name, Enlargement(name == "thresholded", size=size, count=2))
        run_variant(name, 3, CONFIG, made, weights=weights)
    assert list(seen) == [3, 5]  # 15 of 320, of 64 and of 96 (4.5) pixels, odd
    for number in range(2):
        portrait = make_portrait(3000 + number, 64)
        pred, true = seen[3][number]
        assert np.array_equal(true, portrait.matte / 255)
        low = matter.alpha(cv2.resize(portrait.image, (32, 32), interpolation=cv2.INTER_AREA))
        assert np.array_equal(pred, cv2.resize(low, (64, 64), interpolation=cv2.INTER_LINEAR))

        portrait = make_portrait(3000 + number, 96)
        low = matter.alpha(cv2.resize(portrait.image, (32, 32), interpolation=cv2.INTER_AREA)) >= 0.5
        high = cv2.resize(low.astype(np.float32), (96, 96), interpolation=cv2.INTER_LINEAR) >= 0.5
        assert np.array_equal(seen[5][number][0], high)


def test_the_enlargement_is_measured_on_made_portraits_in_a_band_as_wide(weights, made, monkeypatch):
    for name in ("continuous", "thresholded"):
        monkeypatch.setitem(VARIANTS, name, VARIANTS[name]._replace(size=64, count=2))
        rows = run_variant(name, 0, CONFIG, made, weights=weights)
        found = [(row["set"], row["region"], row["steps"]) for row in rows]
        assert found == [("made", "whole", 0), ("made", "band", 0)]
        assert rows[0]["data"] == "2 synthetic portraits of 64 px"
        assert rows[0]["claim"] == "6"


def test_at_1920_pixels_the_band_is_91_wide(weights, made, monkeypatch):
    widths = []
    monkeypatch.setattr(trials, "measure", lambda mattes, width: widths.append(width) or {})
    run_variant("continuous", 0, CONFIG, made, weights=weights)
    assert widths == [91]


# --------------------------------------------------------------------------------------------------- the stored results


def row(variant="report", seed=0, portraits="made", region="band", preset="smoke", data="made", **errors):
    """A row as it would be stored."""
    values = dict.fromkeys(METRICS, 0.5) | errors
    shared = {"steps": 10, "seconds": 1.5, "max_lr": 1e-3, "preset": preset, "image_size": 32, "data": data,
            "start": "random", "device": "cpu float32", "commit": "1234567+"}  # fmt: skip
    return {"claim": "1 2", "variant": variant, "seed": seed, "set": portraits, "region": region, **values, **shared}


@pytest.fixture
def faked(monkeypatch):
    """Trials that take no time; what was called, and what is raised on which call."""
    calls, raised = [], {}

    def run(name, seed, config, made, real, weights, unfinished):
        calls.append((name, seed))
        if len(calls) in raised:
            raise raised[len(calls)]
        return [row(name, seed, region=region) for region in ("whole", "band")]

    monkeypatch.setattr(measured, "run_variant", run)
    monkeypatch.setattr(measured, "origin_of", lambda *_: {"data": "made", "start": "random"})
    monkeypatch.setattr(experiments, "write_dataset", lambda *_: None)
    return calls, raised


def test_results_come_back_as_they_were_stored(tmp_path):
    path = tmp_path / "results" / "claims.csv"
    first, second = row(sad=0.123456, mse=1e-6), row("l1", 2, data="made, the first", iou=1.0)
    add_results(path, [first])
    add_results(path, [second])
    assert read_results(path) == [first, second]
    assert path.read_text().splitlines()[0] == ",".join(FIELDS)
    assert [path.name for path in path.parent.iterdir()] == ["claims.csv"]


def test_files_that_hold_no_results_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.csv: no results there; measure them: python -m"):
        read_results(tmp_path / "none.csv")
    other = tmp_path / "other.csv"
    other.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"other.csv: has the columns \['a', 'b'\], expected"):
        add_results(other, [row()])
    assert other.read_text() == "a,b\n1,2\n"


def test_an_interrupted_table_goes_on_and_repeats_nothing(faked, tmp_path, made, capsys):
    calls, raised = faked
    out, raised[3] = tmp_path / "claims.csv", KeyboardInterrupt()
    todo = missing_runs([], [1], [0, 1], CONFIG, made)
    assert todo == [(name, seed) for seed in (0, 1) for name in ("report", "cross_entropy", "l1")]
    with pytest.raises(KeyboardInterrupt):
        measure_runs(todo, CONFIG, made, out=out)
    assert len(read_results(out)) == 4
    rest = missing_runs(read_results(out), [1], [0, 1], CONFIG, made)
    assert rest == todo[2:]
    assert measure_runs(rest, CONFIG, made, out=out) == []
    assert calls[3:] == rest
    assert missing_runs(read_results(out), [1], [0, 1], CONFIG, made) == []
    last = r"4/4 after \d+ s: l1, seed 1: made whole sad 0.5000, made band sad 0.5000\n"
    assert re.search(last, capsys.readouterr().out)


def test_what_several_claims_share_is_trained_once_and_the_full_network_last(faked, made):
    every = missing_runs([], list(CLAIMS), [0], CONFIG, made)
    assert len(every) == len(set(every)) == len(VARIANTS) - 1
    with_full = missing_runs([], [5, 6], [0, 1], CONFIG, made, full=True)
    assert with_full[-2:] == [("full_network", 0), ("full_network", 1)]
    assert with_full.count(("report", 0)) == 1


def test_primary_comparisons_come_first_and_others_with_three_seeds(faked, made):
    runs = missing_runs([], [1, 2], range(6), CONFIG, made)
    primary = ("report", "cross_entropy", "l1", "edge_0")
    assert runs[:24] == [(name, seed) for seed in range(6) for name in primary]
    others = ("edge_4", "edge_10", "edge_on_all", "width_3", "width_15")
    assert runs[24:] == [(name, seed) for seed in range(3) for name in others]


def test_an_epoch_shows_a_quarter_of_the_synthetic_portraits_beside_photos(made, portrait_folder):
    assert [source.weight for source in sources_of("report", made, [portrait_folder])] == [0.25, 1.0]
    assert [source.weight for source in sources_of("report", made)] == [1.0]
    assert [source.weight for source in sources_of("hard_truth", made, [portrait_folder])] == [1.0]


def test_another_preset_is_another_run_and_other_data_are_refused(faked, made):
    other = [row(name, preset="paper") for name in CLAIMS[4].variants]
    assert len(missing_runs(other, [4], [0], CONFIG, made)) == 2
    with pytest.raises(ValueError, match="hard_truth, seed 0: stored with data 'else', now 'made'; name another file"):
        missing_runs([row("hard_truth", data="else")], [4], [0], CONFIG, made)


def test_a_run_that_was_not_measured_on_real_photos_is_told(faked, made, portrait_folder):
    """The runs on synthetic portraits alone are trained alike, with real photos to measure on or without."""
    stored = [row(name) for name in CLAIMS[4].variants]
    assert missing_runs(stored, [4], [0], CONFIG, made) == []
    with pytest.raises(ValueError, match="hard_truth, seed 0: stored without having been measured on real photos"):
        missing_runs(stored, [4], [0], CONFIG, made, [portrait_folder])
    both = [*stored, *(row(name, set="real") for name in CLAIMS[4].variants)]
    assert missing_runs(both, [4], [0], CONFIG, made, [portrait_folder]) == []


def test_missing_photos_and_weights_are_told_before_anything_is_trained(made, tmp_path, capsys):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        missing_runs([], [4], [0], CONFIG, made, [tmp_path / "nowhere"])
    out = tmp_path / "claims.csv"
    paths = ["--weights", str(tmp_path / "none.pth"), "--work", str(tmp_path), "--out", str(out)]
    assert main(["--claims", "1", *paths]) == 1
    assert "error: " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_only_the_synthetic_portraits_that_are_needed_are_made(faked, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(experiments, "write_dataset", lambda folder, *numbers: made.append((folder.name, *numbers)))
    for claims in (["6"], ["4"], ["8"], ["4", "6", "8"]):  # claim 6 draws its own
        out = tmp_path / "-".join(claims) / "claims.csv"
        assert main(["--claims", *claims, "--seeds", "0", "--preset", "smoke", "--out", str(out)]) == 0
        assert main(["--claims", *claims, "--seeds", "0", "--preset", "smoke", "--out", str(out)]) == 0  # all is stored
    small, large = ("synthetic-40x128", 40, 128, 0), ("synthetic-40x128-large", 40, 256, 0)
    assert made == [small, large, small, large]


def test_a_run_that_diverges_is_told_and_the_others_are_done(faked, tmp_path, capsys):
    calls, raised = faked
    raised[2] = FloatingPointError("step 7: the loss is nan")
    out = tmp_path / "claims.csv"
    assert main(["--claims", "1", "--seeds", "0", "--preset", "smoke", "--out", str(out)]) == 1
    assert calls == [("report", 0), ("cross_entropy", 0), ("l1", 0)]
    assert {row["variant"] for row in read_results(out)} == {"report", "l1"}
    printed = capsys.readouterr()
    assert "cross_entropy, seed 0: failed: step 7: the loss is nan" in printed.out
    assert "failed: cross_entropy, seed 0" in printed.err


def test_runs_side_by_side_are_all_stored_without_mixing_their_bars(made, weights, tmp_path, monkeypatch, capfd):
    monkeypatch.undo()  # processes of their own know nothing of the tiny network
    config, out = load_config("smoke", image_size=32, batch_size=3, epochs=1), tmp_path / "claims.csv"
    runs = [("random_start", 0), ("random_start", 1)]
    assert measure_runs(runs, config, made, jobs=2, out=out) == []
    assert "epoch" not in capfd.readouterr().err
    found = {row["seed"]: row for row in read_results(out) if row["region"] == "whole"}
    assert sorted(found) == [0, 1]
    assert found[0]["sad"] != found[1]["sad"]
    assert missing_runs(read_results(out), [5], [0, 1], config, made, weights=weights) == [
        ("report", 0), ("report", 1),
    ]  # fmt: skip


# ------------------------------------------------------------------------------------------------------- what they show


def rows_of(**values):
    """Rows of several variants whose SAD over the seeds 0, 1, 2 is given; IoU is 1 − SAD."""
    return [row(name, seed, sad=sad, iou=1 - sad) for name, sads in values.items() for seed, sad in enumerate(sads)]


def test_mean_spread_and_paired_difference_by_hand():
    rows = rows_of(report=(1.0, 1.2, 1.4), l1=(0.9, 1.0, 1.1), cross_entropy=(1.22, 1.4, 1.58))
    table = compare(rows, 1, "made", "band", "sad")
    assert list(table) == ["report", "cross_entropy", "l1"]
    assert table["report"] == pytest.approx((3, 1.2, 0.2, 0, 0, 0))
    # differences −.1, −.2, −.3: standard error .1/√3 = .0577; Student's t for three seeds is 4.303, so ±.248
    assert table["l1"] == pytest.approx((3, 1.0, 0.1, -0.2, -0.448, 0.048), abs=1e-3)
    # differences .22, .2, .18: .02/√3 = .0115, so ±.05
    assert table["cross_entropy"] == pytest.approx((3, 1.4, 0.18, 0.2, 0.150, 0.250), abs=1e-3)


def test_only_common_seeds_are_compared_and_one_of_them_shows_nothing():
    rows = rows_of(report=(1.0, 2.0), l1=(0.5,), cross_entropy=(1.0, 2.0, 9.0))
    table = compare(rows, 1, "made", "band", "sad")
    assert table["l1"].difference == -0.5
    assert math.isnan(table["l1"].spread) and math.isnan(table["l1"].low)
    assert table["cross_entropy"][:2] == (3, 4.0) and table["cross_entropy"].difference == 0
    assert math.isnan(compare(rows_of(l1=(1.0, 2.0)), 1, "made", "band", "sad")["l1"].difference)


def test_values_are_those_of_the_claim_the_set_and_the_region():
    rows = [row(sad=1.0), row(region="whole", sad=2.0), row(portraits="real", sad=3.0), row("l1", 1, sad=4.0),
            row("constant", sad=5.0)]  # fmt: skip
    assert values_of(rows, 1, "made", "band", "sad") == {"report": {0: 1.0}, "l1": {1: 4.0}}
    assert values_of(rows, 3, "real", "band", "sad") == {"report": {0: 3.0}}
    with pytest.raises(ValueError, match="report, seed 0: stored twice; give the rows of one preset, each once"):
        values_of([row(), row(preset="paper")], 1, "made", "band", "sad")


def test_the_table_as_text():
    rows = rows_of(report=(1.0, 1.2, 1.4), l1=(1.22, 1.4, 1.58))
    lines = claim_table(rows, 1, "made", "band", ("sad", "iou")).splitlines()
    assert lines[0] == "claim 1: RMSE against cross-entropy and L1 (synthetic portraits, transition band)"
    assert lines[1].split() == ["n", "sad", "iou"]
    assert lines[2].split() == ["report", "3", "1.2000", "±", "0.2000", "-0.2000", "±", "0.2000"]
    assert lines[3].split() == ["cross_entropy", "not", "measured"]
    interval = ["[+0.1503,", "+0.2497]"]
    assert lines[4].split() == ["l1", "3", "1.4000", "±", "0.1800", *interval, "-0.4000", "±", "0.1800", "[-0.2497,",
                                "-0.1503]"]  # fmt: skip
    single = claim_table(rows_of(report=(1.0,), l1=(1.5,)), 1, "made", "whole", ("sad",)).splitlines()
    assert single[0].endswith("(synthetic portraits, whole image)") and single[2].split() == [
        "report",
        "not",
        "measured",
    ]
    single = claim_table(rows_of(report=(1.0,), l1=(1.5,)), 1, "made", "band", ("sad",)).splitlines()
    assert [line.split() for line in single[2::2]] == [["report", "1", "1.0000"], ["l1", "1", "1.5000"]]


# ---------------------------------------------------------------------------------------------------------- the command


def test_without_claims_it_tells_what_there_is_to_do(faked, tmp_path, capsys):
    out = tmp_path / "claims.csv"
    add_results(out, rows_of(report=(1.0, 2.0)) + [row("l1", preset="paper")])
    assert main(["--out", str(out), "--preset", "smoke"]) == 0
    printed = capsys.readouterr().out
    assert faked[0] == []
    assert "claim 1, RMSE against cross-entropy and L1: not measured are cross_entropy, l1\n" in printed
    assert "report           2    1.5000 ± 0.7071" in printed
    assert "--claims 1 2 3 4 5 6 7 --real SELFIES --real STREET --weights u2netp.pth" in printed


def test_without_claims_the_answers_are_those_of_the_page(capsys):
    assert main([]) == 0
    answers = capsys.readouterr().out.partition("The answers:\n")[2].partition("\n\n")[0]
    assert answers and answers in (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")


def test_the_command_measures_what_is_missing_and_prints_the_tables(faked, tmp_path, capsys):
    out = tmp_path / "claims.csv"
    command = ["--claims", "4", "--seeds", "0", "5", "--preset", "smoke", "--out", str(out)]
    assert main(command) == 0
    assert faked[0] == [("hard_truth", 0), ("exact_truth", 0), ("hard_truth", 5), ("exact_truth", 5)]
    printed = capsys.readouterr().out
    assert "claim 4: training on hard masks against exact mattes (synthetic portraits, transition band)" in printed
    assert "real portraits" not in printed and "claim 1" not in printed
    assert main(command) == 0
    assert len(faked[0]) == 4
    assert "nothing is missing" in capsys.readouterr().out


def test_two_commands_never_write_one_table(faked, tmp_path, capsys):
    out = tmp_path / "claims.csv"
    command = ["--claims", "4", "--seeds", "0", "--preset", "smoke", "--out", str(out)]
    with alone(out):
        assert main(command) == 1
    assert "is training there; wait for it" in capsys.readouterr().err
    assert faked[0] == [] and not out.exists()
    assert main(command) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["claims.csv"]
    with alone(out):
        assert main(command) == 0  # nothing is missing, so nothing is written


def test_what_another_command_has_stored_meanwhile_is_not_done_again(faked, tmp_path, monkeypatch):
    out = tmp_path / "claims.csv"

    @contextmanager
    def waited(path):
        add_results(out, [row("hard_truth", 0, region=region) for region in ("whole", "band")])
        yield

    monkeypatch.setattr(experiments, "alone", waited)
    assert main(["--claims", "4", "--seeds", "0", "--preset", "smoke", "--out", str(out)]) == 0
    assert faked[0] == [("exact_truth", 0)]


def test_a_row_that_is_stored_twice_is_told(tmp_path, capsys):
    out = tmp_path / "claims.csv"
    add_results(out, [row(), row()])
    assert main(["--out", str(out), "--preset", "smoke"]) == 1
    assert "error: report, seed 0: stored twice" in capsys.readouterr().err


def test_a_preset_that_cannot_be_measured_is_refused_before_anything_is_drawn(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(experiments, "write_dataset", lambda *_: pytest.fail("drawn"))
    monkeypatch.setattr(experiments, "missing_runs", lambda *_, **__: [("continuous", 0), ("report", 0)])
    assert main(["--claims", "1", "--preset", "rmbg_sample", "--out", str(tmp_path / "claims.csv")]) == 1
    assert "image_size=16" in capsys.readouterr().err


@pytest.mark.parametrize("preset", ["quick", "mine", "rmbg"])
def test_a_run_is_the_reports_whatever_the_preset(preset):
    report = replace(PRESETS["paper"], **REPORT)
    sizes = ("name", "image_size", "batch_size", "epochs", "workers", "log_every", "checkpoint_every",
             "synthetic_count", "synthetic_size", "tensorboard", "download", "micro_batch")  # fmt: skip
    own = {name: getattr(PRESETS[preset], name) for name in sizes}
    assert config_of("report", 0, PRESETS[preset]) == replace(report, **own, seed=0)


def test_an_interrupted_command_says_how_to_go_on(faked, tmp_path, capsys):
    faked[1][1] = KeyboardInterrupt()
    assert main(["--claims", "4", "--preset", "smoke", "--out", str(tmp_path / "claims.csv")]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--claims", "9"], ["--claims"], ["--preset", "none"], ["--what"], ["--jobs", "0"]])
def test_unknown_arguments_are_usage_errors(wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(wrong)
    assert stopped.value.code == 2
    assert "usage: python -m helpers.experiments" in capsys.readouterr().err


# ----------------------------------------------------------------------------------------------------------- the commit


@pytest.mark.skipif(not shutil.which("git"), reason="no git here")
def test_the_commit_is_named_and_changes_are_marked(tmp_path):
    def git(*arguments):
        names = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(["git", *names, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True)

    current = commit.__wrapped__
    assert current(tmp_path) == "unknown"
    git("init", "--quiet")
    (tmp_path / "code.py").write_text("1")
    assert current(tmp_path) == "unknown"
    git("add", ".")
    git("commit", "--quiet", "-m", "first")
    head = git("rev-parse", "--short", "HEAD").stdout.strip()
    assert current(tmp_path) == head
    (tmp_path / "new.csv").write_text("not tracked")
    assert current(tmp_path) == head
    (tmp_path / "code.py").write_text("2")
    assert current(tmp_path) == head + "+"


def test_a_change_anywhere_in_helpers_is_marked():
    """The network or the loss counts as much as the experiments' own code."""
    [folder] = inspect.signature(commit.__wrapped__).parameters.values()
    assert folder.default == Path(helpers.__file__).parent
