"""What a run leaves for the eye: history.csv, and the curves and pictures for TensorBoard."""

import csv
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from support import Stop, stop_at

from helpers.config import FINAL, LATEST
from helpers.networks.weights import read_checkpoint
from helpers.training import logs
from helpers.training.checkpoints import resume, write_checkpoint
from helpers.training.logs import HISTORY, TensorBoard, history_rows, write_history
from helpers.training.loop import fit, train_epoch, validate
from helpers.u2net import normalise

COLUMNS = ["epoch", "step", "train_loss", "val_loss", "mse", "mad", "iou", "lr", "images_per_s", "data_wait"]


def rows_in(folder):
    with open(folder / HISTORY, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    assert reader.fieldnames == COLUMNS
    return rows


def assert_rows_tell(rows, run):
    """Every number in the rows of a CSV file is that of the run's history, to the last digit."""
    assert len(rows) == run.epoch == len(run.history["val"])
    first = 0
    for epoch, (row, (step, loss), metrics) in enumerate(zip(rows, run.history["val"], run.history["metrics"])):
        assert (int(row["epoch"]), int(row["step"])) == (epoch + 1, step)
        assert float(row["train_loss"]) == pytest.approx(np.mean(run.history["train"][first:step]), rel=1e-12)
        assert float(row["val_loss"]) == loss == metrics["loss"]
        for name in ("mse", "mad", "iou", "lr"):
            assert float(row[name]) == metrics[name]
        first = step


# ---------------------------------------------------------------------------------------------------------------- table


def test_the_table_holds_the_history_epoch_by_epoch(make_run, tmp_path):
    run, val_loader = make_run()
    fit(run, val_loader, tmp_path)
    rows = rows_in(tmp_path)
    assert len(rows) == 2
    assert_rows_tell(rows, run)
    for row, (speed, wait) in zip(rows, run.timing, strict=True):
        assert (float(row["images_per_s"]), float(row["data_wait"])) == (round(speed, 2), round(wait, 4))
        assert float(row["images_per_s"]) > 0
        assert 0 < float(row["data_wait"]) < 1


def test_the_mean_training_loss_is_that_of_the_epoch_alone(make_run):
    run, _ = make_run()
    run.history = {
        "train": [3.0, 5.0, 1.0, 2.0, 6.0],
        "val": [[2, 0.5], [5, 0.25]],
        "metrics": [{"loss": 0.5, "mse": 0.1, "mad": 0.2, "iou": 0.3, "lr": 1e-3},
                    {"loss": 0.25, "mse": 0.4, "mad": 0.5, "iou": 0.6, "lr": 1e-4}],
    }  # fmt: skip
    run.timing = [[12.345, 0.123456], [10.0, 0.5]]
    assert history_rows(run) == [
        dict(zip(COLUMNS, (1, 2, 4.0, 0.5, 0.1, 0.2, 0.3, 1e-3, 12.35, 0.1235), strict=True)),
        dict(zip(COLUMNS, (2, 5, 3.0, 0.25, 0.4, 0.5, 0.6, 1e-4, 10.0, 0.5), strict=True)),
    ]


def test_the_table_is_written_anew_and_whole_every_time(make_run, tmp_path):
    run, val_loader = make_run()
    (tmp_path / HISTORY).write_text("of another run\n" * 99, encoding="utf-8")
    for epoch in (1, 2):
        train_epoch(run)
        validate(run, val_loader)
        write_history(run, tmp_path)
        assert_rows_tell(rows_in(tmp_path), run)
        assert [path.name for path in tmp_path.iterdir()] == [HISTORY]
        assert (tmp_path / HISTORY).read_bytes().count(b"\n") == 1 + epoch


def test_after_resuming_in_mid_epoch_the_table_holds_the_epochs_before_too(make_run, tmp_path):
    run, val_loader = make_run(epochs=3)
    with pytest.raises(Stop):
        while True:
            train_epoch(run, stop_at(6))
            validate(run, val_loader)
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    again, val_loader = make_run(epochs=3)
    assert resume(again, tmp_path)
    fit(again, val_loader, tmp_path)
    rows = rows_in(tmp_path)
    assert len(rows) == 3
    assert_rows_tell(rows, again)
    assert again.history["train"][:6] == run.history["train"]
    assert float(rows[0]["images_per_s"]) == round(run.timing[0][0], 2)


def test_killed_between_table_and_checkpoint_the_table_ends_complete(make_run, tmp_path, monkeypatch):
    """The checkpoint of the last epoch comes last: who finds it, finds the table whole."""
    run, val_loader = make_run()

    def killed(run, folder):
        if run.finished:
            raise Stop
        write_checkpoint(folder / LATEST, run.state_dict())

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr("helpers.training.loop.keep_checkpoints", killed)
        fit(run, val_loader, tmp_path)
    assert len(rows_in(tmp_path)) == 2
    again, val_loader = make_run()
    assert resume(again, tmp_path) and again.epoch == 1
    fit(again, val_loader, tmp_path)
    assert_rows_tell(rows_in(tmp_path), again)


# ---------------------------------------------------------------------------------------------------------- TensorBoard


@pytest.fixture
def events():
    """`events(folder)` → what TensorBoard would show of a run: an EventAccumulator."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return lambda folder: EventAccumulator(str(folder / "tensorboard")).Reload()


def scalars(found, tag):
    return {event.step: event.value for event in found.Scalars(tag)}


def steps_of(found, tag):
    return [event.step for event in (found.Images(tag) if tag.startswith("photo") else found.Scalars(tag))]


TAGS = ("loss/train", "lr", "loss/val", "mse", "mad", "iou", "images_per_s", "data_wait")
PICTURES = "photo, truth, prediction"


def test_tensorboard_shows_the_curves(events, make_run, tmp_path):
    run, val_loader = make_run(tensorboard=True, log_every=2)
    fit(run, val_loader, tmp_path)
    found, history = events(tmp_path), run.history
    assert set(found.Tags()["scalars"]) == set(TAGS)
    expected = {step: np.mean(history["train"][step - 2 : step]) for step in (2, 4, 6, 8)}
    assert scalars(found, "loss/train") == pytest.approx(expected, rel=1e-6)
    assert scalars(found, "loss/val") == pytest.approx(dict(history["val"]), rel=1e-6)
    for name in ("mse", "mad", "iou"):
        expected = dict(zip((4, 8), (metrics[name] for metrics in history["metrics"]), strict=True))
        assert scalars(found, name) == pytest.approx(expected, rel=1e-6)
    assert scalars(found, "images_per_s") == pytest.approx({4: run.timing[0][0], 8: run.timing[1][0]}, abs=0.01)
    assert steps_of(found, "lr") == [2, 4, 6, 8]
    rates = scalars(found, "lr")
    assert rates[2] > rates[4] > rates[6] > rates[8] > 0


def test_tensorboard_shows_photo_truth_and_prediction_one_under_the_other(events, make_run, tmp_path):
    run, val_loader = make_run(tensorboard=True, epochs=1)
    fit(run, val_loader, tmp_path)
    [event] = events(tmp_path).Images(PICTURES)
    assert event.step == 4
    grid = np.array(Image.open(io.BytesIO(event.encoded_image_string)))
    assert grid.shape == (3 * 32, 3 * 32, 3)  # the first batch has three portraits
    for column in range(3):
        sample = val_loader.dataset[0, column]
        photo, truth, pred = np.split(grid[:, 32 * column : 32 * (column + 1)], 3)
        assert np.array_equal(photo, sample.image.transpose(1, 2, 0))
        assert np.array_equal(truth, np.broadcast_to(sample.alpha[0][..., None], truth.shape))
        with torch.inference_mode():
            own = run.model.eval()(normalise(torch.from_numpy(sample.image)[None]))[0][0, 0].numpy()
        assert np.abs(pred[..., 0] / 255 - own).max() < 0.01
        assert (pred == pred[..., :1]).all()


@pytest.mark.parametrize("saved, stopped", [(4, 4), (4, 7), (6, 7)])
def test_what_a_resumed_run_repeats_is_replaced_and_nothing_else(saved, stopped, events, make_run, tmp_path):
    """Saved after one step, switched off after a later one: in the end every step is shown once."""
    run, val_loader = make_run(log_every=1)
    board = TensorBoard(run, tmp_path)

    def after_batch(run):
        board.after_batch(run)
        if run.step == saved:
            write_checkpoint(tmp_path / LATEST, run.state_dict())
        if stopped > 4:
            stop_at(stopped)(run)

    train_epoch(run, after_batch)
    validate(run, val_loader)
    board.after_epoch(run, val_loader)
    if saved == 4:
        write_checkpoint(tmp_path / LATEST, run.state_dict())
    if stopped > 4:
        with pytest.raises(Stop):
            train_epoch(run, after_batch)
    board.close()

    again, val_loader = make_run(log_every=1, tensorboard=True)
    assert resume(again, tmp_path)
    assert again.step == saved
    fit(again, val_loader, tmp_path)
    found = events(tmp_path)
    assert steps_of(found, "loss/train") == steps_of(found, "lr") == [*range(1, 9)]
    assert scalars(found, "loss/train") == pytest.approx(dict(enumerate(again.history["train"], start=1)), rel=1e-6)
    assert steps_of(found, "loss/val") == steps_of(found, "data_wait") == steps_of(found, PICTURES) == [4, 8]


@pytest.mark.parametrize(
    "seconds",
    [(1000, 1000, 1000), (1000, 900, 950), (1000, 1001, 1000), (1000, 1001, 1002)],
    ids=["within a second", "clock put back", "clock put back later", "as it should be"],
)
@pytest.mark.parametrize("number", [8, 98])
def test_the_latest_run_is_read_last_whatever_the_clock_says(seconds, number, events, make_run, tmp_path, monkeypatch):
    """Ten runs in one process number their files 0 to 9, then 10, which sorts before 9."""
    from tensorboard.summary.writer import event_file_writer

    now = iter(seconds)
    monkeypatch.setattr(event_file_writer, "_global_uid", SimpleNamespace(get=iter(range(number, number + 9)).__next__))
    run, _ = make_run(log_every=1)
    expected = {}
    for first, last in ((1, 7), (5, 8), (7, 9)):
        second = next(now)
        for module in (event_file_writer, logs):
            monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda second=second: second))
        run.step = first - 1
        board = TensorBoard(run, tmp_path)
        for step in range(first, last + 1):
            board.writer.add_scalar("loss/train", 10 * first + step, step)
        expected = {step: value for step, value in expected.items() if step < first}
        expected |= {step: 10 * first + step for step in range(first, last + 1)}
        board.close()
    assert scalars(events(tmp_path), "loss/train") == expected


def test_logging_does_not_change_the_run(events, make_run, tmp_path):
    plain, val_loader = make_run()
    fit(plain, val_loader, tmp_path / "plain")
    logged, val_loader = make_run(tensorboard=True, log_every=1)
    fit(logged, val_loader, tmp_path / "logged")
    ours, theirs = (read_checkpoint(tmp_path / name / FINAL) for name in ("logged", "plain"))
    assert ours["history"] == theirs["history"]
    for key, tensor in theirs["model_state_dict"].items():
        assert torch.equal(ours["model_state_dict"][key], tensor)
    assert not (tmp_path / "plain" / "tensorboard").exists()


def test_without_the_package_the_error_says_what_to_install(make_run, tmp_path, monkeypatch):
    run, val_loader = make_run(tensorboard=True)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ValueError, match="tensorboard=true needs a package: pip install tensorboard"):
        fit(run, val_loader, tmp_path)
    assert run.step == 0


def test_a_folder_whose_name_is_not_in_utf_8_is_named_with_the_way_out(events, make_run, tmp_path):
    run, val_loader = make_run(tensorboard=True)
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    with pytest.raises(ValueError, match=r"tensorboard: .* not in UTF-8; choose another folder, or tensorboard=false"):
        fit(run, val_loader, folder)
    assert run.step == 0


def test_curves_are_on_the_disk_before_the_checkpoint_of_their_step(events, make_run, tmp_path):
    """Killed after it, the run goes on from there, and there is no gap."""
    run, val_loader = make_run(tensorboard=True, log_every=1)
    board, seen = TensorBoard(run, tmp_path), []

    def after_batch(run):
        board.after_batch(run)
        seen.append(steps_of(events(tmp_path), "loss/train"))

    train_epoch(run, after_batch)
    assert seen == [[*range(1, step + 1)] for step in range(1, 5)]
    validate(run, val_loader)
    board.after_epoch(run, val_loader)
    assert steps_of(events(tmp_path), "loss/val") == steps_of(events(tmp_path), PICTURES) == [4]
    board.close()
