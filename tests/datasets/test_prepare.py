"""The smaller copy: what its pictures hold, that it goes on where it was stopped, and what it refuses."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.datasets.ground_truth import Remark
from helpers.datasets.layouts import backgrounds_in, find_splits
from helpers.datasets.manifests import write_manifest
from helpers.datasets.pairs import Pair, read_pair
from helpers.datasets.prepare import prepare, shrunk, shrunk_cutout
from helpers.datasets.splits import user_ids
from helpers.files.photos import read_photo

ROOT = Path(__file__).resolve().parents[2]


def photo(seed, height=150, width=100):
    """A smooth photo (height, width, 3) like no other."""
    colours = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)


def disc(height=150, width=100):
    """A soft disc (height, width) from 0 to 255."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return (255 * (1.5 - 2 * np.hypot(x, y))).clip(0, 255).round().astype(np.uint8)


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """A data set of the layout "pairs", in sub-folders: two training pictures, one for validation, soft masks."""
    for seed, name in enumerate(("train/a/x", "train/b/x", "val/a/y.z")):
        save(tmp_path / "set" / "images" / f"{name}.jpg", photo(seed), quality=95)
        save(tmp_path / "set" / "masks" / f"{name}.png", disc())
    return tmp_path / "set"


def contents(folder):
    """{path: (bytes, time of change)} of all files in a folder."""
    return {path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
            for path in sorted(folder.rglob("*")) if path.is_file()}  # fmt: skip


def names(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


# ------------------------------------------------------------------------------------------------------------- the copy


def test_the_copy_is_the_original_averaged_down(folder, tmp_path):
    before = contents(folder)
    done = prepare(folder, tmp_path / "out", size=60, workers=0)
    assert contents(folder) == before
    assert done.failed == []
    assert names(tmp_path / "out") == [
        "images/train/a/x.jpg", "images/train/b/x.jpg", "images/val/y.z.jpg", "manifest.csv",
        "masks/train/a/x.png", "masks/train/b/x.png", "masks/val/y.z.png", "prepared.json",
    ]  # fmt: skip
    originals = find_splits(folder)
    for split, copies in done.splits.items():
        for original, copy in zip(originals[split].pairs, copies, strict=True):
            image, alpha = read_pair(original)
            small, small_alpha = read_pair(copy)
            assert small.shape == (60, 40, 3)
            assert np.abs(small.astype(int) - cv2.resize(image, (40, 60), interpolation=cv2.INTER_AREA)).mean() < 1.5
            assert np.array_equal(small_alpha, cv2.resize(alpha, (40, 60), interpolation=cv2.INTER_AREA))
            assert len(np.unique(small_alpha)) > 20


def test_training_finds_the_copy_with_its_categories(folder, tmp_path):
    done = prepare(folder, tmp_path / "out", size=60, workers=0)
    assert {split: found.pairs for split, found in find_splits(tmp_path / "out").items()} == done.splits
    assert [pair.category for pair in done.splits["train"]] == ["a", "b"]
    assert {pair.reading for pairs in done.splits.values() for pair in pairs} == {"grey"}
    shutil.move(tmp_path / "out", tmp_path / "moved")
    assert read_pair(find_splits(tmp_path / "moved")["val"].pairs[0])[0].shape == (60, 40, 3)


def test_processes_make_the_same_copy(tmp_path):
    for seed in range(20):
        save(tmp_path / "set" / "images" / "train" / f"{seed}.jpg", photo(seed))
        save(tmp_path / "set" / "annotations" / "train" / f"{seed}.png", disc() // 32)
    copies = []
    for workers in (0, 2):
        prepare(tmp_path / "set", tmp_path / f"out-{workers}", size=60, workers=workers)
        copies.append({path: data for path, (data, _) in contents(tmp_path / f"out-{workers}").items()})
    assert copies[0] == copies[1]


def test_edges_of_hard_masks_become_soft(portrait_folder, tmp_path):
    done = prepare(portrait_folder, tmp_path / "out", size=20, workers=0)
    image, alpha = read_pair(done.splits["train"][0])
    assert max(alpha.shape) == 20
    assert {0, 255} < set(np.unique(alpha))
    assert user_ids(tmp_path / "out", done.splits["val"]) == {"val-user-0", "val-user-1"}


def test_small_pictures_keep_their_size(folder, tmp_path):
    done = prepare(folder, tmp_path / "out", size=150, workers=0)
    original, copy = find_splits(folder)["train"].pairs[0], done.splits["train"][0]
    assert np.array_equal(read_pair(copy)[1], read_pair(original)[1])
    assert np.abs(read_pair(copy)[0].astype(int) - read_pair(original)[0]).mean() < 1.5


def test_turned_photos_are_stored_as_they_are_shown(folder, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    save(folder / "images" / "train" / "a" / "x.jpg", np.rot90(photo(0)).copy(), exif=exif, quality=95)
    copy = prepare(folder, tmp_path / "out", size=60, workers=0).splits["train"][0].image
    with Image.open(copy) as picture:
        assert picture.size == (40, 60)
        assert not picture.getexif()
    assert np.abs(read_photo(copy).astype(int) - shrunk(photo(0), 60)).mean() < 2


def test_colours_keep_their_resolution(folder, tmp_path):
    """Red and blue stripes of one pixel would run into each other at half the resolution."""
    stripes = np.zeros((150, 100, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255
    save(folder / "images" / "train" / "a" / "x.png", stripes)
    (folder / "images" / "train" / "a" / "x.jpg").unlink()
    copy = prepare(folder, tmp_path / "out", size=150, workers=0).splits["train"][0].image
    assert np.abs(read_photo(copy).astype(int) - stripes).mean() < 5


def test_rough_masks_stay_rough_and_readings_become_grey(tmp_path):
    """A list of files from several places; transparent pictures as truths of other pictures."""
    image = save(tmp_path / "one" / "x.jpg", photo(0))
    truth = save(tmp_path / "two" / "x.png", np.dstack([photo(1), disc()]))
    other = save(tmp_path / "three" / "y.jpg", photo(2))
    classes = save(tmp_path / "four" / "y.png", disc() // 200)
    (tmp_path / "set").mkdir()
    pairs = [Pair(image, truth, "opacity", "people", True), Pair(other, classes, "classes", "p3m")]
    write_manifest(tmp_path / "set" / "manifest.csv", {"train": pairs[:1], "val": pairs[1:]})
    done = prepare(tmp_path / "set", tmp_path / "out", size=75, workers=0)
    out = tmp_path / "out"
    assert done.splits == {
        "train": [Pair(out / "images/train/x.jpg", out / "masks/train/x.png", "grey", "people", True)],
        "val": [Pair(out / "images/val/y.jpg", out / "masks/val/y.png", "grey", "p3m", False)],
    }
    assert {split: found.pairs for split, found in find_splits(out).items()} == done.splits
    assert np.array_equal(read_pair(done.splits["train"][0])[1], shrunk(disc(), 75))


def test_a_nearly_empty_mask_is_not_read_as_a_full_one(folder, tmp_path):
    speck = np.zeros((150, 100), np.uint8)
    speck[0, 0] = 6  # averages to 1 of 255
    save(folder / "masks" / "train" / "a" / "x.png", speck)
    copy = prepare(folder, tmp_path / "out", size=60, workers=0).splits["train"][0]
    assert read_pair(copy)[1].max() == 0


# -------------------------------------------------------------------------------------------------------------- cutouts


@pytest.fixture
def cutouts(tmp_path):
    """Transparent cutouts, white on loud green where nothing is seen, and two backgrounds."""
    white = np.where(disc()[..., None] > 0, np.uint8(255), np.uint8([0, 255, 0]))
    for name in ("train/x", "val/y"):
        save(tmp_path / "set" / "cutouts" / f"{name}.png", np.dstack([white, disc()]))
    save(tmp_path / "set" / "backgrounds" / "wide.jpg", photo(1, 100, 300))
    save(tmp_path / "set" / "backgrounds" / "more" / "small.png", photo(2, 30, 40))
    return tmp_path / "set"


def test_cutouts_stay_cutouts_without_a_fringe(cutouts, tmp_path):
    done = prepare(cutouts, tmp_path / "out", size=60, workers=0)
    copy, path = done.splits["train"][0], tmp_path / "out" / "cutouts" / "train" / "x.png"
    assert copy == Pair(path, path, "opacity", "cutouts")
    colours, alpha = read_pair(copy)
    assert alpha.shape == (60, 40)
    assert np.abs(alpha.astype(int) - shrunk(disc(), 60)).max() <= 1
    assert (colours[alpha > 0] == 255).all()
    assert {split: found.pairs for split, found in find_splits(tmp_path / "out").items()} == done.splits


def test_backgrounds_come_along_at_twice_the_size(cutouts, tmp_path):
    out = tmp_path / "out"
    prepare(cutouts, out, size=60, workers=0)
    backgrounds = backgrounds_in(out)
    assert backgrounds == [out / "backgrounds" / "more" / "small.jpg", out / "backgrounds" / "wide.jpg"]
    assert [read_photo(path).shape for path in backgrounds] == [(30, 40, 3), (40, 120, 3)]


def test_broken_backgrounds_are_told(cutouts, tmp_path):
    (cutouts / "backgrounds" / "wide.jpg").write_bytes(b"moved")
    failed = prepare(cutouts, tmp_path / "out", size=60, workers=0).failed
    assert len(failed) == 1
    assert "wide.jpg: not a readable picture" in failed[0]


def test_cutouts_without_backgrounds_are_copied_alone(cutouts, tmp_path):
    pairs = {split: found.pairs for split, found in find_splits(cutouts).items()}
    shutil.rmtree(cutouts / "backgrounds")
    write_manifest(cutouts / "manifest.csv", pairs)
    prepare(cutouts, tmp_path / "out", size=60, workers=0)
    assert names(tmp_path / "out") == ["cutouts/train/x.png", "cutouts/val/y.png", "manifest.csv", "prepared.json"]


def test_colours_of_a_cutout_count_as_much_as_they_are_seen():
    colours = np.array([[[200, 100, 0], [0, 0, 255]]], np.uint8)
    assert shrunk_cutout(colours, np.array([[255, 85]], np.uint8), 1).tolist() == [[[150, 75, 64, 170]]]
    assert shrunk_cutout(colours, np.array([[255, 0]], np.uint8), 1).tolist() == [[[200, 100, 0, 128]]]
    assert shrunk_cutout(colours, np.zeros((1, 2), np.uint8), 1)[0, 0, 3] == 0


@pytest.mark.parametrize("height, width, size, shape", [
    (100, 50, 20, (20, 10)), (50, 100, 20, (10, 20)), (3, 1000, 10, (1, 10)), (7, 5, 7, (7, 5)), (7, 5, 100, (7, 5)),
])  # fmt: skip
def test_the_longer_side_is_shrunk_to_the_size(height, width, size, shape):
    assert shrunk(np.zeros((height, width), np.uint8), size).shape == shape
    assert shrunk(np.zeros((height, width, 3), np.uint8), size).shape == (*shape, 3)


# ------------------------------------------------------------------------------------------------------------- going on


def test_what_is_there_is_kept_and_the_rest_made(folder, tmp_path):
    out = tmp_path / "out"
    prepare(folder, out, size=60, workers=0)
    whole = contents(out)
    for name in ("images/train/a/x.jpg", "masks/val/y.z.png", "manifest.csv"):
        (out / name).unlink()
    (out / "masks" / "train" / ".x.png.123.tmp").write_bytes(b"half")
    mark(out / "masks" / "train" / "a" / "x.png")
    mark(out / "masks" / "train" / "b" / "x.png")
    done = prepare(folder, out, size=60, workers=0)
    again = contents(out)
    assert again.pop(Path("masks/train/b/x.png"))[0].endswith(b"marked")  # kept; that of a is made with its photo
    assert {path: data for path, (data, _) in again.items()} == {
        path: data for path, (data, _) in whole.items() if path in again
    }
    assert len(again) == len(whole) - 1
    assert [len(done.splits[split]) for split in ("train", "val")] == [2, 1]


def mark(path):
    """Change a file without changing its date."""
    date = path.stat().st_mtime_ns
    path.write_bytes(path.read_bytes() + b"marked")
    os.utime(path, ns=(date, date))


@pytest.mark.parametrize("days", [1, -1])
def test_a_replaced_original_is_copied_anew(days, folder, tmp_path):
    """Also by an older file: copying and unpacking keep the date that a file had elsewhere."""
    prepare(folder, tmp_path / "out", size=60, workers=0)
    path = folder / "images" / "train" / "a" / "x.jpg"
    date = path.stat().st_mtime + 86400 * days
    save(path, photo(7), quality=95)
    os.utime(path, (date, date))
    copy = prepare(folder, tmp_path / "out", size=60, workers=0).splits["train"][0].image
    assert np.abs(read_photo(copy).astype(int) - shrunk(photo(7), 60)).mean() < 2


@pytest.mark.parametrize("name, changed", [("masks/train/a/x.png", 255 - disc()), ("images/train/b/x.jpg", photo(7))])
def test_a_replaced_original_of_the_same_date_is_copied_anew(name, changed, folder, tmp_path):
    """Files from an archive may all have one date."""
    prepare(folder, tmp_path / "out", size=300, workers=0)
    replace(folder / name, changed)
    prepare(folder, tmp_path / "out", size=300, workers=0)
    assert np.abs(read_photo(tmp_path / "out" / name) - np.atleast_3d(changed).astype(int)).mean() < 3


def test_a_replaced_background_of_the_same_date_is_copied_anew(cutouts, tmp_path):
    prepare(cutouts, tmp_path / "out", size=300, workers=0)
    replace(cutouts / "backgrounds" / "wide.jpg", photo(9, 100, 300))
    prepare(cutouts, tmp_path / "out", size=300, workers=0)
    copy = read_photo(tmp_path / "out" / "backgrounds" / "wide.jpg")
    assert np.abs(copy - photo(9, 100, 300).astype(int)).mean() < 3


def replace(path, changed):
    """Write another picture in the place of a file, with the same date."""
    date = path.stat().st_mtime_ns
    save(path, changed)
    os.utime(path, ns=(date, date))


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_folder_whose_name_is_not_in_utf_8_is_named(folder, tmp_path):
    odd = tmp_path / os.fsdecode(b"f\xf3lder")
    folder.rename(odd)
    with pytest.raises(ValueError, match=r"f\\udcf3lder': the name is not in UTF-8; rename the folder"):
        prepare(odd, tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


def test_dates_count_as_exactly_as_a_file_system_keeps_them(folder, tmp_path):
    prepare(folder, tmp_path / "out", size=60, workers=0)
    original, copy = (
        place / "masks" / "val" / name for place, name in ((folder, "a/y.z.png"), (tmp_path / "out", "y.z.png"))
    )
    os.utime(original, ns=(0, 1_700_000_001_234_567_800))
    for date, is_kept in ((1_700_000_001_234_567_000, True), (1_700_000_000_000_000_000, True),
                          (1_700_000_001_234_000_000, False), (1_699_999_998_000_000_000, False)):  # fmt: skip
        os.utime(copy, ns=(0, date))
        mark(copy)
        prepare(folder, tmp_path / "out", size=60, workers=0)
        assert copy.read_bytes().endswith(b"marked") == is_kept


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_not_in_utf_8_is_told_before_anything_is_written(folder, tmp_path):
    for place, suffix in (("images", ".jpg"), ("masks", ".png")):
        os.rename(
            folder / place / "train" / "b" / f"x{suffix}",
            folder / place / "train" / "b" / os.fsdecode(b"caf\xe9" + suffix.encode()),
        )
    done = prepare(folder, tmp_path / "out", size=60, workers=0)
    assert [line.partition(";")[0] for line in done.failed] == [
        r"'images/train/b/caf\udce9.jpg': the name is not in UTF-8"
    ]
    assert [pair.image.name for pair in done.splits["train"]] == ["x.jpg"]
    assert {pair.image for found in find_splits(tmp_path / "out").values() for pair in found.pairs} == {
        pair.image for pairs in done.splits.values() for pair in pairs
    }


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_where_no_name_is_in_utf_8_that_is_the_reason(tmp_path):
    name = os.fsdecode(b"caf\xe9")
    save(tmp_path / "set" / "images" / f"{name}.jpg", photo(0))
    save(tmp_path / "set" / "masks" / f"{name}.png", disc())
    with pytest.raises(ValueError, match="none of the pairs can be listed\n'.*': the name is not in UTF-8"):
        prepare(tmp_path / "set", tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


def test_files_without_a_partner_are_told(folder, tmp_path):
    (folder / "masks" / "train" / "b" / "x.png").unlink()
    done = prepare(folder, tmp_path / "out", size=60, workers=0)
    assert done.left_out == ["left out of train: photos without a ground truth: 1 (x.jpg)"]


def test_persons_come_along_from_beside_a_manifest(folder, tmp_path):
    write_manifest(folder / "list.csv", {split: found.pairs for split, found in find_splits(folder).items()})
    (folder / "meta.csv").write_text("image_name,user_id\na/x,anna\nb/x,ben\n")
    done = prepare(folder / "list.csv", tmp_path / "out", size=60, workers=0)
    assert user_ids(tmp_path / "out", done.splits["train"]) == {"anna", "ben"}


def test_a_killed_process_leaves_whole_files_and_is_gone_on_from(tmp_path):
    for seed in range(40):
        save(tmp_path / "set" / "images" / "train" / f"{seed}.jpg", photo(seed, 900, 600))
        save(tmp_path / "set" / "masks" / "train" / f"{seed}.png", disc(900, 600))
    out = tmp_path / "out"
    command = [sys.executable, "-m", "helpers.datasets", "prepare", str(tmp_path / "set"), str(out), "--size", "90"]
    with subprocess.Popen([*command, "--workers", "0"], cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len([*out.glob("masks/*/*.png")]) < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
    begun = contents(out)
    assert 3 <= len([*out.glob("masks/*/*.png")]) < 40
    assert not (out / "manifest.csv").exists()
    for path in (*out.glob("images/*/*.jpg"), *out.glob("masks/*/*.png")):
        assert max(read_photo(path).shape) == 90
    prepare(tmp_path / "set", out, size=90, workers=0)
    prepare(tmp_path / "set", tmp_path / "whole", size=90, workers=0)
    done, whole = contents(out), contents(tmp_path / "whole")
    assert {path: data for path, (data, _) in done.items()} == {path: data for path, (data, _) in whole.items()}
    assert sum(done.get(path) == file for path, file in begun.items()) >= 6  # three pairs were kept


def test_a_mask_that_is_to_be_read_otherwise_is_copied_anew(tmp_path):
    save(tmp_path / "set" / "a.jpg", photo(0))
    save(tmp_path / "set" / "a.png", np.where(disc() > 127, 3, 0).astype(np.uint8))
    copies = []
    for reading in ("grey", "classes", "classes"):
        (tmp_path / "set" / "manifest.csv").write_text(f"image,mask,reading\na.jpg,a.png,{reading}\n", encoding="utf-8")
        done = prepare(tmp_path / "set", tmp_path / "out", size=200, workers=0)
        pair = done.splits["train"][0]
        copies.append((int(read_pair(pair)[1].max()), pair.truth.stat().st_ino, [kind for kind, _ in done.remarks]))
        if len(copies) == 1:  # as an earlier version left it
            record = json.loads((tmp_path / "out" / "prepared.json").read_text())
            (tmp_path / "out" / "prepared.json").write_text(
                json.dumps({key: record[key] for key in ("source", "size", "truth", "layout")})
            )
    assert [most for most, _, _ in copies] == [3, 255, 255]
    assert copies[1][1] == copies[2][1]  # not once more


def test_remarks_on_what_is_copied_already_are_made_again(tmp_path):
    save(tmp_path / "set" / "images" / "a.jpg", photo(0))
    save(tmp_path / "set" / "masks" / "a.png", disc() // 4)
    first, second = (prepare(tmp_path / "set", tmp_path / "out", size=60, workers=0).remarks for _ in range(2))
    assert [kind for kind, _ in first] == [Remark.FAINT] and first == second
    record = json.loads((tmp_path / "out" / "prepared.json").read_text())
    (tmp_path / "out" / "prepared.json").write_text(json.dumps(record | {"remarks": {}}))  # as after an interruption
    assert prepare(tmp_path / "set", tmp_path / "out", size=60, workers=0).remarks == first


# ---------------------------------------------------------------------------------------------------- errors and limits


def test_unreadable_pairs_are_told_and_left_out(folder, tmp_path):
    (folder / "images" / "train" / "a" / "x.jpg").write_bytes(b"moved")
    save(folder / "masks" / "val" / "a" / "y.z.png", disc(10, 10))
    done = prepare(folder, tmp_path / "out", size=60, workers=0)
    assert [len(done.splits[split]) for split in ("train", "val")] == [1, 0]
    assert "a/x.jpg: not a readable picture" in done.failed[0]
    assert "y.z.png: 10×10 pixels" in done.failed[1]
    assert names(tmp_path / "out") == ["images/train/b/x.jpg", "manifest.csv", "masks/train/b/x.png", "prepared.json"]
    save(folder / "images" / "train" / "a" / "x.jpg", photo(0))
    assert len(prepare(folder, tmp_path / "out", size=60, workers=0).splits["train"]) == 2


def test_an_error_of_writing_is_not_blamed_on_the_pair(folder, tmp_path):
    (tmp_path / "out").mkdir()
    prepare(folder, tmp_path / "out", size=60, workers=0)
    shutil.rmtree(tmp_path / "out" / "images")
    (tmp_path / "out" / "images").touch()
    with pytest.raises(OSError, match="images"):
        prepare(folder, tmp_path / "out", size=60, workers=0)


def test_another_size_or_source_is_refused(folder, tmp_path):
    out = tmp_path / "out"
    prepare(folder, out, size=60, workers=0)
    before = contents(out)
    shutil.copytree(folder, tmp_path / "other")
    for source, size in ((folder, 61), (tmp_path / "other", 60)):
        with pytest.raises(FileExistsError, match='out: holds .*"size": 60.*nothing in it was changed'):
            prepare(source, out, size=size, workers=0)
    assert contents(out) == before
    assert json.loads((out / "prepared.json").read_text())["source"] == str(folder)


def test_a_folder_with_other_files_is_refused(folder, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("dear")
    with pytest.raises(FileExistsError, match="out: holds other files"):
        prepare(folder, tmp_path / "out", workers=0)
    assert names(tmp_path / "out") == ["letter.txt"]


@pytest.mark.parametrize("inside", [".", "out", "images/out", "../set/out", "../link/out"])
def test_a_copy_inside_the_original_is_refused(inside, folder, tmp_path):
    (tmp_path / "link").symlink_to(folder)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match="choose another folder"):
        prepare(folder, folder / inside, workers=0)
    assert contents(tmp_path) == before


def test_two_photos_never_become_one(folder, tmp_path):
    save(folder / "images" / "train" / "a" / "x.webp", photo(9))
    pairs = [Pair(folder / "images" / "train" / "a" / name, folder / "masks" / "train" / "a" / "x.png", "grey")
             for name in ("x.jpg", "x.webp")]  # fmt: skip
    write_manifest(folder / "manifest.csv", {"train": pairs, "val": pairs[:0]})
    with pytest.raises(ValueError, match=r"x\.webp and .*x\.jpg would both become .*x\.jpg; rename one"):
        prepare(folder, tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("settings", [{"size": 0}, {"layout": "unheard-of"}])
def test_impossible_settings_write_nothing(settings, folder, tmp_path):
    with pytest.raises(ValueError, match="size is 0|unheard-of"):
        prepare(folder, tmp_path / "out", workers=0, **settings)
    assert not (tmp_path / "out").exists()


def test_a_data_set_without_pairs_writes_nothing(folder, tmp_path):
    shutil.rmtree(folder / "masks")
    (folder / "masks" / "train").mkdir(parents=True)
    save(folder / "masks" / "train" / "other.png", disc())
    with pytest.raises(FileNotFoundError):
        prepare(folder, tmp_path / "out", workers=0)
    with pytest.raises(FileNotFoundError):
        prepare(tmp_path / "nowhere", tmp_path / "out", workers=0)
    assert not (tmp_path / "out").exists()
