"""Cutouts of masked people: which are good enough, how soft they are, and what is left alone."""

import shutil

import numpy as np
import pytest
from PIL import Image

from helpers.datasets.pairs import read_alpha
from helpers.samples.cutouts import cutout_of, is_good, main, pairs_to_cut
from helpers.samples.mixing import Source, mix


def person(side=100):
    mask = np.zeros((side, side), np.uint8)
    mask[20:, 30:70] = 255
    return mask


def changed(*places):
    mask = person()
    for place, value in places:
        mask[place] = value
    return mask


@pytest.mark.parametrize("mask, good", [
    (person(), True),
    (changed((np.s_[40:60, 40:50], 0)), True),  # an arm akimbo is no pinhole
    (changed((np.s_[30:90:4, 35:65:4], 0)), False),
    (changed((np.s_[:, :15], 255)), False),
    (np.zeros((50, 50), np.uint8), False),
    (np.full((50, 50), 255, np.uint8), False),
], ids=["whole", "akimbo", "pinholes", "scattered", "nobody", "all"])  # fmt: skip
def test_only_whole_people_are_good(mask, good):
    assert is_good(mask) is good


def test_a_cutout_has_a_soft_edge_and_no_colour_from_behind():
    mask = person()
    photo = np.where(mask[..., None] > 0, np.uint8([200, 90, 40]), np.uint8([20, 220, 20]))
    cutout = cutout_of(photo, mask)
    assert cutout.shape == (100, 100, 4)
    assert ((cutout[..., 3] > 0) & (cutout[..., 3] < 255)).any()
    assert not cutout[..., 3][mask == 0].max() > 100  # a pixel was taken off first
    shown = cutout[cutout[..., 3] > 30][:, :3]
    assert shown[:, 1].max() < 110 and shown[:, 0].min() > 180  # nothing of the green behind


def test_the_training_people_are_written_once_and_no_others(portrait_folder, tmp_path, capsys):
    assert main([str(tmp_path), "--data", str(portrait_folder)]) == 0
    written, total = (int(word) for word in capsys.readouterr().out.split() if word.isdigit())
    names = sorted((tmp_path / "cutouts" / "train").iterdir())
    validated = sorted((tmp_path / "cutouts" / "val").iterdir())
    assert total == 16 and names and validated and written == len(names) + len(validated)
    train = {path.stem for path in (portrait_folder / "images" / "train").iterdir()}
    assert {path.stem.removeprefix(f"{portrait_folder.name}-") for path in names} <= train
    with Image.open(names[0]) as cutout:
        assert cutout.mode == "RGBA"
    before = names[0].stat().st_mtime_ns
    assert main([str(tmp_path), "--data", str(portrait_folder)]) == 0
    assert names[0].stat().st_mtime_ns == before


def test_whoever_is_validated_on_as_a_photo_is_not_trained_on_as_a_cutout(portrait_folder, tmp_path, capsys):
    assert main([str(tmp_path), "--data", str(portrait_folder)]) == 0
    place = tmp_path / "backgrounds" / "plain.png"
    place.parent.mkdir()
    Image.new("RGB", (24, 20)).save(place)
    transforms = {"train": None, "val": None}
    train, val = mix([Source(portrait_folder), Source(tmp_path, "cutouts")], transforms)
    people = [
        {pair.image.stem.removeprefix(f"{portrait_folder.name}-") for pair in part.pairs} for part in (train, val)
    ]
    assert people[0] and people[1] and not people[0] & people[1]
    assert any(pair.is_cutout for pair in val.pairs)


def test_people_of_the_same_name_are_all_written_and_broken_pairs_named(portrait_folder, tmp_path, capsys):
    pairs = pairs_to_cut(portrait_folder)["train"]
    for sub in ("a", "b", "c"):
        images, masks = (tmp_path / "set" / kind / "train" / sub for kind in ("images", "masks"))
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for pair in pairs[:4]:
            shutil.copy(pair.image, images)
            Image.fromarray(read_alpha(pair)).save(masks / f"{pair.image.stem}.png")
    broken = min((tmp_path / "set" / "images" / "train" / "c").iterdir())
    broken.write_bytes(b"")
    assert main([str(tmp_path / "out"), "--data", str(tmp_path / "set")]) == 1
    out, err = capsys.readouterr()
    written = int(out.split()[0])
    assert written and len(list((tmp_path / "out" / "cutouts").rglob("*.png"))) == written
    assert f"cannot be read and left out: 1\n{broken}: not a readable picture (an empty file)" in err


def test_a_photo_that_is_a_validation_photo_as_well_is_left_out(portrait_folder, tmp_path):
    copy = tmp_path / "portraits"
    shutil.copytree(portrait_folder, copy)
    before = pairs_to_cut(copy)["train"]
    held_out = next((copy / "images" / "val").iterdir())
    shutil.copy(held_out, before[0].image)
    assert pairs_to_cut(copy)["train"] == before[1:]


def test_a_missing_data_set_is_named(tmp_path, capsys):
    assert main([str(tmp_path), "--data", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
