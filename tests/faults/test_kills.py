"""Kill -9 at any moment: started again with the same command, a run ends bit by bit as if nothing had happened."""

import csv
import os
import random
import signal
import socket
import time
from types import SimpleNamespace

import pytest
from support import arguments, error_of, same_run, start

from helpers.config import FINAL, LATEST
from helpers.networks.weights import read_checkpoint
from helpers.training.__main__ import main
from helpers.training.lock import LOCK
from helpers.training.logs import HISTORY

SAVING_AFTER_EVERY_BATCH = """
import sys
from helpers.training import loop as training
from helpers.training.__main__ import main
training.fit.__defaults__ = (0,)  # seconds between two checkpoints
sys.exit(main(sys.argv[1:]))
"""


SETTINGS = ("epochs=4", "checkpoint_every=2", "ema=0.9", "precision=float32")


def train(data, out):
    """A headless run of 4 × 4 batches with averaged weights; every batch of the lite network is saved."""
    return start("-c", SAVING_AFTER_EVERY_BATCH, *arguments(data, out, *SETTINGS))


def half_written(folder):
    return sorted(folder.glob(".*.tmp"))


def wait_for(process, event, seconds=600):
    """Wait until `event()` is true; fails if the process ends before, or takes too long."""
    end = time.monotonic() + seconds
    while not event():
        assert process.poll() is None or event(), process.stderr.read().decode()
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
        wait_for(process, lambda before=before: written(folder / LATEST) != before)


def while_saving(process, folder):
    """A moment: a batch is being saved."""
    wait_for(process, lambda: half_written(folder))


def end_of_epoch(process, folder):
    """A moment: the table is written, and the checkpoints of the epoch are next."""
    before = written(folder / HISTORY)
    wait_for(process, lambda: written(folder / HISTORY) != before)


MOMENTS = (starting, second_batch, while_saving, end_of_epoch, end_of_epoch)


def is_training(process, folder):
    """Whether a process has its folder to itself, and trains; or has ended already."""
    lock = folder / LOCK
    held = lock.exists() and lock.read_text(encoding="utf-8").startswith(f"process {process.pid} ")
    return held or process.poll() is not None


def at_random(numbers, seconds):
    """Any moment of the first half of a run that takes so many seconds, or in one of eight cases of its start."""

    def moment(process, folder):
        if numbers.random() < 1 / 8:
            time.sleep(numbers.uniform(0, 4))
        else:
            wait_for(process, lambda: is_training(process, folder))
            time.sleep(numbers.uniform(0, seconds / 2))

    return moment


@pytest.fixture(scope="module")
def undisturbed(portrait_folder, tmp_path_factory):
    """The folder of the same run, and the seconds it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    begin = time.monotonic()
    with train(portrait_folder, folder) as process:
        _, errors = process.communicate()
    assert process.returncode == 0, errors.decode()
    return SimpleNamespace(folder=folder, seconds=time.monotonic() - begin)


def table(folder):
    """The rows of history.csv without those columns that tell how long it took."""
    with open(folder / HISTORY, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{name: row[name] for name in row if name not in ("images_per_s", "data_wait")} for row in rows]


def position(folder):
    """(epoch, batch) of the latest checkpoint."""
    state = read_checkpoint(folder / LATEST) if (folder / LATEST).exists() else {"epoch": 0, "batch": 0}
    return state["epoch"], state["batch"]


def assert_same_files(folder, expected):
    """All files of two finished runs are the same but for the time they took and unused random numbers."""
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in expected.iterdir())
    for path in expected.glob("*.pth"):
        assert same_run(read_checkpoint(folder / path.name), read_checkpoint(path)), path.name
    assert table(folder) == table(expected)
    final = read_checkpoint(folder / FINAL)
    assert (len(final["history"]["train"]), len(final["history"]["val"]), len(final["timing"])) == (16, 4, 4)


def test_killed_at_any_moment_a_run_ends_the_same(undisturbed, portrait_folder, tmp_path, long, survived):
    numbers, folder, positions, finished = random.Random(0), tmp_path / "1", [], 0
    moments = [*MOMENTS, *[at_random(numbers, undisturbed.seconds)] * (45 if long else 2), None]  # None: no kill
    killed, expected = 0, len(moments) - 1
    while moments:
        with train(portrait_folder, folder) as process:
            if moments[0]:
                moments[0](process, folder)
                time.sleep(numbers.uniform(0, 0.05))
                process.kill()
            printed, errors = process.communicate()
        if process.returncode == 0:  # it was not killed, or too late
            epoch, batch = max(positions, default=(0, 0))
            assert f"\nresumed at epoch {epoch}, batch {batch}\n" in printed.decode() or (epoch, batch) == (0, 0)
            assert_same_files(folder, undisturbed.folder)
            moments, finished = moments[not moments[0] :], finished + 1
            folder, positions = tmp_path / str(finished + 1), []
            continue
        assert process.returncode == -signal.SIGKILL, errors.decode()
        moments, killed = moments[1:], killed + 1
        for path in folder.glob("*.pth"):
            assert read_checkpoint(path)["config"]["epochs"] == 4  # readable, and whole
        assert len(half_written(folder)) <= 1
        positions.append(position(folder))
        assert positions == sorted(positions)
    assert killed == expected
    survived(
        "training killed (SIGKILL), five times at a chosen moment, else at a random one", killed,
        f"{killed} resumed, {finished} runs ended bitwise as the undisturbed one; 0 checkpoints lost",
    )  # fmt: skip


def test_two_runs_in_one_folder(portrait_folder, tmp_path, capsys, survived):
    """The first is halted in the meantime, so that whatever changes is the second's doing."""

    def files():
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    with train(portrait_folder, tmp_path) as first:
        try:
            wait_for(first, (tmp_path / LATEST).exists)
            first.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, first.pid, os.WSTOPPED)
            before, pid = files(), first.pid
            line = error_of(main(arguments(portrait_folder, tmp_path, *SETTINGS)), capsys)
            holder = f"process {pid} on {socket.gethostname()}"
            assert line == f"error: {tmp_path}: {holder} is training there; wait for it, or name another folder"
            assert files() == before
        finally:
            first.kill()
    survived("a second run started in the same folder", 1, "refused in one line with the first's process number; "
             "no file of the first changed")  # fmt: skip
