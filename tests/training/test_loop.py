"""Epochs, exact resuming, what is kept, and the headless run."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support import Stop, arguments, equal, error_of, read_until, same_run, stop_at
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau

from helpers.config import BEST, FINAL, LATEST
from helpers.devices import best_runtime
from helpers.losses import LOSSES, matting_loss
from helpers.networks.weights import read_checkpoint
from helpers.training import loop as training
from helpers.training.__main__ import main
from helpers.training.checkpoints import resume, write_checkpoint
from helpers.training.ema import EMA
from helpers.training.interrupts import STOPS
from helpers.training.logs import HISTORY
from helpers.training.loop import fit, train_epoch, validate
from helpers.training.step import evaluate
from helpers.u2net import to_official

ROOT = Path(__file__).resolve().parents[2]


# ---------------------------------------------------------------------------------------------------------------- epoch


def test_the_runtime_of_this_machine_trains(make_run):
    run, val_loader = make_run(runtime=best_runtime(), epochs=1)
    train_epoch(run)
    assert np.isfinite([*run.history["train"], validate(run, val_loader)]).all()


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


def test_the_progress_bar_tells_the_share_of_the_time_spent_waiting_for_data(make_run, capsys, monkeypatch):
    run, _ = make_run()
    collate, loss, seconds = run.loader.collate_fn, run.loss, [0.0]

    def after(took, compute):
        def timed(*arguments):
            seconds[0] += took
            return compute(*arguments)

        return timed

    run.loader.collate_fn, run.loss = after(3, collate), after(1, loss)
    monkeypatch.setattr("helpers.training.loop.time", SimpleNamespace(perf_counter=lambda: seconds[0]))
    train_epoch(run)
    assert re.findall(r"data=(\d+)%", capsys.readouterr().err)[-1] == "75"
    [[_, waited]] = run.timing
    assert waited == 0.75


def test_speed_and_waiting_are_noted_epoch_by_epoch(make_run, tmp_path):
    run, val_loader = make_run()
    fit(run, val_loader, tmp_path)
    assert len(run.timing) == 2
    assert all(speed > 0 and 0 < waited < 1 for speed, waited in run.timing)
    assert read_checkpoint(tmp_path / FINAL)["timing"] == run.timing


def spoil_step(run, step, bad):
    """Make the loss of a step `bad`; returns the files of its batch."""
    good = run.loss

    def spoilt(outputs, alpha):
        terms = good(outputs, alpha)
        return terms | {"total": terms["total"] * (bad if run.step == step - 1 else 1)}

    run.loss = spoilt
    run.loader.batch_sampler.seek(0)
    keys = [key for batch in run.loader.batch_sampler for key in batch][3 * (step - 1) : 3 * step]
    return [str(run.loader.dataset.pairs[index].image) for _, index in keys]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run_and_no_checkpoint_changes(bad, make_run, tmp_path):
    run, val_loader = make_run()
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    before, third = (tmp_path / LATEST).read_bytes(), spoil_step(run, 3, bad)
    with pytest.raises(FloatingPointError, match=f"step 3: the loss is {bad}, trained on .*: lower max_lr") as caught:
        fit(run, val_loader, tmp_path)
    assert f"trained on {', '.join(third)};" in str(caught.value)
    assert len(run.history["train"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == [LATEST]
    assert (tmp_path / LATEST).read_bytes() == before


# ------------------------------------------------------------------------------------------------------ losses of a GPU


@pytest.mark.parametrize("fetch_every", [3, 10])
def test_losses_that_are_fetched_late_make_the_same_history(fetch_every, make_run, whole, tmp_path):
    """As from a GPU, which is not asked after every step."""
    run, val_loader = make_run()
    run.fetch_every, known = fetch_every, []
    train_epoch(run, lambda run: known.append(len(run.history["train"])))
    assert known == {3: [0, 0, 3, 3], 10: [0, 0, 0, 0]}[fetch_every]
    assert len(run.history["train"]) == run.step == 4
    fit(run, val_loader, tmp_path)
    assert same_run(read_checkpoint(tmp_path / FINAL), whole)


def test_a_checkpoint_in_between_holds_the_losses_up_to_its_step(make_run, whole, tmp_path):
    run, _ = make_run()
    run.fetch_every = 10
    with pytest.raises(Stop):
        train_epoch(run, stop_at(3))
    assert run.history["train"] == []
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    assert len(read_checkpoint(tmp_path / LATEST)["history"]["train"]) == 3
    again, val_loader = make_run()
    assert resume(again, tmp_path)
    fit(again, val_loader, tmp_path)
    assert same_run(again.state_dict(), whole)


@pytest.mark.parametrize("save_every, found, kept", [(600, 4, None), (0, 2, 1)])
def test_a_late_loss_that_is_no_number_is_found_before_it_is_kept(save_every, found, kept, make_run, tmp_path):
    """At the next fetch: after the last batch of the epoch, or for a checkpoint in between."""
    run, val_loader = make_run()
    run.fetch_every, files = 10, spoil_step(run, 2, float("nan"))
    with pytest.raises(FloatingPointError, match="step 2: the loss is nan, trained on ") as caught:
        fit(run, val_loader, tmp_path, save_every=save_every)
    assert f"trained on {', '.join(files)};" in str(caught.value)
    assert run.step == found
    assert [path.name for path in tmp_path.iterdir()] == ([LATEST] if kept else [])
    assert not kept or len(read_checkpoint(tmp_path / LATEST)["history"]["train"]) == kept


# ------------------------------------------------------------------------------------------------------------- resuming


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
    assert equal(*(state | {"timing": None} for state in states))


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


def test_ctrl_c_waits_for_the_end_of_the_epochs_bookkeeping(ctrl_c, make_run, tmp_path, monkeypatch):
    """Validation noted, but its schedule not stepped: from there a run would not end the same."""
    settings = {"schedule": "plateau", "epochs": 2}
    whole, val_loader = make_run(**settings)
    fit(whole, val_loader, tmp_path / "whole")
    run, val_loader = make_run(**settings)
    step = ReduceLROnPlateau.step
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ReduceLROnPlateau, "step", lambda *parts: (ctrl_c(), step(*parts)))
        fit(run, val_loader, tmp_path / "parts")
    again, val_loader = make_run(**settings)
    assert resume(again, tmp_path / "parts")
    assert (again.validated, again.schedule.last_epoch, len(again.history["metrics"])) == (True, 1, 1)
    fit(again, val_loader, tmp_path / "parts")
    assert same_run(again.state_dict(), whole.state_dict())


@pytest.mark.parametrize("noted", ["losses", "timing"])
def test_ctrl_c_in_the_middle_of_taking_notes_leaves_them_complete(noted, ctrl_c, make_run, whole, tmp_path):
    """After the last batch of an epoch, when losses are fetched and the epoch is counted."""

    class Notes(list):
        def append(self, value):
            super().append(value)
            if len(self) == 1:
                ctrl_c()

    run, val_loader = make_run()
    run.fetch_every = 10
    if noted == "losses":
        run.history["train"] = Notes()
    else:
        run.timing = Notes()
    with pytest.raises(KeyboardInterrupt):
        fit(run, val_loader, tmp_path)
    again, val_loader = make_run()
    assert resume(again, tmp_path)
    assert (again.epoch, again.batch) == {"losses": (0, 4), "timing": (1, 0)}[noted]
    fit(again, val_loader, tmp_path)
    assert same_run(again.state_dict(), whole)
    assert len(again.timing) == 2


def test_ctrl_c_while_checkpoints_are_written_leaves_them_complete(ctrl_c, make_run, tmp_path, monkeypatch):
    run, val_loader = make_run()
    copy = shutil.copyfileobj
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "copyfileobj", lambda *files: (ctrl_c(), copy(*files)))
        fit(run, val_loader, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {LATEST, BEST, "epoch_001.pth", HISTORY}
    assert {read_checkpoint(path)["epoch"] for path in tmp_path.glob("*.pth")} == {1}


# ----------------------------------------------------------------------------------------------------------- validation


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


# ------------------------------------------------------------------------------------------------------------------ fit


@pytest.mark.skipif(os.name != "posix", reason="process groups are POSIX")
@pytest.mark.parametrize("stop", STOPS)
def test_ctrl_c_or_a_shutdown_saves_the_run(stop, portrait_folder, tmp_path):
    """In a terminal Ctrl-C reaches the run and its workers alike; a service manager's SIGTERM the run alone."""
    command = [sys.executable, "-m", "helpers.training",
               *arguments(portrait_folder, tmp_path / "out", "workers=1", "epochs=900", "batch_size=6")]  # fmt: skip
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        read_until(process, b"epoch 2/900")
        (os.killpg if stop == signal.SIGINT else os.kill)(process.pid, stop)
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
    assert {path.name for path in tmp_path.iterdir()} == {LATEST, BEST, FINAL, "epoch_002.pth", HISTORY}
    final, best = read_checkpoint(tmp_path / FINAL), read_checkpoint(tmp_path / BEST)
    assert final["epoch"] == 3
    assert equal(final["model_state_dict"], dict(to_official(run.model)))
    assert [step for step, _ in run.history["val"]] == [4, 8, 12]
    losses = [loss for _, loss in run.history["val"]]
    assert best["epoch"] == 1 + losses.index(min(losses))
    for path in tmp_path.glob("*.pth"):
        assert torch.load(path, weights_only=True)["config"]["epochs"] == 3


def test_a_folder_that_cannot_be_written_stops_the_run_before_it_starts(make_run, tmp_path):
    run, val_loader = make_run()
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        fit(run, val_loader, tmp_path / "file")
    assert run.step == 0


# --------------------------------------------------------------------------------------------------- saved in mid-epoch


def test_a_run_saves_itself_in_the_middle_of_an_epoch(make_run, whole, tmp_path, monkeypatch):
    """After every batch, if no time may pass in between; each of these files is the run as it stood."""
    run, val_loader = make_run()
    saved = []

    def write_and_keep(path, state):
        write_checkpoint(path, state)
        saved.append(shutil.copy(path, tmp_path / f"step-{len(saved) + 1}.pth"))

    with monkeypatch.context() as patch:
        patch.setattr(training, "write_checkpoint", write_and_keep)
        fit(run, val_loader, tmp_path / "parts", save_every=0)
    states = [read_checkpoint(path) for path in saved]
    assert [(state["epoch"], state["batch"]) for state in states] == [(e, b) for e in (0, 1) for b in (1, 2, 3, 4)]
    assert same_run(read_checkpoint(tmp_path / "parts" / FINAL), whole)
    for step in (3, 4, 5):
        folder = tmp_path / f"from-{step}"
        write_checkpoint(folder / LATEST, states[step - 1])
        again, val_loader = make_run()
        assert resume(again, folder)
        assert again.step == step
        fit(again, val_loader, folder)
        assert same_run(again.state_dict(), whole)


def test_a_run_does_not_save_itself_before_it_is_time(make_run, tmp_path, monkeypatch):
    run, val_loader = make_run()
    monkeypatch.setattr(training, "write_checkpoint", lambda *_: pytest.fail("saved too early"))
    fit(run, val_loader, tmp_path, save_every=600)
    assert (tmp_path / FINAL).exists()


@pytest.mark.parametrize("broken", [b"", None], ids=["damaged", "missing"])
def test_a_picture_that_cannot_be_read_stops_a_run_that_is_saved_first(broken, make_run, copy, whole, tmp_path):
    """The picture put right, the run goes on from the batch before it and ends as if nothing had happened."""
    run, val_loader = make_run(data=copy)
    run.loader.batch_sampler.seek(1)
    path = run.loader.dataset.pairs[[*run.loader.batch_sampler][2][0][1]].image
    good = path.read_bytes()

    def break_it(run):
        if run.step == 4:
            path.unlink() if broken is None else path.write_bytes(broken)

    train_epoch(run, break_it)
    validate(run, val_loader)
    with pytest.raises((ValueError, OSError), match=path.name):
        fit(run, val_loader, tmp_path / "out")
    state = read_checkpoint(tmp_path / "out" / LATEST)
    assert (state["epoch"], state["batch"]) == (1, 2)
    path.write_bytes(good)
    again, val_loader = make_run(data=copy)
    assert resume(again, tmp_path / "out")
    fit(again, val_loader, tmp_path / "out")
    assert same_run(again.state_dict(), whole)


def test_what_a_killed_process_left_half_written_is_removed(make_run, tmp_path):
    run, val_loader = make_run(epochs=1)
    ours, theirs = tmp_path / f".{LATEST}.4711.tmp", tmp_path / ".mine.tmp"
    for path in (ours, theirs):
        path.write_bytes(b"half")
    fit(run, val_loader, tmp_path)
    assert not ours.exists()
    assert theirs.exists()


# ----------------------------------------------------------------------------------------------------------- best, last


def validations(monkeypatch, **values):
    """Validation that finds these values, one epoch after the other, and 1 for what is not told."""
    rows = iter([dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)])
    same = {"total": 1.0, "mse": 1.0, "mad": 1.0, "iou": 1.0}
    monkeypatch.setattr(training, "evaluate", lambda *_: same | next(rows))


def test_patience_ends_a_run_that_gets_no_better(make_run, tmp_path, monkeypatch):
    settings = {"schedule": "plateau", "patience": 2, "epochs": 9}
    run, val_loader = make_run(**settings)
    with monkeypatch.context() as patch:
        validations(patch, total=[0.5, 0.6, 0.4, 0.45, 0.4])
        fit(run, val_loader, tmp_path)
    assert (run.epoch, run.best_epoch, run.finished) == (5, 3, True)
    assert {path.name: read_checkpoint(path)["epoch"] for path in tmp_path.glob("*.pth")} == {
        LATEST: 5, FINAL: 5, BEST: 3, **{f"epoch_{epoch:03d}.pth": epoch for epoch in range(1, 6)},
    }  # fmt: skip
    again, val_loader = make_run(**settings)
    assert resume(again, tmp_path)
    assert again.finished
    fit(again, val_loader, tmp_path)
    assert again.step == run.step == 20
    assert same_run(again.state_dict(), run.state_dict())


def test_without_patience_a_run_that_gets_no_better_goes_on(make_run, tmp_path, monkeypatch):
    run, val_loader = make_run(schedule="plateau", epochs=5)
    validations(monkeypatch, total=[0.1, 0.2, 0.3, 0.4, 0.5])
    fit(run, val_loader, tmp_path)
    assert (run.epoch, run.best_epoch) == (5, 1)


@pytest.mark.parametrize("best_by, best", [("loss", 1), ("mse", 2), ("mad", 3), ("iou", 4)])
def test_the_best_is_chosen_by_the_given_measure(best_by, best, make_run, tmp_path, monkeypatch):
    """The lowest of errors, the highest overlap, the first of equals."""
    run, val_loader = make_run(best_by=best_by, epochs=5)
    found = {"total": [1, 2, 3, 4, 5], "mse": [3, 1, 2, 4, 1], "mad": [5, 4, 1, 2, 3], "iou": [0.3, 0.2, 0.1, 0.9, 0.4]}
    validations(monkeypatch, **found)
    fit(run, val_loader, tmp_path)
    assert run.best_epoch == best
    assert read_checkpoint(tmp_path / BEST)["epoch"] == best
    assert read_checkpoint(tmp_path / FINAL)["epoch"] == 5


# ----------------------------------------------------------------------------------------------------- averaged weights


@pytest.fixture(scope="module")
def averaged(make_run, tmp_path_factory):
    """A run of two epochs with averaged weights that was never stopped, and its checkpoint."""
    run, val_loader = make_run(ema=0.5)
    folder = tmp_path_factory.mktemp("averaged")
    fit(run, val_loader, folder)
    return run, read_checkpoint(folder / FINAL)


def test_the_average_is_kept_beside_the_trained_weights(averaged):
    run, state = averaged
    assert equal(state["model_state_dict"], dict(to_official(run.ema.model)))
    assert equal(state["trained_state_dict"], dict(to_official(run.model)))
    assert not equal(state["model_state_dict"], state["trained_state_dict"])
    assert run.kept is run.ema.model


def test_the_average_is_validated(averaged, make_run):
    run, state = averaged
    _, val_loader = make_run()
    models = run.ema.model, run.model
    ours, trained = (evaluate(model, val_loader, run.loss, run.runtime)["total"] for model in models)
    assert state["history"]["val"][-1] == [8, ours]
    assert ours != trained


def test_averaging_does_not_change_the_training(averaged, whole):
    _, state = averaged
    assert equal(state["trained_state_dict"], whole["model_state_dict"])
    assert state["history"]["train"] == whole["history"]["train"]
    assert "trained_state_dict" not in whole


def test_the_average_takes_in_the_weights_after_every_step(averaged, make_run):
    run, _ = make_run()
    model = EMA(run.model, 0.5)
    for _ in range(2):
        train_epoch(run, lambda run: model.update(run.model, run.step))
    assert equal(dict(to_official(model.model)), averaged[1]["model_state_dict"])


@pytest.mark.parametrize("step", [2, 7])
def test_an_averaged_run_resumes_exactly_in_the_middle_of_an_epoch(step, averaged, make_run, tmp_path):
    run, val_loader = make_run(ema=0.5)
    with pytest.raises(Stop):
        while True:
            train_epoch(run, stop_at(step))
            validate(run, val_loader)
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    again, val_loader = make_run(ema=0.5)
    assert resume(again, tmp_path)
    fit(again, val_loader, tmp_path)
    assert same_run(again.state_dict(), averaged[1])


# -------------------------------------------------------------------------------------------------------- out of memory


CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
MPS = RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, other allocations: 1 GB, max allowed: 9.07 GB).")
CPU = RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: you tried to "
                   "allocate 9999999999 bytes. Error code 12 (Cannot allocate memory)")  # fmt: skip


def limit_memory(run, most, error=CUDA):
    """Let the network raise what a GPU raises, when it is shown more images than `most` at once in training."""
    shown = []

    def refuse(_model, inputs):
        shown.append(len(inputs[0]))
        if len(inputs[0]) > most:
            raise error

    run.model.register_forward_pre_hook(refuse)
    return shown


@pytest.mark.parametrize("batch_size, most, fitting", [(6, 3, 3), (6, 2, 1), (12, 4, 3), (3, 1, 1)])
def test_out_of_memory_the_batch_is_split_until_it_fits(batch_size, most, fitting, make_run, tmp_path, capsys):
    """It stays as large as it was: the run is that with these micro-batches from the start."""
    run, val_loader = make_run(batch_size=batch_size)
    shown = limit_memory(run, most)
    fit(run, val_loader, tmp_path / "out")
    printed = re.findall(r"out of memory: from now on (\d+) images at once", capsys.readouterr().out)
    halves = [batch_size // 2 ** (i + 1) for i in range(len(printed))]
    assert list(map(int, printed)) == halves
    assert run.micro_batch == halves[-1] == fitting
    assert shown[: len(halves) + 1] == [batch_size, *halves]
    assert max(shown[len(halves) :]) <= most  # in validation too
    assert run.step == 24 // batch_size

    small, val_loader = make_run(batch_size=batch_size, micro_batch=fitting)
    fit(small, val_loader, tmp_path / "small")
    assert run.history == small.history
    ours, theirs = (read_checkpoint(tmp_path / name / FINAL) for name in ("out", "small"))
    for part in ("model_state_dict", "optimizer_state_dict", "scheduler_state_dict"):
        assert equal(ours[part], theirs[part])


def test_without_memory_for_a_single_image_a_run_ends_in_one_line(make_run, tmp_path):
    run, val_loader = make_run()
    limit_memory(run, 0)
    with pytest.raises(ValueError, match="^out of memory with 1 images at once; set image_size lower$"):
        fit(run, val_loader, tmp_path)
    assert read_checkpoint(tmp_path / LATEST)["batch"] == 0


@pytest.mark.parametrize("error", [CUDA, MPS, CPU], ids=["cuda", "mps", "cpu"])
def test_every_device_tells_in_its_own_way_that_memory_ran_out(error, make_run, capsys):
    run, _ = make_run(batch_size=6)
    limit_memory(run, 3, error)
    train_epoch(run)
    assert "out of memory: from now on 3 images at once" in capsys.readouterr().out
    assert (run.step, run.micro_batch) == (2, 3)


def test_another_error_of_a_step_is_none_of_memory(make_run):
    run, _ = make_run()
    limit_memory(run, 0, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        train_epoch(run)
    assert run.micro_batch == 0


def test_one_of_several_processes_does_not_split_its_share_alone(make_run):
    """The others wait for its gradients."""
    run, _ = make_run()
    limit_memory(run, 2)
    run.accelerator = SimpleNamespace(num_processes=2, is_main_process=True)
    with pytest.raises(ValueError, match="^out of memory with 3 images at once; set micro_batch lower$"):
        train_epoch(run)
    assert run.step == 0


# --------------------------------------------------------------------------------------------------------- headless run


def test_the_headless_run_trains_and_resumes(headless, portrait_folder, whole, tmp_path, capsys):
    assert main(arguments(portrait_folder, tmp_path)) == 0
    printed = capsys.readouterr().out
    loss = whole["history"]["val"][-1][1]
    assert printed == (
        "u2net_lite at 32² from random weights on cpu in float32: 4 batches of 3 an epoch "
        "from 12 portraits, 4 to validate on\n"
        f"trained 2 epochs, validation loss {loss:.4f} (best of epoch 1): {tmp_path}/{FINAL}\n"
    )
    assert equal(read_checkpoint(tmp_path / FINAL)["model_state_dict"], whole["model_state_dict"])
    assert main(arguments(portrait_folder, tmp_path)) == 0
    assert "\nresumed at epoch 2, batch 0\ntrained 2 epochs" in capsys.readouterr().out


def test_the_headless_run_starts_from_weights(headless, make_run, portrait_folder, tmp_path, monkeypatch, capsys):
    torch.manual_seed(7)
    model = make_run(seed=7)[0].model
    torch.save({"model_state_dict": to_official(model)}, tmp_path / "w.pth")
    started = []

    def no_fit(run, _loader, _folder):
        started.append(run)
        run.history["val"].append([0, 1.0])
        run.history["metrics"].append({"loss": 1.0})

    monkeypatch.setattr("helpers.training.__main__.fit", no_fit)
    monkeypatch.setattr("helpers.training.setup.find_pretrained", lambda network: tmp_path / "w.pth")
    for weights in (str(tmp_path / "w.pth"), "pretrained"):
        assert main(arguments(portrait_folder, tmp_path / "out") + ["--weights", weights]) == 0
        assert equal(dict(to_official(started.pop().model)), dict(to_official(model)))
        assert capsys.readouterr().out.startswith("u2net_lite at 32² from w.pth on cpu in float32: ")


def test_bad_settings_are_one_line_each(headless, portrait_folder, tmp_path, capsys):
    for setting, named in (("epoch=3", "'epoch=3'"), ("epochs=0", "epochs=0"), ("name=mine", "'name=mine'"),
                           ("max_lr=fast", "'max_lr=fast'"), ("edge_width=4", "edge_width=4"),
                           (f"seed={2**63}", f"'seed={2**63}'"),
                           ("synthetic_count=9", "draw a data set with python -m helpers.synthetic")):  # fmt: skip
        assert named in error_of(main(arguments(portrait_folder, tmp_path, setting)), capsys)
    assert not any(tmp_path.iterdir())


def test_a_path_that_a_shell_left_empty_is_refused(headless, portrait_folder, tmp_path, monkeypatch, capsys):
    """It would be the current folder."""
    monkeypatch.chdir(portrait_folder)
    for option in ("--data", "--out"):
        with pytest.raises(SystemExit) as ended:
            main([*arguments(portrait_folder, tmp_path), option, ""])
        assert ended.value.code == 2
        assert f"argument {option}: the path is empty" in capsys.readouterr().err
    assert "names no data set" in error_of(main(["--data", ",weight=2", "--out", str(tmp_path)]), capsys)
    assert not any(tmp_path.iterdir())


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
    assert "differs in edge_weight, loss function" in line
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
