"""Several processes on one machine or more: they train as one, which computes as many images at once as one of them."""

import csv
import shutil

import numpy as np
import pytest
import torch
from support import arguments, start
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks

from helpers.config import BEST, FINAL, LATEST, load_config
from helpers.devices import best_runtime
from helpers.losses import rmse
from helpers.networks.weights import read_checkpoint
from helpers.samples.mixing import Source
from helpers.samples.samples import EpochBatches
from helpers.training import loop as training
from helpers.training.checkpoints import resume
from helpers.training.logs import HISTORY
from helpers.training.loop import fit
from helpers.training.setup import assemble
from helpers.training.step import train_step

# ---------------------------------------------------------------------------------------------------- shares of a batch


class Counted:
    """A dataset of so many samples, as far as the order of its batches is concerned."""

    def __init__(self, *counts, weights=None, seed=0):
        self.counts, self.weights, self.seed = list(counts), weights or [1.0] * len(counts), seed


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("epoch, batch", [(0, 0), (3, 1)])
def test_shares_are_equal_consecutive_and_together_the_whole_batch(processes, epoch, batch):
    dataset = Counted(20, 17, weights=[1.0, 2.0])
    shares = [EpochBatches(dataset, 12, True, process, processes) for process in range(processes)]
    whole = EpochBatches(dataset, 12, True)
    for sampler in (*shares, whole):
        sampler.seek(epoch, batch)
    assert {len(sampler) for sampler in (*shares, whole)} == {4}
    for *parts, expected in zip(*shares, whole, strict=True):
        assert [len(part) for part in parts] == [12 // processes] * processes
        assert sum(parts, []) == expected  # first process, second process …
        assert len(set(expected)) == 12


@pytest.mark.parametrize("count, sizes", [(8, [(2, 2), (2, 2)]), (9, [(2, 2), (2, 2), (0, 1)]), (7, [(2, 2), (1, 2)])])
def test_in_validation_every_image_is_in_one_share(count, sizes):
    """The last batch may not do for all: then one process has a batch less, or a smaller one."""
    shares = [[*EpochBatches(Counted(count), 4, False, process, 2)] for process in range(2)]
    assert [[len(part) for part in share] for share in shares] == [[s for s in side if s] for side in zip(*sizes)]
    assert sorted(key for share in shares for part in share for key in part) == [(0, index) for index in range(count)]


@pytest.mark.parametrize("shuffle", [True, False])
def test_a_batch_larger_than_the_data_set_is_shared_evenly_too(shuffle):
    shares = [[*EpochBatches(Counted(7), 32, shuffle, process, 3)] for process in range(3)]
    assert [len(share[0]) for share in shares] == [2, 2, 2]
    assert [len(share) for share in shares] == ([1, 1, 1] if shuffle else [1, 1, 2])


@pytest.mark.parametrize("shuffle", [True, False])
def test_fewer_samples_than_processes_are_refused(shuffle):
    with pytest.raises(ValueError, match="2 samples cannot be shared by 3 processes"):
        EpochBatches(Counted(2), 3, shuffle, 0, 3)
    assert len(EpochBatches(Counted(2), 2, shuffle, 0, 2)) == 1


@pytest.mark.parametrize("micro_batch", [0, 2, 5])
def test_gradients_are_exchanged_once_a_step_and_stay_the_same(micro_batch, float32, tmp_path):
    """By PyTorch's own exchange, among one process; the parts before the last are held back, but not forgotten."""
    gradients, exchanged = [], []
    store = torch.distributed.FileStore(str(tmp_path / "store"), 1)
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        for shared in (False, True):
            torch.manual_seed(0)
            model = network = nn.Sequential(nn.Conv2d(3, 1, 3, padding=1), nn.Sigmoid())
            if shared:
                network = nn.parallel.DistributedDataParallel(model)
                network.register_comm_hook(exchanged, count_and_average)
            optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
            images, alphas = (torch.randint(0, 256, (5, channels, 8, 8), dtype=torch.uint8) for channels in (3, 1))
            train_step(network, optimizer, (images, alphas), one_map, float32, micro_batch=micro_batch)
            gradients.append(torch.cat([parameter.grad.flatten() for parameter in model.parameters()]))
    finally:
        torch.distributed.destroy_process_group()
    assert torch.allclose(*gradients, atol=1e-7)
    assert gradients[0].norm() > 0.01
    assert len(exchanged) == 1


def one_map(outputs, alphas):
    return {"total": rmse(outputs, alphas)}


def count_and_average(exchanged, bucket):
    """What DistributedDataParallel does without a hook, counted."""
    exchanged.append(bucket.index())
    return default_hooks.allreduce_hook(None, bucket)


# ------------------------------------------------------------------------------------------------------------- launched


SETTINGS = ("batch_size=8", "micro_batch=4", "epochs=2", "precision=float32", "checkpoint_every=1", "max_lr=0.002")
LAUNCH = ("--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend",
          "no", "--main_process_port", "0")  # fmt: skip
SHOWN = "weight=2.1"  # 25 samples an epoch: three batches, one left over


def one_process(data):
    """The same run in this process, with its validation loader."""
    settings = {"image_size": 32, "batch_size": 8, "micro_batch": 4, "epochs": 2, "max_lr": 0.002}
    config = load_config("smoke", precision="float32", **settings)
    return assemble(config, [Source(data, weight=2.1)], runtime=best_runtime("cpu", "float32"))


@pytest.fixture(scope="module")
def two(portrait_folder, tmp_path_factory):
    """The folder of a run by two processes, which exchange gradients on the CPU."""
    folder = tmp_path_factory.mktemp("two")
    command = ["-m", "accelerate.commands.launch", *LAUNCH, "-m", "helpers.training"]
    with start(*command, *arguments(f"{portrait_folder},{SHOWN}", folder, *SETTINGS)) as process:
        try:
            printed, errors = process.communicate(timeout=300)
        finally:
            process.terminate()  # the launcher ends its processes
    assert process.returncode == 0, errors.decode()
    assert printed.decode().count("trained 2 epochs") == 1
    assert errors.decode().count("epoch 1/2:   0%") == 1
    return folder


def finish_alone(data, folder):
    """Begin or finish the same run by one process, as fresh as the two: the checkpoint it ends with.

    Adam makes steps of mere rounding where there is no gradient, so all that rounds has to be the same.
    """
    with start("-m", "helpers.training", *arguments(f"{data},{SHOWN}", folder, *SETTINGS)) as process:
        printed, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    return printed.decode(), read_checkpoint(folder / FINAL)


@pytest.fixture(scope="module")
def alone(portrait_folder, tmp_path_factory):
    """The final checkpoint of the same run by one process."""
    return finish_alone(portrait_folder, tmp_path_factory.mktemp("alone"))[1]


def assert_trained_alike(first, second):
    """Two checkpoints went the same way, up to rounding; batch norm's statistics, which each process takes from its own
    share, are another matter."""
    assert first["recipe"] == second["recipe"]
    assert first["scheduler_state_dict"] == second["scheduler_state_dict"]
    assert first["history"]["train"] == pytest.approx(second["history"]["train"], rel=1e-5)
    for key, tensor in second["model_state_dict"].items():
        if "running" not in key and "num_batches" not in key:
            assert torch.allclose(first["model_state_dict"][key], tensor, atol=1e-4), key


def test_two_processes_train_as_one(two, alone):
    found = read_checkpoint(two / FINAL)
    assert len(found["history"]["train"]) == 6
    assert len(set(found["history"]["train"])) == 6
    assert_trained_alike(found, alone)


def test_the_validation_is_over_all_images(two, portrait_folder):
    """The loss that two processes noted together is what one finds with their weights and statistics."""
    run, val_loader = one_process(portrait_folder)
    assert resume(run, two)
    noted = run.history["metrics"][-1]
    assert noted["loss"] == run.history["val"][-1][1]
    training.validate(run, val_loader)
    assert run.history["metrics"][-1] == pytest.approx(noted, rel=1e-5)


def test_the_first_process_writes_the_files_alone(two):
    names = {LATEST, BEST, FINAL, "epoch_001.pth", "epoch_002.pth", HISTORY}
    assert {path.name for path in two.iterdir()} == names
    with open(two / HISTORY, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert [row[:2] for row in rows] == [["epoch", "step"], ["1", "3"], ["2", "6"]]
    state = read_checkpoint(two / FINAL)
    means = [np.mean(state["history"]["train"][start : start + 3]) for start in (0, 3)]
    assert [float(row[2]) for row in rows[1:]] == pytest.approx(means)


def test_what_two_processes_began_one_can_finish(two, alone, portrait_folder, tmp_path):
    shutil.copy(two / "epoch_001.pth", tmp_path / LATEST)
    printed, final = finish_alone(portrait_folder, tmp_path)
    assert "resumed at epoch 1, batch 0" in printed
    assert_trained_alike(final, alone)


def test_processes_that_do_not_stand_at_the_same_step_do_not_begin(make_run, tmp_path, monkeypatch):
    """As on two machines of which only one sees the folder with the checkpoints."""
    run, val_loader = make_run()
    monkeypatch.setattr(training, "gather_object", lambda own: [*own, [4, run.recipe]])
    with pytest.raises(ValueError, match="all machines must see the same folders --out and --data"):
        fit(run, val_loader, tmp_path / "out")
    monkeypatch.setattr(training, "gather_object", lambda own: [*own, [0, run.recipe | {"images": "other"}]])
    with pytest.raises(ValueError, match="not every process stands at the same step of the same run"):
        fit(run, val_loader, tmp_path / "out")
    assert run.step == 0
