"""What a run is put together from, by the choices of its configuration."""

import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from helpers.config import LATEST, load_config
from helpers.losses import LOSSES, matting_loss
from helpers.networks.registry import weights_out
from helpers.samples.mixing import Source
from helpers.schedule import range_test
from helpers.training import loop as training
from helpers.training import setup as assembly
from helpers.training.checkpoints import resume, write_checkpoint
from helpers.training.loop import fit, train_epoch, validate
from helpers.training.setup import assemble


def forbidden(*_, **__):
    raise AssertionError("this must not be called")


@pytest.fixture
def nothing_read(monkeypatch):
    """Neither a picture nor a weight file may be looked for."""
    for name in ("mix", "read_weights", "build", "range_test"):
        monkeypatch.setattr(assembly, name, forbidden)


# ------------------------------------------------------------------------------------------------------- learning rates


RATES = [10 ** (-6 + 6 * i / 99) for i in range(100)]
LOSSES_FOUND = [1 / (1 + np.exp((i - 60) / 4)) for i in range(100)]  # falls fastest at the 60th rate


@pytest.fixture
def scripted(monkeypatch):
    """A range test whose suggestion is `RATES[60]`; returns what it was called with."""
    calls = []

    def range_test(model, loader, step):
        calls.append((model, loader, step))
        return RATES, LOSSES_FOUND

    monkeypatch.setattr(assembly, "range_test", range_test)
    return calls


def test_the_rate_found_by_the_range_test_is_trained_with(scripted, make_run, capsys):
    run, _ = make_run(max_lr="auto")
    assert len(scripted) == 1
    assert run.config.max_lr == RATES[60]
    assert run.optimizer.defaults["lr"] == RATES[60]
    assert run.schedule.state_dict()["total_steps"] == 8
    assert run.optimizer.param_groups[0]["max_lr"] == RATES[60]
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(RATES[60] / 25)
    printed = f"max_lr=auto: {RATES[60]:.1e}, where the loss of the range test falls fastest\n"
    assert capsys.readouterr().out == printed


def test_the_range_test_trains_as_the_run_will(scripted, make_run, monkeypatch):
    """On the run's own batches, in its micro-batches, with its loss and its clipping; what it trains is a copy."""
    run, _ = make_run(max_lr="auto", micro_batch=2, clip=0.5)
    [(model, loader, step)] = scripted
    assert model is run.model
    assert loader is run.loader
    given, batch = [], next(iter(loader))

    def stepped(*parts):
        given.append(parts)
        return {"total": torch.tensor(0.5)}, 1

    monkeypatch.setattr(assembly, "step_in_memory", stepped)
    assert step("model", "optimizer", batch) == step("model", "optimizer", batch) == 0.5
    (model, optimizer, trained, loss, runtime, scaler, micro_batch, clip), later = given
    assert (model, optimizer, loss, runtime) == ("model", "optimizer", run.loss, run.runtime)
    assert (micro_batch, clip) == (2, 0.5)
    assert later[6] == 1  # memory ran out with two
    assert trained is batch
    assert isinstance(scaler, torch.amp.GradScaler)


@pytest.mark.parametrize("frozen", [True, False])
def test_the_range_test_keeps_the_statistics_that_the_run_keeps(frozen, monkeypatch, make_run, trained_weights):
    kept = []

    def range_test(model, loader, step):
        kept.extend(not part.training for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d))
        return RATES, LOSSES_FOUND

    monkeypatch.setattr(assembly, "range_test", range_test)
    make_run(max_lr="auto", freeze_encoder=frozen, weights=trained_weights)
    assert set(kept) == {frozen}


def test_a_real_range_test_changes_neither_weights_nor_batches(make_run, capsys, monkeypatch):
    monkeypatch.setattr(assembly, "range_test", partial(range_test, low=1e-5, high=1e-2, count=20))
    run, _ = make_run(max_lr="auto")
    plain, _ = make_run(max_lr=run.config.max_lr)
    assert 1e-5 < run.config.max_lr < 1e-2
    assert run.recipe == plain.recipe
    train_epoch(run)
    train_epoch(plain)
    assert run.history == plain.history
    assert "max_lr=auto" in capsys.readouterr().out


def test_a_resumed_run_keeps_its_rate_without_another_range_test(scripted, make_run, tmp_path, monkeypatch):
    run, val_loader = make_run(max_lr="auto", folder=tmp_path)
    train_epoch(run)
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    monkeypatch.setattr(assembly, "range_test", forbidden)
    again, val_loader = make_run(max_lr="auto", folder=tmp_path)
    assert again.config.max_lr == RATES[60]
    assert resume(again, tmp_path)
    assert (again.epoch, again.optimizer.param_groups[0]["lr"]) == (1, run.optimizer.param_groups[0]["lr"])
    fit(again, val_loader, tmp_path)
    assert again.finished


def test_it_says_that_the_rate_is_an_earlier_one(scripted, make_run, tmp_path, capsys):
    run, _ = make_run(max_lr="auto", folder=tmp_path)
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    capsys.readouterr()
    make_run(max_lr="auto", folder=tmp_path, log_every=7)
    printed = f"max_lr=auto: {RATES[60]:.1e}, found when the run in {tmp_path} began\n"
    assert (capsys.readouterr().out, len(scripted)) == (printed, 1)


@pytest.mark.parametrize("settings", [
    {"max_lr": 0.123}, {"max_lr": "auto", "seed": 3}, {"max_lr": "auto", "epochs": 3},
], ids=["given", "another seed", "more epochs"])  # fmt: skip
def test_the_rate_of_another_run_is_not_taken(settings, scripted, make_run, tmp_path):
    """Neither one that was given by hand, nor one that was found for other settings."""
    run, _ = make_run(folder=tmp_path, **settings)
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    scripted.clear()
    again, _ = make_run(max_lr="auto", folder=tmp_path)
    assert len(scripted) == 1
    assert again.config.max_lr == RATES[60]
    with pytest.raises(ValueError, match="from another run, which differs in"):
        resume(again, tmp_path)


@pytest.mark.parametrize("state", [{"epoch": 15}, {"config": {"epochs": 3}}])
def test_a_checkpoint_of_unknown_origin_tells_no_rate(state, scripted, make_run, tmp_path):
    write_checkpoint(tmp_path / LATEST, state)
    run, _ = make_run(max_lr="auto", folder=tmp_path)
    assert len(scripted) == 1
    with pytest.raises(ValueError, match="from another run, which differs in"):
        resume(run, tmp_path)


def test_all_processes_take_the_rate_of_the_first(scripted, make_run, monkeypatch):
    """Each saw other images; with different rates their weights would drift apart."""
    monkeypatch.setattr(assembly, "broadcast_object_list", lambda found: [found[0] / 2])
    run, _ = make_run(max_lr="auto")
    assert run.config.max_lr == run.optimizer.defaults["lr"] == RATES[60] / 2


# ------------------------------------------------------------------------------------------------------------- schedule


def test_the_schedule_is_chosen_by_its_name(make_run):
    assert isinstance(make_run()[0].schedule, OneCycleLR)
    run, _ = make_run(schedule="plateau", max_lr=0.004)
    assert isinstance(run.schedule, ReduceLROnPlateau)
    assert run.optimizer.param_groups[0]["lr"] == 0.004


@pytest.mark.parametrize("best_by, mode", [("loss", "min"), ("mse", "min"), ("mad", "min"), ("iou", "max")])
def test_the_plateau_watches_what_the_best_is_chosen_by(best_by, mode, make_run):
    run, _ = make_run(schedule="plateau", best_by=best_by)
    assert run.schedule.mode == mode
    assert run.highest_is_best == (mode == "max")


def scripted_validation(monkeypatch, **values):
    """Validation that finds these values, one epoch after the other; what is not told stays the same."""
    results = [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
    remaining = iter([{"total": 1.0, "mse": 1.0, "mad": 1.0, "iou": 0.5} | result for result in results])
    monkeypatch.setattr(training, "evaluate", lambda *_: next(remaining))


@pytest.mark.parametrize("best_by, name, sign", [("loss", "total", -1), ("iou", "iou", 1)])
def test_the_plateau_is_stepped_by_the_validation(best_by, name, sign, make_run, monkeypatch):
    """A tenth of the rate after the fifth epoch in a row that was no better than the best."""
    run, val_loader = make_run(schedule="plateau", best_by=best_by, max_lr=0.01)
    better = 0.5 + sign * np.array([0.1, 0.2, 0.3, 0.3, 0.2, 0.3, 0.25, 0.1, 0.3, 0.4, 0.1])
    scripted_validation(monkeypatch, **{name: better.tolist()})
    rates = []
    for _ in better:
        validate(run, val_loader)
        rates.append(run.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.01] * 7 + [0.001] * 4)
    assert [metrics["lr"] for metrics in run.history["metrics"]] == pytest.approx([0.01] * 8 + [0.001] * 3)


def test_batches_do_not_step_the_plateau(make_run):
    run, val_loader = make_run(schedule="plateau", max_lr=0.01)
    rates = []
    train_epoch(run, lambda run: rates.append(run.optimizer.param_groups[0]["lr"]))
    assert rates == [0.01] * 4
    assert run.schedule.last_epoch == 0
    validate(run, val_loader)
    assert run.schedule.last_epoch == 1


# ------------------------------------------------------------------------------------------------------- frozen encoder


def test_freezing_random_weights_is_refused_before_anything_is_read(nothing_read, make_run):
    with pytest.raises(ValueError, match="keeps random weights .* by --weights, or set freeze_encoder=false"):
        make_run(freeze_encoder=True)


def test_freezing_an_encoder_without_its_weights_is_refused(portrait_folder, float32, monkeypatch):
    monkeypatch.setattr(assembly, "mix", forbidden)
    monkeypatch.setattr(assembly, "find_encoder", lambda _: None)
    monkeypatch.setattr(assembly, "build", lambda _: None)
    config = load_config("rmbg_sample", freeze_encoder=True, download=False)
    with pytest.raises(ValueError, match="freeze_encoder=true needs weights to keep: resnet50-11ad3fa6.pth is not in"):
        assemble(config, [Source(portrait_folder)], runtime=float32)


def test_a_frozen_encoder_stays_bit_by_bit_and_the_decoder_learns(trained_weights, make_run):
    run, val_loader = make_run(weights=trained_weights, freeze_encoder=True, max_lr=0.01)
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    train_epoch(run)
    validate(run, val_loader)
    train_epoch(run)
    assert {name.split(".")[0] for name in before} == {"encoder", "decoder", "sides", "fuse"}
    kept = ("running_mean", "running_var", "num_batches_tracked")  # what batch norms know of earlier photos
    assert sum(name.endswith(kept) for name in before) > 100
    changed = {name for name, tensor in run.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert {name.split(".")[0] for name in changed} == {"decoder", "sides", "fuse"}
    assert not any(name.endswith(kept) for name in changed)
    assert run.model.decoder.training


def test_the_optimiser_of_a_frozen_encoder_holds_the_rest_alone(trained_weights, make_run):
    run, _ = make_run(weights=trained_weights, freeze_encoder=True)
    held = {id(parameter) for group in run.optimizer.param_groups for parameter in group["params"]}
    rest = (run.model.decoder, run.model.sides, run.model.fuse)
    assert held == {id(parameter) for part in rest for parameter in part.parameters()}
    free, _ = make_run(weights=trained_weights)
    assert len(free.optimizer.param_groups[0]["params"]) == len(list(free.model.parameters())) > len(held)


# -------------------------------------------------------------------------------------------------- networks and losses


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_put_together_with_its_numbers(loss, make_run):
    run, _ = make_run(loss=loss, edge_weight=3.0, edge_width=5, rough_width=9)
    maps, alpha = torch.rand(7, 2, 1, 16, 16), (torch.rand(2, 1, 16, 16) > 0.5).float()
    rough = torch.tensor([True, False])
    expected = LOSSES[loss](maps, alpha, edge_weight=3.0, edge_width=5, rough=rough, rough_width=9)
    assert run.loss(maps, alpha, rough=rough)["total"] == expected["total"]


def test_the_transition_term_looks_where_the_configuration_says(make_run):
    maps, alpha = torch.rand(7, 2, 1, 16, 16), (torch.rand(2, 1, 16, 16) > 0.5).float()
    found = {where: make_run(edge_on=where)[0].loss(maps, alpha)["edge"].item() for where in ("fused", "all")}
    own = [matting_loss([single], alpha)["edge"].item() for single in maps]
    assert found == {"fused": pytest.approx(own[0]), "all": pytest.approx(sum(own))}


def test_the_notebooks_loss_is_the_published_one_by_its_default(make_run):
    """By hand: seven equal maps that miss a half-black alpha by a half everywhere.

    Every map costs √(.25 + 1e-6); on the two columns at the edge, width 3, of 16: √(.25 · 2/16 + 1e-6). The published
    notebook takes their mean over the maps, and λ = 4.
    """
    run, _ = make_run(loss="notebook", edge_width=3)
    alpha = torch.zeros(2, 1, 16, 16)
    alpha[..., 8:] = 1
    terms = run.loss([torch.full_like(alpha, 0.5)] * 7, alpha)
    assert run.config.edge_weight == 4
    assert terms["total"].item() == pytest.approx(0.500001**1 + 4 * 0.1767795, abs=2e-5)


@pytest.mark.parametrize(("schedule", "batches", "is_enough"), [
    ("one_cycle", 1, False), ("one_cycle", 4, True), ("no_annihilation", 1, False), ("triangular", 3, False),
    ("triangular", 8, True), ("constant", 1, True), ("cosine", 1, True), ("step", 1, False),
])  # fmt: skip
def test_a_run_too_short_for_its_schedule_is_refused_with_the_way_out(schedule, batches, is_enough, make_run):
    """Of one step, one-cycle would see only its last rate, a 250,000th of the highest."""
    settings = {"schedule": schedule, "batch_size": 12, "epochs": batches}
    if is_enough:
        assert make_run(**settings)[0].config.schedule == schedule
    else:
        with pytest.raises(ValueError, match=rf"{schedule} never .* in {batches} steps.*: raise epochs, lower"):
            make_run(**settings)


SCHEDULED = {"constant": [0.01] * 8, "step": [0.01] * 4 + [0.001] * 2 + [0.0001] * 2}


@pytest.mark.parametrize("schedule", SCHEDULED)
def test_the_other_schedules_are_planned_for_all_steps(schedule, make_run):
    run, _ = make_run(schedule=schedule, max_lr=0.01)
    rates = []
    for _ in range(2):
        train_epoch(run, lambda run: rates.append(run.optimizer.param_groups[0]["lr"]))
    # told after each step: the rate of the next one
    assert rates[:-1] == pytest.approx(SCHEDULED[schedule][1:])


# ----------------------------------------------------------------------------------------------------- starting weights


def test_what_a_run_starts_from_is_told(make_run, trained_weights, tmp_path):
    assert make_run()[0].start == "random weights"
    assert make_run(weights=trained_weights)[0].start == "w.pth"


@pytest.mark.parametrize("start", ["pretrained", "own"])
def test_weights_on_the_disk_are_found_by_the_name_of_their_kind(start, trained_weights, make_run, monkeypatch):
    find = {"pretrained": "find_pretrained", "own": "find_shipped"}[start]
    monkeypatch.setattr(assembly, "fetch_start", forbidden)
    monkeypatch.setattr(assembly, find, lambda network: {"u2net_lite": trained_weights}[network])
    run, _ = make_run(start=start)
    stored = torch.load(trained_weights, weights_only=True)
    assert all(torch.equal(value, stored[name]) for name, value in weights_out(run.model).items())
    assert run.start == "w.pth"


def test_pretrained_weights_are_fetched_where_that_is_allowed(trained_weights, make_run, monkeypatch):
    monkeypatch.setattr(assembly, "find_pretrained", lambda network: None)
    monkeypatch.setattr(assembly, "fetch_start", lambda network: {"u2net_lite": trained_weights}[network])
    assert make_run(start="pretrained", download=True)[0].start == "w.pth"
    monkeypatch.setattr(assembly, "fetch_start", forbidden)
    with pytest.raises(
        FileNotFoundError, match=r"start=pretrained: u2netp\.pth is not in saved_models/; .*download=true"
    ):
        make_run(start="pretrained", download=False)


def test_a_run_never_starts_at_random_where_own_weights_were_asked_for(make_run, monkeypatch):
    monkeypatch.setattr(assembly, "find_shipped", lambda network: None)
    with pytest.raises(ValueError, match="start=own: saved_models/ has no weights of this project for u2net_lite; set"):
        make_run(start="own")


def test_cross_entropy_trains_by_the_same_loop(make_run, tmp_path):
    run, val_loader = make_run(loss="cross_entropy", schedule="plateau", max_lr=0.01, epochs=3)
    fit(run, val_loader, tmp_path)
    losses = [loss for _, loss in run.history["val"]]
    assert np.isfinite(run.history["train"] + losses).all()
    assert np.mean(run.history["train"][-4:]) < np.mean(run.history["train"][:4])


def test_the_resnet_trains_by_the_same_loop(portrait_folder, float32, monkeypatch):
    monkeypatch.setattr(assembly, "find_encoder", lambda _: None)
    config = load_config("rmbg_sample", download=False, workers=0)
    with pytest.warns(UserWarning, match=r"resnet50_unet starts from random weights: resnet50-11ad3fa6\.pth is not in"):
        run, val_loader = assemble(config, [Source(portrait_folder, weight=0.3)], runtime=float32)
    assert [len(batch) for batch in run.loader.batch_sampler] == [2, 2]
    before = run.model.encoder.conv1.weight.clone()
    train_epoch(run)
    validate(run, val_loader)
    assert np.isfinite(run.history["train"] + [run.history["val"][0][1]]).all()
    assert run.step == 2
    assert not torch.equal(run.model.encoder.conv1.weight, before)
    state = run.state_dict()
    assert (state["network"], state["table"]) == ("resnet50_unet", [])
    assert "encoder.conv1.weight" in state["model_state_dict"]


@pytest.mark.parametrize("download", [True, False])
def test_the_resnets_encoder_starts_from_imagenets_weights_where_they_can_be_had(
    download, portrait_folder, float32, tmp_path, monkeypatch
):
    """From the disk, or else fetched, if that is allowed."""
    started = []
    monkeypatch.setattr(assembly, "find_encoder", lambda _: None if download else tmp_path / "encoder.pth")
    monkeypatch.setattr(assembly, "fetch_start", lambda _: tmp_path / "encoder.pth" if download else forbidden())
    monkeypatch.setattr(assembly, "read_weights", lambda path: {"read": path})
    monkeypatch.setattr(assembly, "start_from", lambda model, weights: started.append(weights))
    monkeypatch.setattr(assembly, "build", lambda _: torch.nn.Conv2d(3, 1, 1))
    monkeypatch.setattr(assembly, "Run", lambda *parts: parts)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assemble(load_config("rmbg_sample", download=download, workers=0), [Source(portrait_folder)], runtime=float32)
    assert started == [{"read": tmp_path / "encoder.pth"}]


def test_where_imagenets_weights_cannot_be_fetched_the_warning_tells_why(portrait_folder, float32, monkeypatch):
    def unreachable(_):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(assembly, "find_encoder", lambda _: None)
    monkeypatch.setattr(assembly, "fetch_start", unreachable)
    monkeypatch.setattr(assembly, "build", lambda _: torch.nn.Conv2d(3, 1, 1))
    monkeypatch.setattr(assembly, "Run", lambda *parts: parts)
    with pytest.warns(UserWarning, match="resnet50_unet starts from random weights: no route to host"):
        assemble(load_config("rmbg_sample", workers=0), [Source(portrait_folder)], runtime=float32)


# ----------------------------------------------------------------------------------------------- machines and processes


@pytest.mark.parametrize("precision, dtype", [("float32", None), ("bfloat16", torch.bfloat16)])
def test_the_precision_is_passed_to_the_runtime(precision, dtype, make_run):
    run, _ = make_run(runtime=None, precision=precision)
    assert run.runtime.amp_dtype == dtype


def test_a_precision_that_the_machine_lacks_is_refused_before_anything_is_read(nothing_read, make_run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="precision=float16 needs a GPU"):
        make_run(runtime=None, precision="float16")


def test_a_batch_that_processes_cannot_share_is_refused_before_anything_is_read(nothing_read, make_run, monkeypatch):
    three = SimpleNamespace(num_processes=3, process_index=1, device=torch.device("cpu"))
    monkeypatch.setattr(assembly, "find_processes", lambda: three)
    with pytest.raises(ValueError, match="batch_size=8 cannot be shared evenly by 3 processes"):
        make_run(batch_size=8)


def test_each_process_gets_its_share_of_every_batch(make_run, monkeypatch):
    shares = []
    for process in range(3):
        accelerator = SimpleNamespace(num_processes=3, process_index=process, device=torch.device("cpu"))
        with monkeypatch.context() as patch:
            patch.setattr(assembly, "find_processes", lambda found=accelerator: found)
            patch.setattr(assembly, "Run", lambda model, optimizer, schedule, loss, loader, *_: (loader, schedule))
            (loader, schedule), val_loader = make_run(batch_size=6)
        assert schedule.total_steps == 4
        shares.append([*loader.batch_sampler])
    assert [len(batch) for share in shares for batch in share] == [2] * 6


@pytest.mark.parametrize("augmentation, pixels", [("report", 80), ("strong", 160)])
def test_the_decoding_keeps_enough_pixels_for_the_crop(augmentation, pixels, make_run):
    run, val_loader = make_run(image_size=48, augmentation=augmentation)
    least = {part.least for loader in (run.loader, val_loader) for part in loader.dataset.parts}
    assert least == {pixels}
    steps = str(run.loader.dataset.parts[0].transform.to_dict())
    assert ("PortraitCrop" in steps) == (augmentation == "strong")
