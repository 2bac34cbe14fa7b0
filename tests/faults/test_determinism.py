"""The same seed is the same run, however many processes read the data."""

import numpy as np
import pytest
import torch
from support import same_run

from helpers.config import FINAL
from helpers.networks.weights import read_checkpoint
from helpers.training.loop import fit


def trained(make_run, folder, workers=0, **settings):
    """The end of a run whose data, for training, are read by so many workers."""
    run, _ = make_run(workers=workers, **settings)
    _, val_loader = make_run(**settings)
    fit(run, val_loader, folder)
    return {**read_checkpoint(folder / FINAL), "config": None}


@pytest.fixture(scope="module")
def alone(make_run, tmp_path_factory):
    """The end of the run that reads its data itself."""
    return trained(make_run, tmp_path_factory.mktemp("alone"))


@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more than there are cores
def test_the_number_of_workers_changes_nothing(make_run, alone, tmp_path, long, survived):
    counts = (1, 2, 3, 5) if long else (3,)
    for workers in counts:
        torch.manual_seed(workers)  # whatever was drawn before
        np.random.seed(workers)
        assert same_run(trained(make_run, tmp_path / str(workers), workers), alone)
    survived("data read by 0 or " + ", ".join(map(str, counts)) + " workers, after other random numbers were drawn",
             len(counts), "bitwise the same weights")  # fmt: skip


def test_another_seed_is_another_run(make_run, alone, tmp_path):
    """Else the test above would compare nothing."""
    other = trained(make_run, tmp_path / "1", seed=1)
    assert other["history"]["train"] != alone["history"]["train"]
