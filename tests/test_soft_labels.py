"""Photos without masks into training data: what is cropped, what is refused, what is written."""

import os
import shutil
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.augment import validation_transform
from helpers.cutout import Matter
from helpers.cutout.predictors import TorchPredictor
from helpers.datasets.layouts import find_splits
from helpers.datasets.pairs import read_alpha
from helpers.datasets.splits import user_ids
from helpers.samples.mixing import Source, mix
from helpers.soft_labels import NARROWEST, beside, is_alone, is_sure, label, label_whole, main, soft_alpha, upper_body


class Redness(torch.nn.Module):
    """Sees people in what is red; unsure of what is half red."""

    def forward(self, x):
        red = (x[:, :1] * 0.229 + 0.485).clamp(0, 1)
        return [red] * 7


@pytest.fixture
def matter(float32):
    return Matter(TorchPredictor(Redness(), float32), 128)


def photo_of(box, value=255, size=(240, 320)):
    """A black photo (H, W, 3) with a red `box` (top, left, height, width)."""
    photo = np.zeros((*size, 3), np.uint8)
    top, left, height, width = box
    photo[top : top + height, left : left + width, 0] = value
    return photo


def test_the_label_of_a_mirrored_photo_is_the_mirrored_label(matter):
    photo = np.random.default_rng(0).integers(0, 256, (50, 40, 3), np.uint8)
    alpha = soft_alpha([matter], photo)
    assert alpha.shape == (50, 40)
    assert np.allclose(alpha[:, ::-1], soft_alpha([matter], np.ascontiguousarray(photo[:, ::-1])), atol=1e-6)


def test_several_teachers_weigh_the_same(matter):
    photo = photo_of((10, 10, 30, 20), size=(50, 40))
    blind = SimpleNamespace(alpha=lambda photo: np.zeros(photo.shape[:2], np.float32))
    alone, together = (soft_alpha(teachers, photo) for teachers in ([matter], [matter, blind]))
    assert alone.max() > 0.9
    assert np.allclose(together, alone / 2, atol=1e-6)


def test_upper_bodies():
    standing = np.zeros((400, 300))
    standing[50:350, 100:200] = 1  # 300 tall, 100 wide: the upper 150, and 12 % more
    assert upper_body(standing) == (40, 66, 168)
    sitting = np.zeros((200, 300))
    sitting[80:200, 100:200] = 1
    assert upper_body(sitting) == (66, 83, 134)  # all there is
    assert upper_body(np.ones((50, 80))) == (0, 15, 50)
    assert upper_body(np.zeros((50, 80))) is None


def test_a_bystander_is_not_the_person():
    alpha = np.zeros((100, 100))
    alpha[:10, :10] = 1
    alpha[40:, 40:80] = 1
    y, x, side = upper_body(alpha)
    assert y > 20 and x > 20


@pytest.mark.parametrize("value, sure", [(1.0, True), (0.95, True), (0.8, False), (0.5, False)])
def test_a_doubtful_label_is_no_label(value, sure):
    alpha = np.zeros((10, 10))
    alpha[4:] = value
    assert is_sure(alpha) is sure


def test_nobody_is_not_sure_either():
    assert not is_sure(np.zeros((10, 10)))


def test_what_lies_beside_the_person():
    photo, alpha = np.zeros((20, 300, 3), np.uint8), np.zeros((20, 300))
    alpha[:, 100:230] = 1
    assert [strip.shape for strip in beside(photo, alpha)] == [(20, 100, 3)]
    assert NARROWEST > 300 - 230
    assert [strip.shape for strip in beside(photo, np.zeros((20, 300)))] == [(20, 300, 3)]


def test_both_data_sets_can_be_trained_on(matter, tmp_path, capsys):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name, photo in {
        "a": photo_of((60, 120, 180, 80)), "b": photo_of((60, 120, 180, 80), 128), "c": photo_of((0, 0, 0, 0)),
        "d": photo_of((40, 90, 200, 120)),
    }.items():  # fmt: skip
        Image.fromarray(photo).save(photos / f"{name}.png")
    (photos / "e.jpg").write_bytes(b"no picture")
    assert label([matter], sorted(photos.iterdir()), out) == 2
    printed = capsys.readouterr()
    for skipped in ("b.png: the teachers are not sure", "c.png: nobody there", "e.jpg: not a readable picture"):
        assert skipped in printed.out + printed.err
    pairs = sorted(pair for found in find_splits(out / "portraits", "mattes").values() for pair in found.pairs)
    pairs.sort(key=lambda pair: pair.image.name[9:])  # behind the checksum of the file
    assert [pair.image.name[9:] for pair in pairs] == ["a-whole.jpg", "a.jpg", "d.jpg"]
    whole, first = map(read_alpha, pairs[:2])
    assert whole.shape == (240, 320) and whole[70:, 130:190].min() > 250 and whole[:50].max() < 5
    assert first.shape == (101, 101) and first[12:, 15:85].min() > 250 and first[:, :6].max() < 5
    cutouts = [pair for found in find_splits(out / "composites").values() for pair in found.pairs]
    assert len(cutouts) == 2 and all(pair.is_cutout for pair in cutouts)
    transforms = dict.fromkeys(("train", "val"), validation_transform(32))
    train, _ = mix([Source(out / "composites"), Source(out / "portraits")], transforms, "mattes")
    sample = train[0, 0]
    assert sample.image.shape == (3, 32, 32) and sample.alpha.max() > 200


def test_the_pictures_of_one_photo_are_in_one_split(matter, tmp_path, capsys):
    """The close and the whole portrait and the cutout: to train on one and validate on another tests memory."""
    (tmp_path / "photos").mkdir()
    for i in range(12):
        photo = photo_of((60, 120, 180, 80))
        photo[:50, :, 2] = 20 * i
        Image.fromarray(photo).save(tmp_path / "photos" / f"{i}.png")
    assert label([matter], sorted((tmp_path / "photos").iterdir()), tmp_path / "out") == 12
    portraits = find_splits(tmp_path / "out" / "portraits", "mattes")
    composites = find_splits(tmp_path / "out" / "composites")
    assert [sum(len(found.pairs) for found in splits.values()) for splits in (portraits, composites)] == [24, 12]
    photos = {
        split: {pair.image.stem.removesuffix("-whole") for pair in portraits[split].pairs + composites[split].pairs}
        for split in ("train", "val")
    }
    assert photos["val"] and not photos["train"] & photos["val"]
    assert len(user_ids(tmp_path / "out" / "portraits", portraits["val"].pairs)) == len(photos["val"])


def test_a_second_run_with_other_photos_gives_no_name_twice(matter, tmp_path):
    """Neither to a photo that sorts before the others, nor to one of another folder with the same name."""
    for folder, name, width in (("a", "m.png", 80), ("b", "m.png", 90), ("a", "c.png", 70)):
        (tmp_path / folder).mkdir(exist_ok=True)
        Image.fromarray(photo_of((60, 120, 180, width))).save(tmp_path / folder / name)
        label([matter], sorted((tmp_path / folder).iterdir()), tmp_path / "out")
    portraits = tmp_path / "out" / "portraits"
    widths = {}
    for path in (portraits / "mattes" / "train").glob("*-whole.png"):
        widths[path.stem[9:], int((np.array(Image.open(path)) > 127).any(0).sum())] = path
    assert len(widths) == 3 and {name for name, _ in widths} == {"m-whole", "c-whole"}
    pairs = [pair for found in find_splits(portraits, "mattes").values() for pair in found.pairs]
    assert len(pairs) == 6 and len(user_ids(portraits, pairs)) == 3


def test_the_command_tells_how_many(matter, tmp_path, monkeypatch, capsys):
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo_of((60, 120, 180, 80))).save(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "b.cr2").write_bytes(b"raw")
    (tmp_path / "photos" / "._a.png").write_bytes(b"from a Mac")
    loaded = []
    monkeypatch.setattr("helpers.soft_labels.load_matter", lambda *given, size: loaded.append((*given, size)) or matter)
    assert main([str(tmp_path / "photos"), str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    assert "1 of 1 photos" in out
    assert "passed over, not photos by their names: 1 .cr2 (b.cr2)\n" in err
    two = ["--weights", "a.pth", "--weights", "b.pth", "--size", "96"]
    assert main([*two, str(tmp_path / "photos"), str(tmp_path / "out")]) == 0
    assert loaded == [(None, None), ("a.pth", 96), ("b.pth", 96)]
    Image.fromarray(photo_of((0, 0, 0, 0))).save(tmp_path / "photos" / "b.png")
    assert main([str(tmp_path / "photos"), str(tmp_path / "out")]) == 1
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "out")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_what_earlier_runs_wrote_among_the_photos_is_not_labelled_again(matter, tmp_path, monkeypatch, capsys):
    Image.fromarray(photo_of((60, 120, 180, 80))).save(tmp_path / "a.png")
    monkeypatch.setattr("helpers.soft_labels.load_matter", lambda *given, size: matter)
    for out in ("labels", "."):
        for _ in range(2):
            assert main([str(tmp_path), str(tmp_path / out)]) == 0
            assert "1 of 1 photos" in capsys.readouterr().out
        if out == "labels":
            shutil.rmtree(tmp_path / "labels")


def test_a_folder_that_cannot_be_read_is_named_and_the_others_labelled(matter, tmp_path, monkeypatch, capsys):
    Image.fromarray(photo_of((60, 120, 180, 80))).save(tmp_path / "a.png")
    (tmp_path / "locked").mkdir()
    scan = os.scandir

    def denied(path):
        if "locked" in str(path):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    monkeypatch.setattr("helpers.soft_labels.load_matter", lambda *given, size: matter)
    assert main([str(tmp_path), str(tmp_path / "out")]) == 1
    out, err = capsys.readouterr()
    assert "1 of 1 photos" in out
    assert f"skipped: {tmp_path / 'locked'}: Permission denied; allow reading it" in err


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_photo_whose_name_is_not_in_utf_8_is_labelled(matter, tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.fromarray(photo_of((60, 140, 180, 40))).save(path)  # stands: its two pictures need meta.csv
    assert label([matter], [path], tmp_path / "out") == 1
    portraits = tmp_path / "out" / "portraits"
    pairs = find_splits(portraits, "mattes")["train"].pairs
    assert len(pairs) == 2 and len(user_ids(portraits, pairs)) == 1


# --------------------------------------------------------------------------------------------------------- whole photos


def test_one_person_in_one_piece_is_alone():
    alpha = np.zeros((100, 100))
    assert not is_alone(alpha)
    alpha[10:90, 40:60] = 0.9
    assert is_alone(alpha)
    alpha[50:53, 5:8] = 1  # a shoe that lies apart
    assert is_alone(alpha)
    alpha[30:80, 80:90] = 1
    assert not is_alone(alpha)


def test_whole_photos_keep_their_framing_and_become_cutouts(matter, tmp_path):
    boxes = {"one": (20, 100, 200, 60), "small": (20, 100, 20, 20)}
    for name, box in boxes.items():
        Image.fromarray(photo_of(box)).save(tmp_path / f"{name}.png")
    assert label_whole([matter], [tmp_path / f"{name}.png" for name in boxes], tmp_path / "out") == 1
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    name = f"{zlib.crc32((tmp_path / 'one.png').read_bytes()):08x}-one"
    assert written == [
        f"composites/cutouts/train/{name}-whole.png",
        "composites/meta.csv",
        f"portraits/images/train/{name}-whole.jpg",
        f"portraits/mattes/train/{name}-whole.png",
        "portraits/meta.csv",
    ]
    truth = np.array(Image.open(tmp_path / "out" / written[3]))
    assert truth.shape == (240, 320)
    assert truth[60:200, 110:150].min() == 255 and truth[:, :80].max() == 0
