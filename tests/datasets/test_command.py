"""The command line of the data sets: what it prints, what it writes, and its exit codes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.datasets import __main__ as datasets
from helpers.datasets.__main__ import main
from helpers.datasets.layouts import find_splits
from helpers.datasets.manifests import read_manifest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def folder(tmp_path):
    """Six training and two validation portraits, 60 pixels wide and 48 high, in EasyPortrait's layout."""
    truth = np.zeros((48, 60), np.uint8)
    truth[10:40, 10:40] = 1
    for seed in range(8):
        name = f"{'train' if seed < 6 else 'val'}/{seed}"
        colours = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8))
        for kind, suffix, picture in (("images", "jpg", colours.resize((60, 48), Image.Resampling.BICUBIC)),
                                      ("annotations", "png", Image.fromarray(truth))):  # fmt: skip
            path = tmp_path / "set" / kind / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture.save(path)
    return tmp_path / "set"


def run(*arguments):
    return main([str(argument) for argument in arguments])


def listed(splits):
    return {split: [pair.image.stem for pair in found.pairs] for split, found in splits.items()}


ALL = {"train": list("012345"), "val": list("67")}

# ---------------------------------------------------------------------------------------------------------------- check


def test_checking_a_clean_data_set(folder, capsys):
    assert run("check", folder, "--workers", 0) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["pairs", "6", "2"]
    assert out.endswith("no problems\n")


def test_checking_finds_problems(folder, capsys):
    (folder / "images" / "val" / "6.jpg").write_bytes(b"moved")
    assert run("check", folder, "--workers", 0) == 1
    out = capsys.readouterr().out
    assert f"{folder}/images/val/6.jpg: not a readable picture" in out
    assert out.endswith("1 problem\n")


# ------------------------------------------------------------------------------------------------------------- manifest


def test_the_manifest_lists_the_folder_and_is_read_instead_of_it(folder, capsys):
    assert run("manifest", folder) == 0
    assert capsys.readouterr().out == f"8 pairs (6 train, 2 val): {folder}/manifest.csv\n"
    assert (folder / "manifest.csv").read_text().splitlines()[:2] == [
        "image,mask,category,split,width,height,reading,rough",
        "images/train/0.jpg,annotations/train/0.png,easyportrait,train,60,48,classes,0",
    ]
    lines = (folder / "manifest.csv").read_text().splitlines(keepends=True)
    (folder / "manifest.csv").write_text("".join(lines[:1] + lines[2:]))
    assert listed(find_splits(folder)) == ALL | {"train": list("12345")}


def test_a_manifest_elsewhere_with_a_figure(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://absent")
    assert run("manifest", folder, "-o", tmp_path / "lists" / "all.csv", "--figure", tmp_path / "counts.png") == 0
    assert listed(read_manifest(tmp_path / "lists" / "all.csv")) == ALL
    with Image.open(tmp_path / "counts.png") as figure:
        assert figure.width > 300
    assert run("check", tmp_path / "lists" / "all.csv", "--workers", 0) == 0
    assert run("prepare", tmp_path / "lists" / "all.csv", tmp_path / "out", "--workers", 0) == 0
    assert listed(find_splits(tmp_path / "out")) == ALL


def test_a_manifest_is_not_overwritten_by_itself(folder, capsys):
    """What was edited in it would be lost."""
    assert run("manifest", folder) == 0
    (folder / "manifest.csv").write_text("image,mask,mine\nimages/train/0.jpg,annotations/train/0.png,note\n")
    for place in (folder, folder / "manifest.csv"):
        assert run("manifest", place) == 1
        assert "manifest.csv: is what would be read, too" in capsys.readouterr().err
    assert "note" in (folder / "manifest.csv").read_text()
    assert run("manifest", folder, "--layout", "easyportrait") == 0
    assert listed(read_manifest(folder / "manifest.csv")) == ALL


def test_what_a_manifest_leaves_out_is_told(folder, capsys):
    (folder / "annotations" / "train" / "0.png").unlink()
    (folder / "images" / "train" / "1.jpg").write_bytes(b"moved")
    assert run("manifest", folder) == 1
    out, err = capsys.readouterr()
    assert "left out of train: photos without a ground truth: 1 (0.jpg)" in err
    assert "cannot be used and left out: 1\n" in err
    assert "1.jpg: not a readable picture" in err
    assert out == f"6 pairs (4 train, 2 val): {folder}/manifest.csv\n"
    assert listed(read_manifest(folder / "manifest.csv"))["train"] == list("2345")


def test_no_manifest_of_nothing(folder, capsys):
    for path in folder.glob("images/*/*"):
        path.write_bytes(b"moved")
    assert run("manifest", folder) == 1
    err = capsys.readouterr().err
    assert "no usable photo with a ground truth" in err and "0.jpg: not a readable picture" in err
    assert not (folder / "manifest.csv").exists()


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_not_in_utf_8_is_left_out_of_a_manifest(folder, capsys):
    for place, suffix in (("images", b".jpg"), ("annotations", b".png")):
        os.rename(
            folder / place / "train" / f"0{suffix.decode()}",
            folder / place / "train" / os.fsdecode(b"caf\xe9" + suffix),
        )
    assert run("manifest", folder) == 1
    assert r"'images/train/caf\udce9.jpg': the name is not in UTF-8; rename the file" in capsys.readouterr().err
    assert listed(read_manifest(folder / "manifest.csv"))["train"] == list("12345")


# -------------------------------------------------------------------------------------------------------------- prepare


def test_preparing_a_copy(folder, tmp_path, capsys):
    assert run("prepare", folder, tmp_path / "out", "--size", 30, "--workers", 0) == 0
    assert capsys.readouterr().out == f"8 pairs (6 train, 2 val): {tmp_path}/out\n"
    with Image.open(tmp_path / "out" / "images" / "train" / "0.jpg") as picture:
        assert picture.size == (30, 24)


def test_preparing_with_a_broken_photo_names_it(folder, tmp_path, capsys):
    (folder / "images" / "val" / "6.jpg").write_bytes(b"moved")
    assert run("prepare", folder, tmp_path / "out", "--workers", 0) == 1
    out, err = capsys.readouterr()
    assert "cannot be used and left out: 1\n" in err
    assert f"{folder}/images/val/6.jpg: not a readable picture" in err
    assert out.startswith("7 pairs (6 train, 1 val)")


def test_left_out_pictures_are_named_up_to_ten(capsys):
    assert datasets._report({"train": []}, [f"{i}.jpg: broken" for i in range(12)], "out") == 1
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["cannot be used and left out: 12", *(f"{i}.jpg: broken" for i in range(10)), "… and 2 more"]


# --------------------------------------------------------------------------------------------------- errors, exit codes


@pytest.mark.parametrize("arguments", [
    ("check", "SET/nowhere"), ("manifest", "SET/nowhere"), ("prepare", "SET/nowhere", "OUT"),
    ("prepare", "SET", "SET/x"), ("prepare", "SET", "OUT", "--size", "0"), ("check", "SET", "--layout", "aisegment"),
])  # fmt: skip
def test_errors_are_told_and_nothing_written(arguments, folder, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    places = {"SET": str(folder), "OUT": str(tmp_path / "out")}
    arguments = [places.get(word, word.replace("SET", places["SET"])) for word in arguments]
    assert run(*arguments) == 1
    out, err = capsys.readouterr()
    assert err.startswith("error: ")
    assert out == ""
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("arguments", [[], ["sort", "x"], ["check"], ["prepare", "x"], ["check", "x", "--layout", "y"],
                                       ["prepare", "x", "y", "--size", "big"]])  # fmt: skip
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m helpers.datasets" in capsys.readouterr().err


@pytest.mark.parametrize("command, advice", [("check", "interrupted\n"), ("prepare", "; the same command goes on")])
def test_ctrl_c_is_answered(command, advice, monkeypatch, capsys):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, command, interrupted)
    assert main([command, "x", *(["y"] if command == "prepare" else [])]) == 130
    assert advice in capsys.readouterr().err


def test_ctrl_c_in_a_terminal_ends_the_workers_quietly(folder, tmp_path):
    """A terminal sends it to the whole group; the same command then finishes the copy."""
    for i in range(44):
        for kind, suffix in (("images", "jpg"), ("annotations", "png")):
            with Image.open(folder / kind / "train" / f"0.{suffix}") as picture:
                picture.resize((1000, 800)).save(folder / kind / "train" / f"more-{i}.{suffix}")
    arguments = ["prepare", str(folder), str(tmp_path / "out"), "--workers", "2"]
    command = [sys.executable, "-m", "helpers.datasets", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        deadline = time.monotonic() + 60
        while not [*tmp_path.glob("out/masks/*/*.png")] and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "interrupted; the same command goes on from here" in err
    assert "Traceback" not in err
    assert not [*tmp_path.glob("out/**/.*.tmp")]
    assert not (tmp_path / "out" / "manifest.csv").exists()
    assert run(*arguments[:-1], 0) == 0
    assert len(read_manifest(tmp_path / "out" / "manifest.csv")["train"].pairs) == 50


def test_the_command_starts_without_torch():
    script = "import sys, helpers.datasets; sys.exit(not {'torch', 'matplotlib'}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0
