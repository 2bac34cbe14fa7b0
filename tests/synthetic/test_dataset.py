"""The procedural portraits: what each array promises, and the data set on disk."""

import csv
import errno
import re
import subprocess
import sys
import uuid
from pathlib import Path

import cv2
import numpy as np
import pytest

from helpers.datasets.layouts import CLASSES
from helpers.synthetic import dataset as synthetic
from helpers.synthetic.dataset import make_portrait, write_dataset
from helpers.synthetic.drawing.face import Expression, paint_face
from helpers.synthetic.drawing.identity import random_identity

ROOT = Path(__file__).resolve().parents[2]
COUNT, SIZE = 10, 64


@pytest.fixture(scope="module")
def portraits():
    return [make_portrait(seed, 96) for seed in range(50)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("data") / "made", COUNT, SIZE, seed=3, workers=1)


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def rows(folder):
    with open(folder / "meta.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_same_arguments_same_arrays():
    for first, second in zip(make_portrait(5, 80, user=2), make_portrait(5, 80, user=2)):
        assert np.array_equal(first, second)
    assert not np.array_equal(make_portrait(5, 80).image, make_portrait(6, 80).image)


@pytest.mark.parametrize("size", [64, 101, 200])
def test_shapes_and_types_at_any_size(size):
    portrait = make_portrait(11, size)
    assert portrait.image.shape == (size, size, 3)
    assert portrait.annotation.shape == portrait.matte.shape == (size, size)
    assert all(array.dtype == np.uint8 for array in portrait)


@pytest.mark.parametrize("size", [0, 31, 4096])
def test_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match=str(size)):
        make_portrait(0, size)


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="negative"):
        make_portrait(-1, 64)


def test_annotation_agrees_with_matte(portraits):
    for portrait in portraits:
        assert np.array_equal(portrait.annotation > 0, portrait.matte >= 128)


def test_matte_is_soft_and_neither_empty_nor_full(portraits):
    for portrait in portraits:
        soft = (portrait.matte > 0) & (portrait.matte < 255)
        assert soft.any()
        assert 0.03 < (portrait.matte / 255).mean() < 0.97


def test_matte_has_values_all_over_the_range(portraits):
    histogram = np.histogram(np.concatenate([portrait.matte.ravel() for portrait in portraits]), 16, (0, 256))[0]
    assert (histogram > 0).all()


def test_every_class_appears(portraits):
    seen = np.unique(np.concatenate([np.unique(portrait.annotation) for portrait in portraits]))
    assert seen.tolist() == list(range(len(CLASSES)))


@pytest.mark.parametrize("feature", ["BROW", "EYE"])
def test_left_is_the_persons_own_left(feature):
    rng = np.random.default_rng(0)
    face, _ = paint_face(random_identity(rng), Expression(1.0, (0, 0), 0.0, 0.0, 0.0), 100, rng)
    left, right = (np.nonzero(face.labels == CLASSES.index(f"{side}_{feature}"))[1] for side in ("LEFT", "RIGHT"))
    assert left.min() > right.max()


@pytest.mark.parametrize("seed", range(4))
def test_same_scene_at_other_sizes(seed):
    small, large = make_portrait(seed, 96), make_portrait(seed, 240)
    shrunk = cv2.resize(large.matte, (96, 96), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(float) - small.matte).mean() < 5
    photo = cv2.resize(large.image, (96, 96), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(photo.ravel(), small.image.ravel())[0, 1] > 0.9


def test_identity_stays_with_the_user():
    def skin(user, seed):
        portrait = make_portrait(seed, 96, user)
        return portrait.image[portrait.annotation == CLASSES.index("SKIN")].mean()

    first, second = (random_identity(np.random.default_rng([9, 2])) for _ in range(2))
    assert first.beard == second.beard and np.array_equal(first.skin, second.skin) and first.head == second.head
    fair = max(range(20), key=lambda user: random_identity(np.random.default_rng([user, 2])).skin.mean())
    dark = min(range(20), key=lambda user: random_identity(np.random.default_rng([user, 2])).skin.mean())
    seeds = range(100, 104)
    assert np.mean([skin(fair, seed) for seed in seeds]) > np.mean([skin(dark, seed) for seed in seeds]) + 40


def test_layout(dataset):
    names = {(row["set"], row["image_name"]) for row in rows(dataset)}
    assert len(names) == COUNT
    expected = {
        f"{kind}/{split}/{name}{suffix}"
        for split, name in names
        for kind, suffix in (("images", ".jpg"), ("annotations", ".png"), ("mattes", ".png"))
    }
    assert set(contents(dataset)) == expected | {"meta.csv", "synthetic.json"}
    assert all(uuid.UUID(name).version == 4 for _, name in names)


def test_meta_describes_the_files(dataset):
    for row in rows(dataset):
        stem = f"{row['set']}/{row['image_name']}"
        image = cv2.imread(str(dataset / "images" / f"{stem}.jpg"))
        assert image.shape == (int(row["height"]), int(row["width"]), 3) == (SIZE, SIZE, 3)
        assert abs(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).mean() - float(row["brightness"])) < 2
        annotation, matte = (
            cv2.imread(str(dataset / kind / f"{stem}.png"), cv2.IMREAD_UNCHANGED) for kind in ("annotations", "mattes")
        )
        assert annotation.shape == matte.shape == (SIZE, SIZE)
        assert np.array_equal(annotation > 0, matte >= 128)


@pytest.mark.parametrize("count", [8, 30, 400])
def test_no_user_in_two_splits_and_no_split_empty(count):
    tasks = synthetic._plan(Path("nowhere"), {"count": count, "size": 64, "seed": 0})
    users = {split: {task.user_id for task in tasks if task.split == split} for split in synthetic.SPLITS}
    assert all(users.values())
    assert len(set.union(*users.values())) == sum(map(len, users.values()))
    assert all(re.fullmatch("[0-9a-f]{32}", user) for split in users.values() for user in split)
    assert len({task.name for task in tasks}) == count


def test_large_plan_is_split_70_10_20():
    tasks = synthetic._plan(Path("nowhere"), {"count": 900, "size": 64, "seed": 0})
    share = {split: np.mean([task.split == split for task in tasks]) for split in synthetic.SPLITS}
    assert share == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.01)


def test_two_workers_write_the_same_bytes(dataset, tmp_path):
    again = write_dataset(tmp_path / "again", COUNT, SIZE, seed=3, workers=2)
    assert contents(again) == contents(dataset)


def test_complete_dataset_is_reused(dataset, monkeypatch):
    before = contents(dataset)
    monkeypatch.setattr(synthetic, "_write_picture", None)
    assert write_dataset(dataset, COUNT, SIZE, seed=3, workers=1) == dataset
    assert contents(dataset) == before


def test_other_arguments_are_refused(dataset):
    before = contents(dataset)
    with pytest.raises(FileExistsError, match=re.escape(str(dataset))):
        write_dataset(dataset, COUNT, SIZE, seed=4, workers=1)
    assert contents(dataset) == before


def test_foreign_folder_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("keep me")
    with pytest.raises(FileExistsError, match="another folder"):
        write_dataset(tmp_path / "mine", COUNT, SIZE)
    assert contents(tmp_path) == {"mine/thesis.txt": b"keep me"}


def test_empty_folder_is_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    write_dataset(tmp_path / "empty", 8, 64, workers=1)
    assert len(rows(tmp_path / "empty")) == 8


def test_an_empty_folder_behind_a_link_is_filled(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    assert write_dataset(tmp_path / "link", 8, 64, workers=1) == tmp_path / "link"
    assert (tmp_path / "link").is_symlink() and len(rows(tmp_path / "empty")) == 8


@pytest.mark.parametrize("settings, reason", [((7,), "at least 8"), ((8, 16), "between 32"), ((8, 64, -1), "negative")])
def test_impossible_settings_are_refused(settings, reason, tmp_path):
    with pytest.raises(ValueError, match=reason):
        write_dataset(tmp_path / "few", *settings)
    assert not list(tmp_path.iterdir())


def test_the_current_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="is the current folder"):
        write_dataset(".", 8, 64, workers=1)
    assert tmp_path.is_dir() and not list(tmp_path.iterdir())


def test_a_full_disk_is_told_with_the_folder_and_the_way_out(tmp_path, monkeypatch):
    def full(task):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(synthetic, "_write_picture", full)
    with pytest.raises(OSError, match="make room, then run the same command again: .*few"):
        write_dataset(tmp_path / "few", 8, 64, workers=1)
    assert not list(tmp_path.iterdir())


def test_interrupted_run_leaves_nothing(tmp_path, monkeypatch):
    whole, calls = synthetic._write_picture, []

    def interrupted(task):
        calls.append(task)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return whole(task)

    monkeypatch.setattr(synthetic, "_write_picture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "cut", COUNT, SIZE, workers=1)
    assert len(calls) == 4
    assert not list(tmp_path.iterdir())


def test_import_is_light():
    code = "import sys, helpers.synthetic; print([name for name in ('torch', 'matplotlib') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_command_line(tmp_path):
    command = [sys.executable, "-m", "helpers.synthetic", str(tmp_path / "cli"), "--count", "8", "--size", "64"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(rows(tmp_path / "cli")) == 8
    refused = subprocess.run([*command[:-4], "--count", "3"], cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode == 2
    assert "at least 8" in refused.stderr
