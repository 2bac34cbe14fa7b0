import os

import numpy as np
from PIL import Image

from helpers.datasets.layouts import find_pairs
from helpers.metrics import examples
from helpers.metrics.examples import GREY, HELD_OUT, Examples, outlined_examples, real_folders


def write_pairs(folder, splits, count=3):
    for split in splits:
        for kind in ("images", "masks"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (40, 30), (i, 0, 0)).save(folder / "images" / split / f"{i}.png")
            Image.new("L", (40, 30), 255 * (i % 2)).save(folder / "masks" / split / f"{i}.png")


def test_examples_are_photo_alpha_and_no_region(tmp_path):
    write_pairs(tmp_path / "set", ["val"])
    found = Examples(find_pairs(tmp_path / "set", "val"))
    photo, true, known = found[1]
    assert len(found) == 3 and photo.shape == (30, 40, 3) and photo.dtype == np.uint8
    assert true.min() == true.max() == 1 and known is None


def test_a_cutout_is_measured_on_grey_and_not_on_its_hidden_colours(tmp_path):
    for name in ("cutouts", "backgrounds"):
        (tmp_path / name).mkdir()
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[..., 0] = 200
    pixels[:4, :, 3] = 255
    for i in range(3):
        Image.fromarray(pixels).save(tmp_path / "cutouts" / f"{i}.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "backgrounds" / "wall.png")
    photo, true, _ = Examples(find_pairs(tmp_path, "train"))[0]
    assert photo[0, 0].tolist() == [200, 0, 0] and photo[-1, 0].tolist() == [GREY] * 3
    assert true[0, 0] == 1 and true[-1, 0] == 0


def test_the_outlined_portraits_say_what_is_known():
    for photo, true, known in outlined_examples():
        assert photo.shape[:2] == true.shape == known.shape and known.dtype == bool


def test_real_sets_are_those_named_and_give_their_held_out_photos(tmp_path, monkeypatch, capsys):
    write_pairs(tmp_path / "one", ["train", "val", "test"], HELD_OUT * 2)
    write_pairs(tmp_path / "two", ["train", "val"])
    (tmp_path / "three").mkdir()
    monkeypatch.setenv("PORTRAIT_REAL", os.pathsep.join(str(tmp_path / name) for name in ("one", "two", "three")))
    found = real_folders()
    assert {name: len(held_out) for name, held_out in found.items()} == {"one": HELD_OUT, "two": 3}
    assert {pair.image.parent.name for pair in found["one"].pairs} == {"test"}
    assert "three is passed over" in capsys.readouterr().out


def test_without_any_the_notebook_has_the_two_portraits_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("PORTRAIT_REAL", raising=False)
    monkeypatch.setattr(examples, "BESIDE", tmp_path / "nothing")
    assert real_folders() == {}
