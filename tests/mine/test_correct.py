"""Strokes hold exactly, the unsure band is solved from the photo, and what is saved is never overwritten unseen."""

import csv
import os
import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from helpers.datasets.layouts import find_pairs, recognise
from helpers.datasets.pairs import read_pair
from helpers.mine.correct import (
    CONFIRMED,
    CORRECTED,
    KEEP,
    OWN,
    REMOVE,
    UNSURE,
    WAITING,
    Corrections,
    OwnMask,
    Stale,
    corrected,
)
from helpers.mine.lines import Line
from helpers.mine.project import Photo, Project, stamp_of
from helpers.mine.solve import solve_alpha


@pytest.fixture
def project(tmp_path):
    """Three photos of 40 × 30 pixels, proposed as their left half; the third has a mask of its owner's."""
    folder = tmp_path / "photos"
    folder.mkdir()
    project = Project.open(folder)
    half = np.zeros((30, 40), np.uint8)
    half[:, :20] = 255
    for number, name in enumerate("abc"):
        pixels = np.random.default_rng(number).integers(0, 256, (30, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{name}.png")
        project.proposal(name).parent.mkdir(exist_ok=True)
        Image.fromarray(half).save(project.proposal(name))
        project.photos[name] = Photo(name, f"{name}.png", (30, 40), stamp_of(folder / f"{name}.png"), name == "b")
    Image.fromarray(255 - half).save(folder / "c_mask.png")
    project.set("c", mask="c_mask.png", reading="grey")
    project.save()
    return project


def strokes(*parts):
    painted = np.zeros((30, 40), np.uint8)
    for label, rows, columns in parts:
        painted[rows, columns] = label
    return painted


def test_what_is_painted_holds_exactly_and_all_else_stays(project):
    corrections = Corrections(project)
    painted = strokes((KEEP, slice(5), slice(30, 40)), (REMOVE, slice(20, 30), slice(10)))
    revision, matte = corrections.save("a", painted)
    assert revision == 1
    expected = corrections.base("a")
    expected[:5, 30:] = 1
    expected[20:, :10] = 0
    assert np.array_equal(matte, expected)
    assert np.array_equal(Corrections(project).matte("a"), expected)
    assert np.array_equal(corrections.strokes("a"), painted)


def test_it_is_saved_as_a_pair_with_a_line(project):
    corrections = Corrections(project)
    corrections.save("a", strokes((KEEP, slice(5), slice(30, 40))))
    corrections.confirm("b")
    assert recognise(corrections.folder) == "pairs"
    [pair] = find_pairs(corrections.folder, "train")
    photo, alpha = read_pair(pair)
    with Image.open(project.folder / "a.png") as own:
        assert np.array_equal(photo, np.asarray(own))
    assert np.array_equal(alpha, corrections.matte("a") * 255)
    [kept_out] = find_pairs(corrections.folder, "val")
    assert kept_out.image.stem == "b"
    with open(corrections.table, encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["photo"], row["how"], row["revision"]) for row in rows] == [
        ("a", CORRECTED, "1"), ("b", CONFIRMED, "1"),
    ]  # fmt: skip


def test_strokes_of_another_size_are_enlarged_pixel_by_pixel():
    base, photo = np.zeros((30, 40), np.float32), np.zeros((30, 40, 3), np.uint8)
    painted = np.zeros((15, 20), np.uint8)
    painted[3, 4] = KEEP
    matte = corrected(base, painted, photo)
    assert matte[6:8, 8:10].min() == 1
    assert matte.sum() == 4


def soft_disc(side=120):
    """A photo with a disc whose edge is 20 pixels soft, and its true alpha."""
    y, x = np.mgrid[:side, :side]
    true = np.clip((side / 4 - np.hypot(y - side / 2, x - side / 2)) / 20 + 0.5, 0, 1).astype(np.float32)
    photo = true[..., None] * [200, 60, 40] + (1 - true[..., None]) * [20, 90, 220]
    return photo.round().astype(np.uint8), true


def test_where_it_is_unsure_the_matte_is_solved_from_the_photo():
    photo, true = soft_disc()
    base = (true >= 0.5).astype(np.float32)
    y, x = np.mgrid[:120, :120]
    unsure = np.abs(np.hypot(y - 60, x - 60) - 30) < 15
    solved = solve_alpha(base, unsure, photo)
    assert np.array_equal(solved[~unsure], base[~unsure])
    assert np.abs(base - true)[unsure].mean() > 0.1
    assert np.abs(solved - true)[unsure].mean() < 0.02


def test_a_large_band_is_solved_smaller_and_is_as_good(monkeypatch):
    photo, true = soft_disc(160)
    base = (true >= 0.5).astype(np.float32)
    y, x = np.mgrid[:160, :160]
    unsure = np.abs(np.hypot(y - 80, x - 80) - 40) < 15
    monkeypatch.setattr("helpers.mine.solve.MOST", 60 * 60)
    solved = solve_alpha(base, unsure, photo)
    assert np.array_equal(solved[~unsure], base[~unsure])
    assert np.abs(solved - true)[unsure].mean() < 0.03


def test_where_everything_is_unsure_nothing_changes():
    photo, true = soft_disc(60)
    assert np.array_equal(solve_alpha(true, np.ones((60, 60), bool), photo), true)


def test_keep_and_remove_hold_beside_an_unsure_band(project):
    painted = strokes((UNSURE, slice(10, 20), slice(15, 25)), (KEEP, slice(12, 14), slice(22, 24)))
    _, matte = Corrections(project).save("a", painted)
    assert (matte[12:14, 22:24] == 1).all()
    outside = painted != UNSURE
    assert set(np.unique(matte[outside])) == {0, 1}


def test_two_windows_do_not_overwrite_each_other_unseen(project):
    first, second = Corrections(project), Corrections(Project.open(project.folder, project.work))
    revision, _ = first.save("a", strokes((KEEP, slice(5), slice(30, 40))), seen=0)
    before = first.matte("a")
    for change in (lambda: second.save("a", strokes((REMOVE, slice(5), slice(5))), seen=0),
                   lambda: second.confirm("a", seen=0), lambda: second.reset("a", seen=0)):  # fmt: skip
        with pytest.raises(Stale, match=r"a\.png: changed in another window"):
            change()
    assert np.array_equal(first.matte("a"), before)
    second.save("a", strokes((REMOVE, slice(5), slice(5))), seen=revision)


def test_many_at_a_time_lose_nothing(project):
    corrections = [Corrections(project) for _ in range(6)]
    done = []

    def save(each, name):
        done.append(each.save(name, strokes((KEEP, slice(5), slice(30, 40))))[0])

    threads = [threading.Thread(target=save, args=(each, "ab"[i % 2])) for i, each in enumerate(corrections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == [1, 1, 2, 2, 3, 3]
    assert {name: line.revision for name, line in corrections[0].lines().items()} == {"a": 3, "b": 3}


def test_a_reset_waits_again_and_brings_the_proposal_back(project):
    corrections = Corrections(project)
    corrections.save("a", strokes((KEEP, slice(5), slice(30, 40))))
    assert corrections.how("a") == CORRECTED
    assert corrections.reset("a", seen=1) == 2
    assert corrections.how("a") == WAITING
    assert corrections.strokes("a") is None
    assert np.array_equal(corrections.matte("a"), corrections.base("a"))


def test_a_reset_keeps_the_files_that_a_training_reads_and_they_count_no_longer(project):
    corrections = Corrections(project)
    corrections.save("a", strokes((KEEP, slice(5), slice(30, 40))))
    pair = corrections.pair(project.photos["a"], corrections.lines())
    before = pair.truth.read_bytes()
    corrections.reset("a")
    assert pair.truth.read_bytes() == before
    assert corrections.pair(project.photos["a"], corrections.lines()) is None
    corrections.confirm("a")
    assert np.array_equal(read_pair(pair)[1], corrections.base("a") * 255)


def changed(project, name="a", size=(30, 40)):
    """Another photo in the file of an earlier one, and the project as it is after another look; its pixels."""
    pixels = np.full((*size, 3), 7, np.uint8)
    Image.fromarray(pixels).save(project.folder / f"{name}.png")
    Image.fromarray(np.full(size, 255, np.uint8)).save(project.proposal(name))
    project.set(name, stamp=stamp_of(project.folder / f"{name}.png"), size=size)
    return pixels


@pytest.mark.parametrize("size", [(30, 40), (60, 20)])
def test_a_photo_whose_file_has_changed_waits_again_and_its_next_pair_is_of_the_new_one(project, size):
    corrections = Corrections(project)
    corrections.save("a", strokes((REMOVE, slice(5), slice(20))))
    pixels = changed(project, size=size)
    assert corrections.how("a") == WAITING
    assert corrections.strokes("a") is None
    assert corrections.pair(project.photos["a"], corrections.lines()) is None
    assert corrections.forget_changed() == ["a"]
    assert not list((project.work / "strokes").iterdir())
    assert (corrections.how("a"), corrections.revision("a")) == (WAITING, 2)
    assert corrections.forget_changed() == []
    corrections.confirm("a")
    photo, alpha = read_pair(corrections.pair(project.photos["a"], corrections.lines()))
    assert np.array_equal(photo, pixels)
    assert np.array_equal(alpha, np.full(size, 255))


def test_strokes_on_an_earlier_file_do_not_come_back_with_a_confirmation(project):
    corrections = Corrections(project)
    corrections.save("a", strokes((REMOVE, slice(5), slice(20))))
    changed(project)
    corrections.confirm("a")
    assert (corrections.how("a"), corrections.strokes("a")) == (CONFIRMED, None)


def test_a_file_with_the_same_bytes_and_another_date_is_the_same_photo(project):
    corrections = Corrections(project)
    painted = strokes((REMOVE, slice(5), slice(20)))
    corrections.save("a", painted)
    os.utime(project.folder / "a.png", ns=(0, 0))
    project.set("a", stamp=stamp_of(project.folder / "a.png"))
    assert corrections.forget_changed() == []
    assert (corrections.how("a"), corrections.revision("a")) == (CORRECTED, 1)
    assert np.array_equal(corrections.strokes("a"), painted)


def test_nothing_is_saved_on_a_file_that_has_changed_since_it_was_looked_at(project):
    shutil.copy(project.folder / "b.png", project.folder / "a.png")
    corrections = Corrections(project)
    for change in (lambda: corrections.save("a", strokes()), lambda: corrections.confirm("a")):
        with pytest.raises(ValueError, match=r"a\.png: the file has changed"):
            change()
    assert corrections.lines() == {}


def without_stamps(corrections):
    """Write corrected.csv as earlier versions did."""
    rows = [line[:-1] for line in corrections.lines().values()]
    with open(corrections.table, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([Line._fields[:-1], *rows])


def test_a_list_without_stamps_is_read_and_its_photos_are_compared_byte_by_byte(project):
    corrections = Corrections(project)
    for name in "ab":
        corrections.confirm(name)
    without_stamps(corrections)
    assert [corrections.how(name) for name in "ab"] == [CONFIRMED, CONFIRMED]
    pixels = changed(project)
    assert corrections.forget_changed() == ["a"]
    assert [corrections.how(name) for name in "ab"] == [WAITING, CONFIRMED]
    assert corrections.lines()["b"].stamp == "{}-{}".format(*project.photos["b"].stamp)
    corrections.confirm("a")
    assert np.array_equal(read_pair(corrections.pair(project.photos["a"], corrections.lines()))[0], pixels)


def test_a_mask_of_the_owners_is_taken_over_and_replaced_only_if_told(project):
    corrections = Corrections(project)
    own = (project.folder / "c_mask.png").read_bytes()
    assert corrections.how("c") == OWN
    assert corrections.base("c")[:, 30:].min() == 1
    painted = strokes((REMOVE, slice(5), slice(30, 40)))
    with pytest.raises(OwnMask, match="c_mask"):
        corrections.save("c", painted)
    assert corrections.how("c") == OWN
    corrections.save("c", painted, replace_own=True)
    assert corrections.how("c") == CORRECTED
    corrections.save("c", painted)  # asked once
    assert corrections.matte("c")[:5, 30:].max() == 0
    assert (project.folder / "c_mask.png").read_bytes() == own


@pytest.mark.parametrize("file", ["masks/train/a.png", "corrected.csv"])
def test_a_disk_that_is_full_leaves_what_was_there(project, monkeypatch, file):
    corrections = Corrections(project)
    corrections.save("a", strokes((KEEP, slice(5), slice(30, 40))))
    files = {path: path.read_bytes() for path in corrections.folder.rglob("*.*") if path.is_file()}

    def full(source, target, replace=os.replace):
        if str(target).endswith(file):
            raise OSError(28, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr("helpers.files.atomic.os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        corrections.save("a", strokes((REMOVE, slice(20), slice(20))))
    assert (corrections.folder / file).read_bytes() == files[corrections.folder / file]
    assert {path for path in corrections.folder.rglob("*.*") if path.is_file()} == set(files)


def test_a_damaged_line_is_named(project):
    corrections = Corrections(project)
    corrections.confirm("a")
    corrections.table.write_text(corrections.table.read_text().replace(",1,", ",one,"))
    with pytest.raises(ValueError, match=r"corrected\.csv, line 2"):
        corrections.lines()


# ------------------------------------------------------------------------------------------------- what strokes lie on


@pytest.mark.parametrize("accept", ["confirm", "save", "replace"])
def test_a_stroke_goes_on_from_what_was_accepted_whatever_is_proposed_later(accept, project):
    corrections = Corrections(project)
    other = np.random.default_rng(5).integers(0, 256, (30, 40), np.uint8)
    if accept == "replace":
        corrections.replace("a", other / np.float32(255))
    elif accept == "save":
        corrections.save("a", strokes((KEEP, slice(5), slice(30, 40))))
    else:
        corrections.confirm("a")
    accepted = corrections.matte("a")
    Image.fromarray(255 - other).save(project.proposal("a"))  # by another network
    painted = strokes() if corrections.strokes("a") is None else corrections.strokes("a")
    painted[29, 0] = REMOVE
    matte = corrections.save("a", painted)[1]
    accepted[29, 0] = 0
    assert np.array_equal(matte, accepted)


def test_a_matte_made_elsewhere_and_a_reset_drop_the_strokes(project):
    corrections = Corrections(project)
    proposed = corrections.base("a")
    corrections.save("a", strokes((REMOVE, slice(5), slice(20))))
    corrections.replace("a", np.ones((30, 40), np.float32))
    assert corrections.strokes("a") is None
    assert (corrections.base("a") == 1).all()
    corrections.reset("a")
    assert np.array_equal(corrections.base("a"), proposed)
    assert np.array_equal(corrections.matte("a"), proposed)


@pytest.mark.parametrize("accept", ["confirm", "save"])
def test_strokes_of_a_save_that_was_cut_off_do_not_count(accept, project, monkeypatch):
    corrections = Corrections(project)
    with monkeypatch.context() as patch:
        patch.setattr(Corrections, "_write", lambda *_: 1 / 0)  # as if the process were killed there
        with pytest.raises(ZeroDivisionError):
            corrections.save("a", strokes((REMOVE, slice(5), slice(20))))
    other = np.random.default_rng(5).integers(0, 256, (30, 40), np.uint8)
    Image.fromarray(other).save(project.proposal("a"))
    if accept == "confirm":
        corrections.confirm("a")
        assert (corrections.how("a"), corrections.strokes("a")) == (CONFIRMED, None)
    else:
        corrections.save("a", strokes((KEEP, slice(5), slice(30, 40))))
    assert np.array_equal(corrections.base("a"), (other / 255).astype(np.float32))
