"""What a checkpoint holds, and which runs may be continued from it."""

import dataclasses
import shutil
from functools import partial

import albumentations as A
import numpy as np
import pytest
import torch

from helpers.config import LATEST, Config
from helpers.losses import matting_loss
from helpers.networks.weights import read_checkpoint
from helpers.schedule import one_cycle
from helpers.training.checkpoints import resume, write_checkpoint
from helpers.training.loop import train_epoch
from helpers.training.run import UNBOUND, Run
from helpers.u2net import to_official


def types_in(value):
    """The types of all values inside a checkpoint."""
    if type(value) in (dict, list):
        return set().union(*(types_in(part) for part in (value.values() if type(value) is dict else value)))
    return {type(value)}


def test_a_checkpoint_holds_everything_as_tensors_and_plain_values(make_run, tmp_path):
    run, _ = make_run()
    train_epoch(run)
    run.history["val"].append([run.step, 0.5])
    write_checkpoint(tmp_path / "a.pth", run.state_dict())
    state = torch.load(tmp_path / "a.pth", weights_only=True)
    assert state.keys() == {
        "model_state_dict", "optimizer_state_dict", "scheduler_state_dict", "scaler_state_dict", "rng", "epoch",
        "batch", "history", "timing", "config", "recipe", "table", "network",
    }  # fmt: skip
    state["model_state_dict"] = dict(state["model_state_dict"])
    state["optimizer_state_dict"]["param_groups"][0].pop("betas")  # a tuple
    assert types_in(state) <= {torch.Tensor, int, float, str, bool, type(None)}
    assert state["table"] == [list(stage) for stage in run.model.table]
    assert state["config"] == dataclasses.asdict(run.config)
    assert (state["epoch"], state["batch"]) == (1, 0)
    assert [len(state["history"][name]) for name in ("train", "val")] == [4, 1]
    assert len(state["optimizer_state_dict"]["state"]) == len(list(run.model.parameters()))
    assert state["scheduler_state_dict"]["last_epoch"] == 4
    assert state["model_state_dict"].keys() == to_official(run.model).keys()
    assert "stage1.rebnconvin.conv_s1.weight" in state["model_state_dict"]


def test_a_new_run_stands_at_the_beginning(make_run):
    run, _ = make_run()
    assert (run.epoch, run.batch, run.step, run.finished) == (0, 0, 0, False)
    assert run.history == {"train": [], "val": [], "metrics": []}


def test_a_run_is_finished_when_its_last_epoch_is_validated(make_run):
    run, _ = make_run(epochs=2)
    run.epoch, run.history["val"], run.history["metrics"] = 2, [[4, 1.0]], [{"loss": 1.0}]
    assert not run.validated and not run.finished
    run.history["val"].append([8, 0.9])
    assert run.validated and run.finished


def test_steps_are_counted_by_the_history(make_run):
    run, _ = make_run()
    train_epoch(run)
    assert run.step == len(run.history["train"]) == 4
    assert (run.epoch, run.batch) == (1, 0)


def test_loading_restores_every_part(make_run, tmp_path):
    run, _ = make_run()
    train_epoch(run)
    write_checkpoint(tmp_path / "a.pth", run.state_dict())
    expected = torch.rand(2)
    other, _ = make_run()
    other.load_state_dict(read_checkpoint(tmp_path / "a.pth"))
    assert torch.equal(torch.rand(2), expected)
    assert (other.epoch, other.batch, other.history) == (1, 0, run.history)
    ours, theirs = other.state_dict(), run.state_dict()
    assert all(torch.equal(ours["model_state_dict"][key], value) for key, value in theirs["model_state_dict"].items())
    assert ours["scheduler_state_dict"] == theirs["scheduler_state_dict"]
    for index, moments in theirs["optimizer_state_dict"]["state"].items():
        assert all(torch.equal(ours["optimizer_state_dict"]["state"][index][key], moments[key]) for key in moments)
    assert other.optimizer.param_groups[0]["lr"] == run.optimizer.param_groups[0]["lr"]


def test_a_saved_history_does_not_grow_with_the_run(make_run):
    run, _ = make_run()
    state = run.state_dict()
    run.history["train"].append(1.0)
    assert state["history"] == {"train": [], "val": [], "metrics": []}


def test_the_model_is_moved_to_the_runtime(make_run, float32):
    run, _ = make_run(runtime=dataclasses.replace(float32, memory_format=torch.channels_last))
    weight = run.model.encoder[0].down[0].conv.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert run.optimizer.param_groups[0]["params"][0] is next(run.model.parameters())


# ----------------------------------------------------------------------------------------------------------- the recipe


def test_the_same_settings_are_the_same_recipe(make_run, portrait_folder, tmp_path):
    first, _ = make_run()
    first.loader.dataset[0, 0]  # reading samples, or training, changes no recipe
    second, _ = make_run()
    assert second.recipe == first.recipe
    train_epoch(first)
    assert first.differences(second.state_dict()) == []
    shutil.copytree(portrait_folder, tmp_path / "copy")
    moved, _ = make_run(data=tmp_path / "copy")
    assert moved.recipe == first.recipe


@pytest.mark.parametrize("settings, differing", [
    ({"edge_weight": 4.0}, ["edge_weight", "loss function"]),
    ({"edge_width": 3}, ["edge_width", "loss function"]),
    ({"loss": "notebook"}, ["loss", "edge_weight", "loss function"]),
    ({"edge_on": "all"}, ["edge_on", "loss function"]),
    ({"max_lr": 2e-3}, ["max_lr", "optimiser", "learning rates"]),
    ({"image_size": 48}, ["image_size", "augmentation"]),
    ({"epochs": 3}, ["epochs", "learning rates"]),
    ({"batch_size": 4}, ["batch_size", "learning rates"]),
    ({"seed": 1}, ["seed", "initial weights"]),
    ({"schedule": "plateau"}, ["schedule", "learning rates"]),
    ({"rough_width": 9}, ["rough_width"]),
    ({"ema": 0.9}, ["ema"]),
])  # fmt: skip
def test_another_recipe_is_refused_by_what_differs(settings, differing, make_run, tmp_path):
    run, _ = make_run()
    write_checkpoint(tmp_path / LATEST, run.state_dict())
    other, _ = make_run(**settings)
    assert other.differences(run.state_dict()) == differing
    with pytest.raises(ValueError, match=f"from another run, which differs in {', '.join(differing)};"):
        resume(other, tmp_path)


def test_every_setting_is_either_part_of_the_recipe_or_free(make_run):
    run, _ = make_run()
    fields = {field.name for field in dataclasses.fields(Config)}
    assert set(UNBOUND) <= fields
    assert fields - set(UNBOUND) <= run.recipe.keys()
    assert not set(UNBOUND) & run.recipe.keys()


def test_a_setting_that_only_the_checkpoint_knows_is_another_recipe(make_run):
    """As of a later version of the project."""
    run, _ = make_run()
    state = run.state_dict()
    assert run.differences(state | {"recipe": run.recipe | {"dropout": 0.5}}) == ["dropout"]


def test_what_the_weights_do_not_depend_on_may_change(make_run, tmp_path):
    run, _ = make_run()
    write_checkpoint(tmp_path / LATEST, run.state_dict() | {"epoch": 1})
    free = {"workers": 1, "checkpoint_every": 7, "log_every": 9, "tensorboard": True, "download": True,
            "synthetic_count": 99, "synthetic_size": 99}  # fmt: skip
    assert {*free, "name", "start"} == set(UNBOUND)
    other, _ = make_run(**free)
    other.config = dataclasses.replace(other.config, name="mine")
    other = rebuilt(other)
    assert resume(other, tmp_path)
    assert other.epoch == 1


def rebuilt(run, **parts):
    """The same run with other parts, as another cell of the notebook would build it."""
    names = ("model", "optimizer", "schedule", "loss", "loader", "config", "runtime", "val_set")
    return Run(**{name: parts.get(name, getattr(run, name)) for name in names})


def test_other_parts_are_noticed_wherever_they_were_written(make_run):
    state = make_run()[0].state_dict()
    run, _ = make_run()
    assert rebuilt(run).differences(state) == []
    assert rebuilt(run, loss=partial(matting_loss, edge_weight=4)).differences(state) == ["loss function"]

    sgd = torch.optim.SGD(run.model.parameters(), lr=1e-3)
    assert rebuilt(run, optimizer=sgd).differences(state) == ["optimiser"]
    decay = torch.optim.Adam(run.model.parameters(), lr=run.config.max_lr, weight_decay=0.1)
    assert rebuilt(run, optimizer=decay).differences(state) == ["optimiser"]

    constant = torch.optim.lr_scheduler.ConstantLR(run.optimizer, factor=1)
    assert rebuilt(run, schedule=constant).differences(state) == ["learning rates"]
    longer = one_cycle(run.optimizer, run.config.max_lr, 99)
    assert rebuilt(run, schedule=longer).differences(state) == ["learning rates"]


def test_other_images_are_noticed(make_run):
    run, _ = make_run()
    state = run.state_dict()
    part = run.loader.dataset.parts[0]
    part.pairs = part.pairs[:-1]
    assert rebuilt(run).differences(state) == ["images"]


def test_other_validation_images_are_noticed(make_run):
    run, _ = make_run()
    state = run.state_dict()
    part = run.val_set.parts[0]
    part.pairs = part.pairs[:-1]
    assert rebuilt(run).differences(state) == ["validation images"]


@pytest.mark.parametrize("change", ["without", "stronger"])
def test_another_augmentation_is_noticed(change, make_run):
    run, _ = make_run()
    state, part = run.state_dict(), run.loader.dataset.parts[0]
    steps = part.transform.transforms
    flip = A.HorizontalFlip(p=0.9)
    part.transform = A.Compose(steps[:-1] if change == "without" else [steps[0], flip, *steps[2:]])
    assert rebuilt(run).differences(state) == ["augmentation"]


def test_other_initial_weights_are_noticed(make_run, tmp_path):
    run, _ = make_run()
    state = run.state_dict()
    weights = to_official(run.model)
    weights["outconv.bias"] = torch.nextafter(weights["outconv.bias"], torch.tensor(np.inf))
    torch.save(weights, tmp_path / "w.pth")
    other, _ = make_run(weights=tmp_path / "w.pth")
    assert other.differences(state) == ["initial weights"]


def test_a_checkpoint_from_before_a_field_was_added_is_still_this_runs(make_run):
    run, _ = make_run()
    state = run.state_dict()
    added = ("edge_on", "validation images")
    older = state | {"recipe": {key: value for key, value in state["recipe"].items() if key not in added}}
    assert run.differences(older) == []
    other, _ = make_run(edge_on="all")
    assert set(other.differences(older)) == {"edge_on", "loss function"}
