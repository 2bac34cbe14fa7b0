"""A data file or its reader is lost while a run trains: one line, and after it is put right the same end."""

import itertools
import shutil

import numpy as np
import psutil
import pytest
from PIL import Image
from support import arguments, assert_same_end, error_of, read_until, start

from helpers.config import LATEST
from helpers.networks.weights import read_checkpoint
from helpers.training import loop as training
from helpers.training.__main__ import main

SETTINGS = ("checkpoint_every=1",)


def vanish(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def cut(path):
    """Its second half is missing."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def garble(path):
    """Random bytes."""
    path.write_bytes(np.random.default_rng(0).bytes(path.stat().st_size))


def exchange(path):
    """Another picture's file, of a size that does not fit."""
    Image.new("L", (333, 222)).save(path)


def become_a_folder(path):
    path.unlink()
    path.mkdir()


FAULTS = vanish, empty, cut, garble, exchange, become_a_folder


def break_after_the_first_epoch(fault, path, monkeypatch):
    keep = training.keep_checkpoints

    def keep_and_break(run, folder):
        if run.epoch == 1:
            fault(path)
        return keep(run, folder)

    monkeypatch.setattr(training, "keep_checkpoints", keep_and_break)


def file_of_the_second_epoch(part, make_run, copy):
    """A file of its third batch of four, or of its validation, and where the run will stand when it is missed."""
    run, val_loader = make_run(data=copy)
    if part == "validation photo":
        return val_loader.dataset.pairs[2].image, (2, 0)
    run.loader.batch_sampler.seek(1)
    pair = run.loader.dataset.pairs[[*run.loader.batch_sampler][2][0][1]]
    return pair.image if part == "photo" else pair.truth, (1, 2)


PARTS = "photo", "truth", "validation photo"


def test_a_data_file_is_lost_in_the_middle_of_a_run(
    headless, ended, make_run, copy, tmp_path, capsys, monkeypatch, long, survived
):
    cases = [(fault, part, 0) for fault, part in itertools.product(FAULTS, PARTS)]
    few = [(garble, "validation photo", 0), (vanish, "photo", 2)]
    cases = [*cases, *((fault, part, 2) for fault, part in zip(FAULTS, PARTS * 2))] if long else few
    for number, (fault, part, workers) in enumerate(cases):
        path, stands = file_of_the_second_epoch(part, make_run, copy)
        good, out = path.read_bytes(), tmp_path / f"out-{number}"
        with monkeypatch.context() as patch:
            break_after_the_first_epoch(fault, path, patch)
            capsys.readouterr()
            line = error_of(main(arguments(copy, out, *SETTINGS, f"workers={workers}")), capsys)
        assert str(path) in line
        state = read_checkpoint(out / LATEST)
        assert (state["epoch"], state["batch"]) == stands
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        path.write_bytes(good)
        assert main(arguments(copy, out, *SETTINGS)) == 0
        assert_same_end(out, ended)
    survived("a photo or mask lost, cut, garbled or exchanged while a run trains, read by 0 or 2 workers", len(cases),
             "stopped in one line naming the file, saved; put right, it went on to bitwise the same end")  # fmt: skip


@pytest.mark.parametrize("part", PARTS)
def test_what_is_broken_is_read_in_the_second_epoch(part, make_run, copy):
    """Else the test above would break what nobody reads."""
    path, _ = file_of_the_second_epoch(part, make_run, copy)
    assert path.is_file()
    assert ("val" in str(path.relative_to(copy))) == (part == "validation photo")


def test_a_loaders_process_is_killed(portrait_folder, tmp_path, survived):
    """As by Linux, when memory runs out."""
    command = ["-m", "helpers.training", *arguments(portrait_folder, tmp_path / "out", "workers=1")]
    with start(*command) as process:
        read_until(process, b"epoch 2/2")
        children = psutil.Process(process.pid).children()
        next(child for child in children if "spawn_main" in " ".join(child.cmdline())).kill()
        printed = process.stderr.read().decode()
    assert process.returncode == 1
    assert "\nerror: a loader's process was killed" in printed and "Traceback" not in printed
    with start(*command) as process:
        printed, errors = process.communicate()
    assert process.returncode == 0, errors
    assert b"\nresumed at epoch 1, batch 0\ntrained 2 epochs" in printed
    survived("a loader's process killed (SIGKILL)", 1, "stopped in one line; the same command went on from the last "
             "checkpoint to the end")  # fmt: skip
