"""Damaged and foreign checkpoints: never taken for something else, and always a way to go on."""

import io
import os
import random
import re
import shutil
import zipfile

import torch
from support import arguments, assert_same_end, equal, error_of
from torch import nn

from helpers.config import LATEST
from helpers.networks.weights import read_checkpoint
from helpers.training.__main__ import main
from helpers.training.checkpoints import write_checkpoint
from helpers.u2net import TABLES

SETTINGS = ("checkpoint_every=1",)


def test_one_wrong_bit_never_passes_for_a_checkpoint(tmp_path, long, survived):
    """Anywhere in the file: in the weights, the plain values, or the frame that the zip format puts around them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.rand(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    path, state = tmp_path / "bit.pth", {
        "model_state_dict": model.state_dict(), "optimizer_state_dict": optimizer.state_dict(), "epoch": 3, "batch": 0,
        "history": {"train": [0.1, 0.2]}, "config": {"network": "u2net_lite", "ema": 0.0}, "scaler_state_dict": {},
    }  # fmt: skip
    write_checkpoint(path, state)
    assert equal(read_checkpoint(path), state)
    whole = path.read_bytes()
    places = range(8 * len(whole))
    refused, same = 0, 0
    with open(path, "r+b", buffering=0) as file:
        for place in places if long else random.Random(0).sample(places, 1500):
            byte, bit = divmod(place, 8)
            os.pwrite(file.fileno(), bytes([whole[byte] ^ 1 << bit]), byte)
            try:
                assert equal(read_checkpoint(path), state), place
                same += 1
            except ValueError as error:
                assert str(error).startswith(f"{path}: ") and len(str(error).splitlines()) == 1
                refused += 1
            os.pwrite(file.fileno(), whole[byte : byte + 1], byte)
    assert path.read_bytes() == whole
    assert refused > same > 0  # such as in the gaps between two parts
    survived("one bit of a checkpoint flipped", refused + same, f"{refused} refused by the file's name, {same} without "
             "effect (gaps, dates); 0 read as another state")  # fmt: skip


# -------------------------------------------------------------------------------------------------- latest.pth in a run


def about_to_end(ended, folder):
    """The folder as it was when the run was about to end: the last epoch's checkpoints but the latest are not there."""
    shutil.copytree(ended, folder)
    for path in folder.glob("*.pth"):
        if path.name != LATEST and read_checkpoint(path)["epoch"] == 2:
            path.unlink()
    return folder


def flipped(data):
    """A bit in the middle of the largest tensor is another."""
    with zipfile.ZipFile(io.BytesIO(data)) as parts:
        largest = max(parts.infolist(), key=lambda part: part.file_size)
        middle = data.index(parts.read(largest)) + largest.file_size // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def exchanged(data):
    """A sector of the disk in the middle holds something else."""
    return data[: len(data) // 2] + bytes(512) + data[len(data) // 2 + 512 :]


DAMAGES = {
    "cut in half": lambda data: data[: len(data) // 2], "without its last byte": lambda data: data[:-1],
    "empty": lambda data: b"", "flipped": flipped, "exchanged": exchanged, "zeros": lambda data: bytes(len(data)),
    "page": lambda data: b"<!DOCTYPE html><title>404</title>", "random": lambda data: random.Random(0).randbytes(999),
}  # fmt: skip


def test_a_damaged_latest_tells_how_to_go_on(headless, ended, portrait_folder, tmp_path, capsys, long, survived):
    capsys.readouterr()
    damages = list(DAMAGES) if long else ["without its last byte", "flipped"]
    for name in damages:
        folder = about_to_end(ended, tmp_path / name)
        (folder / LATEST).write_bytes(DAMAGES[name]((folder / LATEST).read_bytes()))
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        line = error_of(main(arguments(portrait_folder, folder, *SETTINGS)), capsys)
        assert f"{folder / LATEST}: not a readable checkpoint" in line
        [advice] = re.findall(r"; (\S+) beside it is whole: copy it over latest.pth to go on after epoch 1$", line)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

        shutil.copy(folder / advice, folder / LATEST)
        assert main(arguments(portrait_folder, folder, *SETTINGS)) == 0
        assert "\nresumed at epoch 1, batch 0\n" in capsys.readouterr().out
        assert_same_end(folder, ended)
    survived("latest.pth cut, flipped, overwritten, emptied", len(damages), "one line naming the whole checkpoint to "
             "copy over it, from which the run went on to bitwise the same end")  # fmt: skip


def test_a_foreign_latest_is_refused(headless, ended, portrait_folder, tmp_path, capsys, monkeypatch, tiny, survived):
    capsys.readouterr()
    folder = about_to_end(ended, tmp_path / "out")
    state = read_checkpoint(folder / LATEST)
    recipe, history = state["recipe"], state["history"]
    monkeypatch.setitem(TABLES, "u2net_full", tiny)
    for foreign, message in [
        (state | {"recipe": recipe | {"network": "u2net_full"}}, "from another run, which differs in network;"),
        (
            state | {"recipe": recipe | {"seed": 7, "initial weights": "0"}},
            "from another run, which differs in seed, initial weights;",
        ),
        (state | {"recipe": recipe | {"dropout": 0.5}}, "from another run, which differs in dropout;"),
        ({key: state[key] for key in state if key != "timing"}, "of this project, it lacks timing;"),
        ({key: state[key] for key in state if key != "rng"}, "of this project, it lacks rng;"),
        (state | {"history": {"train": history["train"]}}, "it lacks history of metrics, lacks history of val;"),
        (state | {"momentum": {}}, "of this project, it holds the unknown momentum;"),
        (state["model_state_dict"], "from another run, which differs in "),  # weights alone
    ]:
        write_checkpoint(folder / LATEST, foreign)
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        line = error_of(main(arguments(portrait_folder, folder, *SETTINGS)), capsys)
        assert f"{folder / LATEST}: " in line
        assert message in line
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    survived("latest.pth of another network, recipe, older or newer version", 8, "one line naming what differs; no "
             "file changed")  # fmt: skip
