"""Training steps, exact resuming, validation by the same measure, and the headless run."""

import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from helpers import training
from helpers.checkpoints import BEST, FINAL, LATEST, read_checkpoint, resume, write_checkpoint
from helpers.devices import Runtime, best_runtime
from helpers.losses import LOSSES, matting_loss
from helpers.training import evaluate, fit, main, make_loader, train_epoch, train_step, validate
from helpers.u2net import TABLES, normalise, to_official

ROOT = Path(__file__).resolve().parents[1]


class Flat(nn.Module):
    """Answers with seven constant maps: a sigmoid of one number, whatever it is shown."""

    def __init__(self, logit=0.0):
        super().__init__()
        self.logit, self.seen = nn.Parameter(torch.tensor(logit)), []

    def forward(self, x):
        self.seen.append(x)
        return [torch.sigmoid(self.logit).expand(len(x), 1, *x.shape[2:])] * 7


def equal(first, second):
    """Whether two nested states are the same, bit by bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def same_run(first, second):
    """Whether two checkpoints are the same in all but the random numbers, which other tests have drawn from as well."""
    return equal(first | {"rng": None}, second | {"rng": None})


def batch_of(run):
    run.loader.batch_sampler.seek(0)
    return next(iter(run.loader))


# ----------------------------------------------------------------------------------------------------------------- step


def test_a_step_is_one_step_of_the_optimiser_on_normalised_images_and_alphas_from_0_to_1(float32):
    model, images = Flat(), torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    alphas = torch.tensor([0, 51, 102, 255], dtype=torch.uint8).repeat(2, 1, 4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    terms = train_step(model, optimizer, (images, alphas), partial(matting_loss, edge_weight=0), float32)
    # the maps are .5: d = .5, .3, .1, −.5; ∂rmse/∂p = mean(d) / rmse, ∂p/∂logit = .25, seven maps
    rmse = np.sqrt((0.25 + 0.09 + 0.01 + 0.25) / 4)
    assert terms["total"].item() == pytest.approx(7 * rmse, abs=1e-5)
    assert model.logit.item() == pytest.approx(-0.1 * 7 * 0.25 * 0.1 / rmse, abs=1e-6)
    assert torch.equal(model.seen[0], normalise(images))
    assert not any(term.requires_grad for term in terms.values())
    assert [*terms] == ["fused", *(f"side{i}" for i in range(1, 7)), "edge", "total"]


def test_gradients_of_the_step_before_are_forgotten(float32):
    batch = torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 1, 4, 4, dtype=torch.uint8)
    model = Flat()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    gradients = []
    for _ in range(2):
        train_step(model, optimizer, batch, matting_loss, float32)
        gradients.append(model.logit.grad.item())
    assert gradients[0] == gradients[1] != 0


@pytest.mark.parametrize("amp", [None, torch.bfloat16])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("loss", LOSSES)
def test_training_lowers_the_loss_in_every_precision_and_layout(amp, memory_format, loss, make_run):
    run, _ = make_run(runtime=Runtime(torch.device("cpu"), amp, memory_format), max_lr=0.01, loss=loss)
    batch = batch_of(run)
    losses = [train_step(run.model, run.optimizer, batch, run.loss, run.runtime)["total"].item() for _ in range(6)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]


def test_the_runtime_of_this_machine_trains(make_run):
    run, val_loader = make_run(runtime=best_runtime(), epochs=1)
    train_epoch(run)
    assert np.isfinite([*run.history["train"], validate(run, val_loader)]).all()


# ---------------------------------------------------------------------------------------------------------------- epoch


def test_an_epoch_trains_every_batch_once_and_steps_the_schedule(make_run):
    run, _ = make_run()
    positions, lrs = [], []

    def after(run):
        positions.append((run.epoch, run.batch, run.step))
        lrs.append(run.optimizer.param_groups[0]["lr"])

    train_epoch(run, after)
    assert positions == [(0, 1, 1), (0, 2, 2), (0, 3, 3), (0, 4, 4)]
    assert (run.epoch, run.batch, run.step) == (1, 0, 4)
    assert run.schedule.last_epoch == 4
    assert len(set(lrs)) == 4
    assert run.model.training


def test_the_schedule_ends_at_its_last_step(make_run):
    run, _ = make_run()
    train_epoch(run)
    train_epoch(run)
    assert run.epoch == run.config.epochs
    assert run.schedule.last_epoch == run.schedule.total_steps - 1 == 7
    assert run.optimizer.param_groups[0]["lr"] == pytest.approx(run.config.max_lr / 250_000)


def test_the_progress_bar_is_plain_text_with_loss_and_rate(make_run, capsys):
    run, _ = make_run()
    train_epoch(run)
    shown = capsys.readouterr().err
    assert "epoch 1/2" in shown
    assert "12/12" in shown
    assert "img/s" in shown or "s/img" in shown
    assert "loss=" in shown
    assert "lr=" in shown


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_and_no_checkpoint_changes(bad, make_run, tmp_path):
    run, val_loader = make_run()
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    before, good = (tmp_path / LATEST).read_bytes(), run.loss

    def spoilt(outputs, alpha):
        terms = good(outputs, alpha)
        return terms | {"total": terms["total"] * (bad if run.step == 2 else 1)}

    run.loss = spoilt
    with pytest.raises(FloatingPointError, match=f"epoch 1/2, batch 3: the loss is {bad}; lower max_lr"):
        fit(run, val_loader, tmp_path)
    assert run.step == 2
    assert [path.name for path in tmp_path.iterdir()] == [LATEST]
    assert (tmp_path / LATEST).read_bytes() == before


# ------------------------------------------------------------------------------------------------------------- resuming


class Stop(Exception):
    """The machine is switched off."""


def stop_at(step):
    def after(run):
        if run.step == step:
            raise Stop

    return after


@pytest.fixture(scope="module")
def whole(make_run, tmp_path_factory):
    """The state of a run of two epochs that was never stopped."""
    run, val_loader = make_run()
    folder = tmp_path_factory.mktemp("whole")
    fit(run, val_loader, folder)
    return read_checkpoint(folder / FINAL)


def test_resumed_at_the_end_of_an_epoch_the_run_is_the_same(make_run, whole, tmp_path):
    run, val_loader = make_run()
    train_epoch(run)
    validate(run, val_loader)
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    torch.manual_seed(99)
    again, val_loader = make_run()
    assert resume(again, tmp_path)
    fit(again, val_loader, tmp_path)
    assert same_run(again.state_dict(), whole)


@pytest.mark.parametrize("step", [4, 7])
def test_resumed_in_the_middle_of_an_epoch_the_run_is_the_same(step, make_run, whole, tmp_path):
    run, val_loader = make_run()
    with pytest.raises(Stop):
        while True:
            train_epoch(run, stop_at(step))
            validate(run, val_loader)
    assert run.step == step
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    again, val_loader = make_run()
    assert resume(again, tmp_path)
    assert (again.epoch, again.batch) == {4: (0, 4), 7: (1, 3)}[step]
    fit(again, val_loader, tmp_path)
    assert same_run(again.state_dict(), whole)
    assert again.schedule.last_epoch == again.schedule.total_steps - 1


def test_stopped_after_every_single_batch_the_run_is_the_same(make_run, whole, tmp_path):
    for step in range(1, 9):
        run, val_loader = make_run()
        resume(run, tmp_path)
        with pytest.raises(Stop):
            while True:
                train_epoch(run, stop_at(step))
                validate(run, val_loader)
        write_checkpoint(tmp_path / LATEST, run.state_dict())
    run, val_loader = make_run()
    assert resume(run, tmp_path)
    fit(run, val_loader, tmp_path)
    assert same_run(run.state_dict(), whole)


def test_a_resumed_run_trains_n_epochs_in_all(make_run, whole, tmp_path):
    run, val_loader = make_run()
    write_checkpoint(tmp_path / LATEST, whole)
    assert resume(run, tmp_path)
    assert run.finished
    fit(run, val_loader, tmp_path)  # nothing is left to do
    assert run.step == 8
    assert same_run(run.state_dict(), whole)


def test_a_loss_that_draws_random_numbers_resumes_exactly_too(make_run, tmp_path):
    def noisy(outputs, alpha):
        terms = matting_loss(outputs, alpha)
        return terms | {"total": terms["total"] * (1 + 0.1 * torch.rand(()) + 0.1 * np.random.rand())}

    states = []
    for stops in ((), (2, 7)):
        np.random.seed(0)
        folder = tmp_path / str(stops)
        for step in (*stops, 9):
            run, val_loader = make_run()
            run.loss = noisy
            resume(run, folder)
            try:
                while not run.finished:
                    train_epoch(run, stop_at(step))
                    validate(run, val_loader)
            except Stop:
                write_checkpoint(folder / LATEST, run.state_dict())
        states.append(run.state_dict())
    assert equal(states[0], states[1])


@pytest.mark.parametrize("workers", [0, 1])
def test_the_same_objects_can_go_on_after_an_interruption(workers, make_run, whole, tmp_path):
    """As in a notebook, where the cell is interrupted and run again; spawned workers have read ahead by then."""
    (run, _), (_, val_loader) = make_run(workers=workers), make_run()
    with pytest.raises(Stop):
        train_epoch(run, stop_at(2))
    fit(run, val_loader, tmp_path)
    assert equal(run.state_dict()["model_state_dict"], whole["model_state_dict"])
    assert equal(run.state_dict()["optimizer_state_dict"], whole["optimizer_state_dict"])
    assert run.history == whole["history"]


# --------------------------------------------------------------------------------------------------------------- Ctrl-C


@pytest.fixture
def ctrl_c():
    """Presses Ctrl-C, as in a terminal: also where the tests themselves run in the background."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda *_: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, previous)


@pytest.mark.parametrize("moment, batch", [("reading", 1), ("forward", 2), ("optimiser", 2), ("schedule", 1)])
def test_ctrl_c_leaves_a_run_that_resumes_exactly(moment, batch, ctrl_c, make_run, whole, tmp_path, monkeypatch):
    """A batch that was begun is finished first, whatever of it was done already."""
    run, val_loader = make_run()
    pressed = []

    def press_once(*_):
        if run.step >= 5 and not pressed:
            pressed.append(run.step)
            ctrl_c()

    if moment == "reading":
        run.loader.collate_fn = lambda samples, collate=run.loader.collate_fn: (press_once(), collate(samples))[1]
    elif moment == "forward":
        run.model.register_forward_hook(press_once)
    elif moment == "optimiser":
        run.optimizer.register_step_post_hook(press_once)
    else:
        step = OneCycleLR.step
        monkeypatch.setattr(OneCycleLR, "step", lambda schedule: (step(schedule), press_once()))
    with pytest.raises(KeyboardInterrupt):
        fit(run, val_loader, tmp_path)
    state = read_checkpoint(tmp_path / LATEST)
    assert (state["epoch"], state["batch"]) == (1, batch)
    again, val_loader = make_run()
    assert resume(again, tmp_path)
    fit(again, val_loader, tmp_path)
    assert same_run(again.state_dict(), whole)


def test_ctrl_c_works_as_before_afterwards(ctrl_c, make_run):
    run, _ = make_run()
    train_epoch(run)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# ---------------------------------------------------------------------------------------------- validation, predictions


@pytest.mark.parametrize("loss", [matting_loss, partial(matting_loss, edge_weight=4, edge_width=3), LOSSES["notebook"]])
def test_validation_loss_is_the_training_loss(loss, make_run, float32):
    """The same batch costs the same, term by term, edge term included."""
    run, val_loader = make_run()
    val_loader.batch_sampler.batch_size = 4  # one batch
    images, alphas = next(iter(val_loader))
    with torch.inference_mode():
        expected = loss(run.model.eval()(normalise(images)), alphas / 255)
    found = evaluate(run.model, val_loader, loss, float32)
    assert found == pytest.approx({name: term.item() for name, term in expected.items()}, abs=1e-6)
    run.model.forward = lambda x: [torch.full_like(x[:, :1], 0.3, requires_grad=True)] * 7
    trained = train_step(run.model, run.optimizer, (images, alphas), loss, float32)
    assert evaluate(run.model, val_loader, loss, float32) == pytest.approx({k: v.item() for k, v in trained.items()})


def test_validation_is_the_mean_over_images_not_over_batches(make_run, float32):
    run, val_loader = make_run()
    assert [len(batch) for batch in val_loader.batch_sampler] == [3, 1]
    singles = make_loader(val_loader.dataset, 1, shuffle=False)
    run.model.eval()
    each = [matting_loss(run.model(normalise(images)), alphas / 255)["total"].item() for images, alphas in singles]
    found = evaluate(run.model, val_loader, matting_loss, float32)["total"]
    assert found == pytest.approx(np.mean(each), abs=1e-6)
    assert found != pytest.approx((np.mean(each[:3]) + each[3]) / 2, abs=1e-6)


def test_validation_changes_nothing_and_is_noted_with_its_step(make_run):
    run, val_loader = make_run()
    train_epoch(run)
    before = {key: tensor.clone() for key, tensor in to_official(run.model).items()}
    random_state = torch.get_rng_state()
    first = validate(run, val_loader)
    second = validate(run, val_loader)
    assert first == second
    assert run.history["val"] == [[4, first], [4, first]]
    assert equal(to_official(run.model), before)
    assert torch.equal(torch.get_rng_state(), random_state)


def read_until(process, text):
    """Read the error output of a process, its progress bars, until `text` appears in it."""
    seen = b""
    while text not in seen:
        piece = process.stderr.read1()
        assert piece, seen.decode()
        seen += piece


# ------------------------------------------------------------------------------------------------------------------ fit


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
def test_ctrl_c_in_a_terminal_with_worker_processes_saves_the_run(portrait_folder, tmp_path):
    """The signal reaches the run and its workers alike, as in a terminal."""
    command = [sys.executable, "-m", "helpers.training",
               *arguments(portrait_folder, tmp_path / "out", "workers=1", "epochs=900", "batch_size=6")]  # fmt: skip
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        read_until(process, b"epoch 2/900")
        os.killpg(process.pid, signal.SIGINT)
        rest = process.stderr.read().decode()
    assert process.returncode == 130, rest
    assert "interrupted; the same command goes on from here" in rest
    assert read_checkpoint(tmp_path / "out" / LATEST)["epoch"] >= 1


def test_ctrl_c_during_validation_loses_nothing_of_the_epoch(make_run, tmp_path, monkeypatch):
    whole, val_loader = make_run()
    fit(whole, val_loader, tmp_path / "whole")

    def interrupt(*_):
        raise KeyboardInterrupt

    run, val_loader = make_run()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "evaluate", interrupt)
        fit(run, val_loader, tmp_path / "parts")
    run, val_loader = make_run()
    assert resume(run, tmp_path / "parts")
    assert (run.epoch, run.step, run.validated, run.finished) == (1, 4, False, False)
    fit(run, val_loader, tmp_path / "parts")
    assert run.history == whole.history
    for ours, theirs in zip(run.model.state_dict().values(), whole.model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_validation_loss_that_is_not_finite_stops_the_run(make_run):
    run, val_loader = make_run()
    run.loss = lambda outputs, alphas: {"total": outputs[0].sum() * float("nan")}
    with pytest.raises(FloatingPointError, match="validation loss is nan"):
        validate(run, val_loader)


def test_fit_writes_the_latest_the_best_every_nth_and_the_final(make_run, tmp_path):
    run, val_loader = make_run(epochs=3, checkpoint_every=2)
    fit(run, val_loader, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {LATEST, BEST, FINAL, "epoch_002.pth"}
    final, best = read_checkpoint(tmp_path / FINAL), read_checkpoint(tmp_path / BEST)
    assert final["epoch"] == 3
    assert equal(final["model_state_dict"], dict(to_official(run.model)))
    assert [step for step, _ in run.history["val"]] == [4, 8, 12]
    losses = [loss for _, loss in run.history["val"]]
    assert best["epoch"] == 1 + losses.index(min(losses))
    for path in tmp_path.iterdir():
        assert torch.load(path, weights_only=True)["config"]["epochs"] == 3


def test_a_folder_that_cannot_be_written_stops_the_run_before_it_starts(make_run, tmp_path):
    run, val_loader = make_run()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        fit(run, val_loader, tmp_path / "file")
    assert run.step == 0


# --------------------------------------------------------------------------------------------------------- headless run


def arguments(data, out, *settings, preset="smoke"):
    settings = ("image_size=32", "batch_size=3", "epochs=2", *settings)
    return ["--preset", preset, "--data", str(data), "--out", str(out),
            *(part for setting in settings for part in ("--set", setting))]  # fmt: skip


@pytest.fixture
def headless(tiny, monkeypatch, float32):
    """Headless runs in this process train the tiny network, without mixed precision."""
    monkeypatch.setitem(TABLES, "u2net_lite", tiny)
    monkeypatch.setattr(training, "best_runtime", lambda: float32)


def test_the_headless_run_trains_and_resumes(headless, portrait_folder, whole, tmp_path, capsys):
    assert main(arguments(portrait_folder, tmp_path)) == 0
    printed = capsys.readouterr().out
    loss = whole["history"]["val"][-1][1]
    assert printed == f"trained 2 epochs, validation loss {loss:.4f}: {tmp_path}/{FINAL}\n"
    assert equal(read_checkpoint(tmp_path / FINAL)["model_state_dict"], whole["model_state_dict"])
    assert main(arguments(portrait_folder, tmp_path)) == 0
    assert capsys.readouterr().out.startswith("resumed at epoch 2, batch 0\ntrained 2 epochs")


def test_the_headless_run_starts_from_weights(headless, make_run, portrait_folder, tmp_path, monkeypatch):
    torch.manual_seed(7)
    model = make_run(seed=7)[0].model
    torch.save({"model_state_dict": to_official(model)}, tmp_path / "w.pth")
    started = []

    def no_fit(run, _loader, _folder):
        started.append(run)
        run.history["val"].append([0, 1.0])

    monkeypatch.setattr(training, "fit", no_fit)
    assert main(arguments(portrait_folder, tmp_path / "out") + ["--weights", str(tmp_path / "w.pth")]) == 0
    assert equal(dict(to_official(started[0].model)), dict(to_official(model)))


def error_of(code, capsys):
    """The one line of a run that failed as it should."""
    printed = capsys.readouterr()
    assert code == 1
    lines = [line for line in printed.err.splitlines() if line.strip() and "%|" not in line]  # no progress bars
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.fixture
def copy(portrait_folder, tmp_path):
    return Path(shutil.copytree(portrait_folder, tmp_path / "copy"))


def test_bad_settings_are_one_line_each(headless, portrait_folder, tmp_path, capsys):
    for setting, named in (("epoch=3", "'epoch=3'"), ("epochs=0", "epochs=0"), ("name=mine", "'name=mine'"),
                           ("max_lr=fast", "'max_lr=fast'"), ("edge_width=4", "edge_width=4")):  # fmt: skip
        assert named in error_of(main(arguments(portrait_folder, tmp_path, setting)), capsys)
    assert not (tmp_path / LATEST).exists()


def test_missing_and_broken_files_are_one_line_each(headless, copy, tmp_path, capsys):
    out = tmp_path / "out"
    assert "nowhere" in error_of(main(arguments(tmp_path / "nowhere", out)), capsys)
    assert "w.pth" in error_of(main([*arguments(copy, out), "--weights", str(tmp_path / "w.pth")]), capsys)
    (tmp_path / "w.pth").write_bytes(b"<html>")
    assert "w.pth: not a" in error_of(main([*arguments(copy, out), "--weights", str(tmp_path / "w.pth")]), capsys)
    (tmp_path / "file").touch()
    assert "file" in error_of(main(arguments(copy, tmp_path / "file")), capsys)
    (copy / "images" / "train" / "train-3.jpg").write_bytes(b"")
    assert "train-3.jpg: not a readable picture" in error_of(main(arguments(copy, out)), capsys)


def test_a_broken_photo_in_a_worker_is_one_line_too(headless, copy, tmp_path, capsys):
    (copy / "images" / "train" / "train-3.jpg").write_bytes(b"")
    line = error_of(main(arguments(copy, tmp_path / "out", "workers=1")), capsys)
    assert "train-3.jpg: not a readable picture" in line


def test_another_recipe_in_the_folder_is_one_line(headless, portrait_folder, make_run, tmp_path, capsys):
    write_checkpoint(tmp_path / LATEST, make_run()[0].state_dict())
    line = error_of(main(arguments(portrait_folder, tmp_path, "edge_weight=4")), capsys)
    assert "another edge_weight, loss function" in line
    assert LATEST in line


def test_an_exploding_loss_is_one_line(headless, portrait_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(LOSSES, "report", lambda outputs, alpha, **_: {"total": outputs[0].mean() * float("nan")})
    assert "the loss is nan" in error_of(main(arguments(portrait_folder, tmp_path)), capsys)


@pytest.mark.parametrize("wrong", [["--preset", "huge"], ["--data"], ["--what"], []])
def test_a_wrong_command_line_exits_with_its_usage(wrong, capsys):
    with pytest.raises(SystemExit) as caught:
        main(wrong)
    assert caught.value.code == 2
    assert "usage: python -m helpers.training" in capsys.readouterr().err


def test_killed_and_started_again_the_headless_run_ends_the_same(portrait_folder, tmp_path):
    """Two processes, the first one killed in its second epoch, against one left alone; the real lite network."""

    def command(out):  # two batches an epoch
        return [sys.executable, "-m", "helpers.training", *arguments(portrait_folder, out, "batch_size=6", "epochs=3")]

    options = {"cwd": ROOT, "env": os.environ | {"OMP_NUM_THREADS": "1"}}
    with subprocess.Popen(
        command(tmp_path / "killed"), **options, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        read_until(process, b"epoch 2/3")
        process.kill()
    assert process.returncode != 0
    assert read_checkpoint(tmp_path / "killed" / LATEST)["epoch"] == 1
    assert not (tmp_path / "killed" / FINAL).exists()
    again = subprocess.run(command(tmp_path / "killed"), **options, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("resumed at epoch 1, batch 0\ntrained 3 epochs")

    subprocess.run(command(tmp_path / "alone"), **options, capture_output=True, check=True)
    killed, alone = (read_checkpoint(tmp_path / name / FINAL) for name in ("killed", "alone"))
    for part in ("model_state_dict", "optimizer_state_dict", "scheduler_state_dict", "history", "recipe"):
        assert equal(killed[part], alone[part]), part
    assert killed["scheduler_state_dict"]["last_epoch"] == 5
