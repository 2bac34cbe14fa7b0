"""Which output belongs to which photo, and the work on many."""

import gc
import os
import threading
import time
import unicodedata
import weakref
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
from fake_matter import LeftHalf
from PIL import Image
from tqdm import tqdm

from helpers.cutout.batch import _Room, cut_bytes, cut_files, plan, reason_of
from helpers.cutout.output import Look
from helpers.files.photos import open_picture


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """`photos("a.jpg", …)` makes empty files below a new folder `in`, which is where we are; returns that folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def make(*names):
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        return folder

    return make


def planned(paths, out=None):
    """{photo: its output}, both as text."""
    found = plan(paths, out)
    assert not found.skipped
    return {str(photo): str(target) for photo, target in found.outputs}


# ---------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name, output", [
    ("photo.jpeg", "photo.png"), ("a.b.jpg", "a.b.png"), ("IMG 1.JPG", "IMG 1.png"), ("Zoë.webp", "Zoë.png"),
    ("写真.heic", "写真.png"), ("no extension", "no extension.png"), ("12.5.2024", "12.5.2024.png"),
    ("photo.png", "photo.png"),
])  # fmt: skip
def test_an_output_has_the_whole_name_of_its_photo(name, output, photos):
    photos(name)
    assert planned([name], "out") == {name: f"out/{output}"}


def test_without_a_place_cutouts_are_beside_the_photos(photos):
    folder = photos("photo.jpg", "sub/a.b.jpg")
    assert planned(["photo.jpg", "sub/a.b.jpg"]) == {
        "photo.jpg": "photo_cutout.png", "sub/a.b.jpg": "sub/a.b_cutout.png"}  # fmt: skip
    assert planned(["sub"]) == {"sub/a.b.jpg": f"{folder}/sub_cutouts/a.b.png"}
    assert planned(["."])["photo.jpg"] == f"{folder}_cutouts/photo.png"


def test_one_photo_may_be_given_the_name_of_its_cutout(photos):
    photos("photo.jpg")
    assert planned(["photo.jpg"], "out/mine.PNG") == {"photo.jpg": "out/mine.PNG"}


def test_sub_folders_are_mirrored_and_whatever_is_no_photo_is_passed_over(photos):
    photos("b.png", "a.jpg", "x/y/c.jpg", "notes.txt", ".hidden.jpg", ".git/d.jpg", "__MACOSX/e.jpg", "x/clip.mp4")
    (Path("x") / "folder.jpg").mkdir()
    assert planned(["."], "out") == {"a.jpg": "out/a.png", "b.png": "out/b.png", "x/y/c.jpg": "out/x/y/c.png"}
    assert [str(path) for path in plan(["."], "out").passed_over] == ["notes.txt", "x/clip.mp4"]


def test_photos_of_one_name_are_told_apart(photos):
    photos("photo.jpg", "photo.png", "PHOTO.webp", "other.jpg")
    assert planned(["."], "out") == {
        "PHOTO.webp": "out/PHOTO.webp.png", "other.jpg": "out/other.png",
        "photo.jpg": "out/photo.jpg.png", "photo.png": "out/photo.png.png"}  # fmt: skip


def test_also_those_whose_second_name_is_taken(photos):
    photos("a/photo.jpg", "b/photo.jpg", "c/photo.jpg.webp")
    assert planned(["c", "b", "a"], "out") == {
        "c/photo.jpg.webp": "out/photo.jpg.png", "b/photo.jpg": "out/photo.jpg-2.png",
        "a/photo.jpg": "out/photo.jpg-3.png"}  # fmt: skip


def test_letters_that_a_disk_may_take_for_the_same_are_the_same(photos):
    photos("Zoë.jpg", "Zoe\u0308.png")  # one letter, or a letter and its dots
    assert set(planned(["."], "out").values()) == {"out/Zoë.jpg.png", "out/Zoe\u0308.png.png"}


@pytest.mark.parametrize("names", [("A.jpg", "a.jpg", "a.png"), ("é.jpg", "e\u0301.jpg")])
def test_photos_whose_names_differ_by_case_or_form_alone_are_all_cut_out(names, photos):
    folder = photos(*names)
    if len(list(folder.iterdir())) < len(names):
        pytest.skip("this disk takes them for the same")
    outputs = planned(["."], "out")
    assert outputs.keys() == set(names)
    assert len({unicodedata.normalize("NFC", output).casefold() for output in outputs.values()}) == len(names)


def test_a_photo_that_is_given_twice_is_cut_out_once(photos):
    folder = photos("x/photo.jpg", "x/y/photo.jpg")
    assert planned(["x/photo.jpg", "x", "x/y/../photo.jpg", folder / "x"], "out") == {
        "x/photo.jpg": "out/photo.png", "x/y/photo.jpg": "out/y/photo.png"}  # fmt: skip


def test_no_photo_is_overwritten_in_its_own_folder(photos):
    photos("a.jpg", "b.png", "b.png.png", "C.PNG")
    targets = planned(["."], ".")
    assert targets == {"C.PNG": "C.PNG.png", "a.jpg": "a.png", "b.png": "b.png-2.png", "b.png.png": "b.png.png.png"}
    assert planned(["b.png"], ".") == {"b.png": "b.png.png"}
    assert planned(["b.png"], Path("..") / "in") == {"b.png": "../in/b.png.png"}


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_nor_is_one_overwritten_by_way_of_a_link(photos, tmp_path):
    photos("photo.png")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    assert planned(["photo.png"], tmp_path / "link") == {"photo.png": f"{tmp_path}/link/photo.png.png"}
    with pytest.raises(ValueError, match="is the photo itself"):
        plan(["photo.png"], tmp_path / "link" / "photo.png")


def test_cutouts_of_an_earlier_run_are_not_cut_out_again(photos):
    photos("a.jpg", "out/a.png", "out/x/b.png", "x/out/c.jpg")
    assert planned(["."], "out") == {"a.jpg": "out/a.png", "x/out/c.jpg": "out/x/out/c.png"}


@pytest.mark.parametrize("paths, out, error, reason", [
    (["nowhere.jpg"], None, FileNotFoundError, "nowhere.jpg: no such file"),
    (["nowhere.jpg"], "out.png", FileNotFoundError, "nowhere.jpg: no such file"),
    (["photo.jpg", "nowhere"], "out", FileNotFoundError, "nowhere: no such file"),
    (["empty"], None, FileNotFoundError, r"empty: no photos there \(.*\.jpg.*\.webp"),
    (["photo.jpg", "other.jpg"], "out.png", ValueError, "out.png: must be a folder, or end in .png to be"),
    (["full"], "out.png", ValueError, "out.png: must be a folder"),
    (["photo.jpg"], "out.jpg", ValueError, "out.jpg: must be a folder"),
    (["photo.jpg"], "notes.txt", ValueError, "notes.txt: must be a folder"),
    (["other.png"], "other.png", ValueError, "other.png: is the photo itself"),
    (["other.png"], "../in/OTHER.png", ValueError, "OTHER.png: is the photo itself"),
])  # fmt: skip
def test_what_cannot_be_planned_is_refused(paths, out, error, reason, photos):
    photos("photo.jpg", "other.jpg", "other.png", "notes.txt", "empty/notes.txt", "full/photo.jpg")
    with pytest.raises(error, match=reason):
        plan(paths, out)


def test_a_folder_that_cannot_be_read_is_named(photos, monkeypatch):
    photos("a.jpg", "locked/b.jpg")
    scan = os.scandir

    def denied(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", denied)
    found = plan(["."], "out")
    assert [photo.name for photo, _ in found.outputs] == ["a.jpg"]
    assert found.skipped == [f"skipped: {Path('locked')}: Permission denied; allow reading it"]
    with pytest.raises(FileNotFoundError, match="locked: Permission denied; allow reading it; no photos in what could"):
        plan(["locked"], "out")


def test_beside_a_whole_drive_nothing_can_be_written(tmp_path):
    with pytest.raises(ValueError, match="no folder can lie beside a whole drive.*-o FOLDER"):
        plan([tmp_path.anchor])


# ----------------------------------------------------------------------------------------------------------------- work


def save(path, size=(20, 10)):
    Image.new("RGB", size, (200, 10, 10)).save(path)
    return path


def test_every_photo_that_can_be_read_is_cut_out(tmp_path, capsys):
    outputs = [(save(tmp_path / f"{name}.png"), tmp_path / "out" / name / f"{name}.png") for name in "abc"]
    (tmp_path / "b.png").write_bytes(b"")
    outcome = cut_files(LeftHalf(), outputs, Look(), jobs=2)
    assert (outcome.done, len(outcome.skipped)) == (2, 1)
    assert outcome.skipped[0].startswith(f"skipped: {tmp_path / 'b.png'}: not a readable picture")
    assert outcome.skipped[0] in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("out/**/*.*")) == ["a.png", "c.png"]
    cutout = np.asarray(open_picture(tmp_path / "out" / "a" / "a.png"))
    assert cutout.shape == (10, 20, 4)
    assert np.array_equal(np.unique(cutout[:, :10].reshape(-1, 4), axis=0), [[200, 10, 10, 255]])
    assert not cutout[:, 10:].any()


def test_the_outcome_is_told_in_one_line(tmp_path):
    outcome = cut_files(LeftHalf(), [(save(tmp_path / "a.png"), tmp_path / "b.png")], Look(), jobs=1)
    assert str(outcome._replace(done=3, skipped=["one"], seconds=2.0)) == "3 done, 1 skipped, 1.50 images/s"
    assert outcome.seconds > 0


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_as_many_photos_are_worked_on_at_a_time_as_jobs_are_given(jobs, tmp_path):
    """All threads meet within `alpha`: with fewer than `jobs` they would wait there in vain."""
    meeting = threading.Barrier(jobs, timeout=20)

    class Meeting(LeftHalf):
        def alpha(self, photo):
            meeting.wait()
            return super().alpha(photo)

    photo = save(tmp_path / "a.png")
    outcome = cut_files(Meeting(), [(photo, tmp_path / f"{n}.png") for n in range(6)], Look("mask"), jobs)
    assert (outcome.done, outcome.skipped) == (6, [])


def test_only_as_many_pixels_are_worked_on_at_a_time_as_there_is_room_for(tmp_path, monkeypatch):
    """20 photos of 1 to 20 pixels in room for 12, by 8 threads: larger ones are alone."""
    monkeypatch.setattr("helpers.cutout.batch.PIXELS_AT_ONCE", 12)
    lock, inside, seen = threading.Lock(), [], []

    class Counting(LeftHalf):
        def alpha(self, photo):
            with lock:
                inside.append(photo.width)
                seen.append(list(inside))
            time.sleep(0.01)  # for others to come in if they may
            alpha = super().alpha(photo)
            with lock:
                inside.remove(photo.width)
            return alpha

    outputs = [(save(tmp_path / f"{n}.png", (n, 1)), tmp_path / f"{n}-out.png") for n in range(1, 21)]
    assert cut_files(Counting(), outputs, Look("mask"), jobs=8).done == 20
    assert all(sum(widths) <= 12 or len(widths) == 1 for widths in seen)
    assert any(len(widths) > 1 for widths in seen)


def test_room_is_given_back_whatever_happens():
    room = _Room(10)
    for _ in range(3):
        with pytest.raises(RuntimeError), room.for_pixels(99):
            assert room.free == 0
            raise RuntimeError
    with room.for_pixels(4), room.for_pixels(6):
        assert room.free == 0
    assert room.free == 10


def test_a_target_that_cannot_be_written_is_named_and_skipped(tmp_path):
    photo = save(tmp_path / "a.png")
    targets = [tmp_path / name for name in ("read-only.png", "folder.png", "file/b.png")]
    targets[0].write_bytes(b"mine")
    targets[0].chmod(0o444)
    (targets[1] / "full").mkdir(parents=True)
    targets[2].parent.touch()
    before = sorted(tmp_path.rglob("*"))
    outcome = cut_files(LeftHalf(), [(photo, target) for target in targets], Look(), jobs=1)
    assert outcome.done == 0
    assert all(line.startswith("skipped: ") and str(photo) in line for line in outcome.skipped)
    assert "read-only.png is read-only" in outcome.skipped[0]
    assert targets[0].read_bytes() == b"mine"
    assert sorted(tmp_path.rglob("*")) == before


def test_whatever_goes_wrong_with_one_photo_leaves_the_others_alone(tmp_path):
    class Failing(LeftHalf):
        def alpha(self, photo):
            if photo.width == 3:
                raise MemoryError
            return super().alpha(photo)

    outputs = [(save(tmp_path / f"{n}.png", (n, 2)), tmp_path / f"{n}-out.png") for n in (2, 3, 4)]
    outcome = cut_files(Failing(), outputs, Look(), jobs=1)
    reason = "not enough memory; a smaller photo, or network input (--size), needs less"
    assert outcome.skipped == [f"skipped: {tmp_path / '3.png'}: {reason}"]
    assert sorted(path.name for path in tmp_path.glob("*-out.png")) == ["2-out.png", "4-out.png"]


def test_the_memory_of_a_photo_is_free_once_it_is_skipped(tmp_path):
    """Also while the others are still under way: an error that is kept keeps all that was there when it was raised."""
    seen = []

    class Failing(LeftHalf):
        def alpha(self, photo):
            gc.collect()
            assert not [one for one in seen if one() is not None]
            seen.append(weakref.ref(photo))
            raise RuntimeError("out of memory")

    photo = save(tmp_path / "a.png")
    outcome = cut_files(Failing(), [(photo, tmp_path / f"{n}.png") for n in range(3)], Look(), jobs=1)
    assert [line.partition("a.png: ")[2] for line in outcome.skipped] == ["out of memory"] * 3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
@pytest.mark.parametrize("kind", ["cutout", "mask", "trimap", "side-by-side"])
def test_the_narrowest_photos_are_cut_out(kind, size, tmp_path):
    outcome = cut_files(LeftHalf(), [(save(tmp_path / "a.png", size), tmp_path / "b.png")], Look(kind), jobs=1)
    assert outcome.skipped == []
    assert open_picture(tmp_path / "b.png").size == (size[0] * (2 if kind == "side-by-side" else 1), size[1])


def test_that_only_the_first_frame_is_cut_out_is_told(tmp_path, capsys):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    outcome = cut_files(LeftHalf(), [(tmp_path / "a.gif", tmp_path / "b.png")], Look(), jobs=1)
    assert (outcome.done, outcome.skipped) == (1, [])
    assert f"{tmp_path / 'a.gif'}: has several frames or pages; the first is cut out" in capsys.readouterr().err
    assert open_picture(tmp_path / "b.png").getpixel((0, 0)) == (255, 0, 0, 255)
    _, note = cut_bytes(LeftHalf(), (tmp_path / "a.gif").read_bytes(), Look(), "pipe")
    assert note == "pipe: has several frames or pages; the first is cut out"


def test_the_orientation_is_applied_and_not_written_again(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = Image.new("RGB", (20, 10), "blue")
    photo.paste("red", (0, 0, 10, 10))
    photo.save(tmp_path / "a.jpg", quality=100, exif=exif, dpi=(300, 300))
    cut_files(LeftHalf(), [(tmp_path / "a.jpg", tmp_path / "b.png")], Look("cutout", "white"), jobs=1)
    cutout = open_picture(tmp_path / "b.png")
    assert cutout.size == (10, 20)
    assert not cutout.getexif()
    assert cutout.info["dpi"] == pytest.approx((300, 300), abs=0.02)
    red, _, blue = np.moveaxis(np.asarray(cutout, int), -1, 0)
    assert (red > 200)[:9, :5].all()
    assert (blue > 200)[11:, :5].all()


def test_a_broken_photo_is_named_without_a_progress_bar_as_well(tmp_path, monkeypatch, capsys):
    """TQDM_DISABLE switches all bars off."""
    monkeypatch.setattr("tqdm.tqdm.__init__", partialmethod(tqdm.__init__, disable=True))
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    outputs = [(tmp_path / "broken.jpg", tmp_path / "x.png"), (save(tmp_path / "a.png"), tmp_path / "b.png")]
    assert cut_files(LeftHalf(), outputs, Look(), jobs=1).done == 1
    assert "broken.jpg: not a readable picture" in capsys.readouterr().err


def test_a_name_is_no_reason(tmp_path):
    photo = tmp_path / "allocated" / "a.jpg"
    assert reason_of(photo, ValueError(f"{photo}: not a readable picture")) == f"{photo}: not a readable picture"
    assert "not enough memory" in reason_of(photo, RuntimeError("[enforce fail] can't allocate memory: you tried to"))
