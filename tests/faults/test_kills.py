"""Kill -9 at any moment: started again with the same command, a run ends bit by bit as if nothing had happened."""

import csv
import random
import time

import pytest
from conftest import arguments, equal, start

from helpers.checkpoints import FINAL, LATEST, read_checkpoint
from helpers.logs import HISTORY

SAVING_AFTER_EVERY_BATCH = """
import sys
from helpers import training
training.fit.__defaults__ = (0,)  # seconds between two checkpoints
sys.exit(training.main(sys.argv[1:]))
"""


def train(data, out):
    """A headless run of 4 × 4 batches with averaged weights; every batch of the lite network is saved."""
    settings = ("epochs=4", "checkpoint_every=2", "ema=0.9", "precision=float32")
    return start("-c", SAVING_AFTER_EVERY_BATCH, *arguments(data, out, *settings))


def half_written(folder):
    return sorted(folder.glob(".*.tmp"))


def wait_for(process, event, seconds=120):
    """Wait until `event()` is true; fails if the process ends before, or takes too long."""
    end = time.monotonic() + seconds
    while not event():
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < end
        time.sleep(0.001)


def written(path):
    return path.stat().st_mtime_ns if path.exists() else 0


def starting(_process, _folder):
    """A moment: Python imports its libraries."""
    time.sleep(1)


def second_batch(process, folder):
    """A moment: two more batches were saved."""
    for _ in range(2):
        before = written(folder / LATEST)
        wait_for(process, lambda: written(folder / LATEST) != before)


def while_saving(process, folder):
    """A moment: a batch is being saved."""
    wait_for(process, lambda: half_written(folder))


def end_of_epoch(process, folder):
    """A moment: the table is written, and the checkpoints of the epoch are next."""
    before = written(folder / HISTORY)
    wait_for(process, lambda: written(folder / HISTORY) != before)


MOMENTS = (starting, second_batch, while_saving, end_of_epoch, end_of_epoch)


@pytest.fixture(scope="module")
def undisturbed(portrait_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    with train(portrait_folder, folder) as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    return folder


def table(folder):
    """The rows of history.csv without those columns that tell how long it took."""
    with open(folder / HISTORY, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: row[name] for name in row if name not in ("images_per_s", "data_wait")} for row in rows]


def test_killed_at_any_moment_a_run_ends_the_same(undisturbed, portrait_folder, tmp_path):
    delays, folder, positions = random.Random(0), tmp_path / "out", []
    for moment in MOMENTS:
        with train(portrait_folder, folder) as process:
            moment(process, folder)
            time.sleep(delays.uniform(0, 0.05))
            process.kill()
        assert process.returncode == -9
        for path in folder.glob("*.pth"):
            assert read_checkpoint(path)["config"]["epochs"] == 4  # readable, and whole
        assert len(half_written(folder)) <= 1
        state = read_checkpoint(folder / LATEST) if (folder / LATEST).exists() else {"epoch": 0, "batch": 0}
        positions.append((state["epoch"], state["batch"]))
    assert positions == sorted(positions)
    assert positions[0] == (0, 0) < positions[-1]
    assert not (folder / FINAL).exists()

    with train(portrait_folder, folder) as process:
        printed, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    epoch, batch = positions[-1]
    assert f"\nresumed at epoch {epoch}, batch {batch}\ntrained 4 epochs" in printed.decode()
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in undisturbed.iterdir())
    for path in undisturbed.glob("*.pth"):
        ours, theirs = read_checkpoint(folder / path.name), read_checkpoint(path)
        assert ours.keys() == theirs.keys()
        for part in theirs.keys() - {"rng", "timing"}:
            assert equal(ours[part], theirs[part]), (path.name, part)
    assert table(folder) == table(undisturbed)
    final = read_checkpoint(folder / FINAL)
    assert (len(final["history"]["train"]), len(final["history"]["val"]), len(final["timing"])) == (16, 4, 4)
