"""Every kind of problem is found and named; a clean data set has none."""

import numpy as np
import pytest
from PIL import Image

from helpers.datasets.check import Finding, Kind, Report, check
from helpers.datasets.ground_truth import Remark
from helpers.files.text import first_lines

SIDE = 48


def photo(seed, side=SIDE):
    """A photo like no other."""
    colours = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(colours).resize((side, side), Image.Resampling.BICUBIC)


def mask(value=1, side=SIDE):
    ids = np.zeros((side, side), np.uint8)
    ids[10:40, 10:40] = value
    return Image.fromarray(ids)


@pytest.fixture
def folder(tmp_path):
    """A clean data set in EasyPortrait's layout: six training, two validation and two test portraits, five persons."""
    lines = ["image_name,user_id"]
    for split, seeds in (("train", range(6)), ("val", (6, 7)), ("test", (8, 9))):
        for kind in ("images", "annotations"):
            (tmp_path / kind / split).mkdir(parents=True)
        for seed in seeds:
            photo(seed).save(tmp_path / "images" / split / f"{seed}.jpg", quality=95)
            mask().save(tmp_path / "annotations" / split / f"{seed}.png")
            lines.append(f"{seed}.jpg,person-{seed // 2}")
    (tmp_path / "meta.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_every_remark_is_a_kind_of_finding():
    assert set(map(str, Remark)) <= set(map(str, Kind))


def found(folder, **options):
    """What `check` finds, without the folder's own path: {(kind, split): [text]}."""
    result = {}
    for kind, split, text in check(folder, workers=0, **options).findings:
        result.setdefault((kind, split), []).append(text.replace(f"{folder}/", ""))
    return result


def test_a_clean_data_set_has_no_problems(folder):
    report = check(folder, workers=0)
    assert report == Report({"train": 6, "val": 2, "test": 2}, [])
    assert report.problems == 0
    assert str(report).endswith("\n\nno problems")


def test_processes_find_the_same(folder):
    (folder / "images" / "val" / "6.jpg").write_bytes(b"moved")
    photo(3).save(folder / "images" / "train" / "4.jpg", quality=95)
    reports = [check(folder, workers=workers) for workers in (0, 2)]
    assert str(reports[0]) == str(reports[1])
    assert reports[0].problems == 2


# ------------------------------------------------------------------------------------------------------------ each kind


def test_files_that_are_left_out(folder):
    (folder / "annotations" / "train" / "0.png").unlink()
    (folder / "images" / "val" / "6.jpg").unlink()
    photo(20).save(folder / "images" / "test" / "8.png")
    assert found(folder) == {
        (Kind.PHOTO_ALONE, "train"): ["images/train/0.jpg"],
        (Kind.TRUTH_ALONE, "val"): ["annotations/val/6.png"],
        (Kind.AMBIGUOUS, "test"): ["annotations/test/8.png", "images/test/8.jpg", "images/test/8.png"],
    }


@pytest.mark.parametrize("damage", ["empty", "half", "text", "gone"])
@pytest.mark.parametrize("name", ["images/val/6.jpg", "annotations/val/6.png"])
def test_unreadable_files_are_named_and_the_others_read(name, damage, folder):
    photo(3).save(folder / "images" / "val" / "7.jpg", quality=95)  # something to be found after it
    whole = (folder / name).read_bytes()
    (folder / name).write_bytes({"empty": b"", "half": whole[: len(whole) // 2]}.get(damage, b"moved"))
    if damage == "gone":
        (folder / name).unlink()
        (folder / name).symlink_to(folder / "nowhere.png")
    findings = found(folder)
    assert [*findings] == [(Kind.UNREADABLE, "val"), (Kind.LEAK, "val")]
    assert len(findings[Kind.UNREADABLE, "val"]) == 1
    assert name in findings[Kind.UNREADABLE, "val"][0]


def test_whatever_a_decoder_raises_is_told(folder, monkeypatch):
    def broken(path, least):
        raise IndexError("no such segment")

    monkeypatch.setattr("helpers.datasets.check.read_reduced", broken)
    assert found(folder)[Kind.UNREADABLE, "val"] == [
        f"images/val/{name}.jpg: IndexError('no such segment')" for name in (6, 7)
    ]


def test_sizes_that_differ(folder):
    mask(side=40).save(folder / "annotations" / "val" / "6.png")
    text = "annotations/val/6.png: 40×40 pixels, but its photo images/val/6.jpg has 48×48"
    assert found(folder) == {(Kind.SIZES, "val"): [text]}


def test_sizes_of_turned_and_reduced_photos_are_those_shown(folder):
    exif = Image.Exif()
    exif[0x0112] = 6
    large = photo(6, 1100).crop((0, 0, 1100, 900))
    large.save(folder / "images" / "val" / "6.jpg", exif=exif)
    mask(side=1100).crop((0, 0, 900, 1100)).save(folder / "annotations" / "val" / "6.png")
    assert found(folder) == {}


def test_a_truth_without_a_person_is_told_but_no_problem(folder):
    mask(0).save(folder / "annotations" / "train" / "0.png")
    assert found(folder) == {(Kind.EMPTY, "train"): ["annotations/train/0.png"]}
    report = check(folder, workers=0)
    assert report.problems == 0
    assert "ground truths without a person: 1 (no problem)" in str(report)


def test_class_ids_read_as_grey_values_are_noticed(folder):
    for split in ("train", "val", "test"):
        (folder / "mattes" / split).mkdir(parents=True)
        for path in (folder / "annotations" / split).iterdir():
            mask(8 if path.stem == "7" else 255).save(folder / "mattes" / split / path.name)
    assert found(folder, truth="mattes") == {(Kind.FAINT, "val"): ["mattes/val/7.png: at most 8 of 255"]}


def test_photos_twice_in_a_split_are_named_once(folder):
    bytes_of_1 = (folder / "images" / "train" / "1.jpg").read_bytes()
    (folder / "images" / "train" / "2.jpg").write_bytes(bytes_of_1)
    photo(1, 90).save(folder / "images" / "train" / "4.jpg", quality=60)
    mask(side=90).save(folder / "annotations" / "train" / "4.png")
    assert found(folder) == {(Kind.TWICE, "train"): [
        "images/train/2.jpg: the same file as images/train/1.jpg", "images/train/4.jpg: looks like images/train/1.jpg",
    ]}  # fmt: skip


def test_photos_in_two_splits_are_leaks(folder):
    bytes_of_1 = (folder / "images" / "train" / "1.jpg").read_bytes()
    (folder / "images" / "val" / "6.jpg").write_bytes(bytes_of_1)
    photo(1, 90).save(folder / "images" / "test" / "8.jpg", quality=60)
    mask(side=90).save(folder / "annotations" / "test" / "8.png")
    assert found(folder) == {
        (Kind.LEAK, "val"): ["images/val/6.jpg: the same file as images/train/1.jpg"],
        (Kind.LEAK, "test"): ["images/test/8.jpg: looks like images/train/1.jpg"],
    }


def test_a_copy_of_both_splits_is_a_leak(folder):
    for name in ("val/6.jpg", "val/7.jpg"):
        (folder / "images" / name).write_bytes((folder / "images" / "train" / "1.jpg").read_bytes())
    assert [*found(folder)] == [(Kind.LEAK, "val")]


def test_flat_photos_are_the_same_by_their_bytes_only(folder):
    for name, value in (("train/0", 100), ("train/1", 101), ("val/6", 100), ("val/7", 0), ("test/8", 255)):
        Image.new("RGB", (SIDE, SIDE), (value,) * 3).save(folder / "images" / f"{name}.jpg")
    assert found(folder) == {(Kind.LEAK, "val"): ["images/val/6.jpg: the same file as images/train/0.jpg"]}


def test_persons_in_two_splits_are_leaks_told_once(folder):
    table = (folder / "meta.csv").read_text()
    for old, new in (("6.jpg,person-3", "6.jpg,person-0"), ("7.jpg,person-3", "7.jpg,person-0"),
                     ("8.jpg,person-4", "8.jpg,person-2")):  # fmt: skip
        assert old in table
        table = table.replace(old, new)
    (folder / "meta.csv").write_text(table)
    assert found(folder) == {
        (Kind.SHARED_PERSON, "val"): ["images/val/6.jpg: person person-0, as images/train/0.jpg"],
        (Kind.SHARED_PERSON, "test"): ["images/test/8.jpg: person person-2, as images/train/4.jpg"],
    }


@pytest.mark.parametrize("meta", [None, "image_name,set\n0.jpg,train\n"])
def test_the_same_names_in_two_splits_are_not_the_same_persons(meta, folder):
    (folder / "meta.csv").unlink()
    if meta:
        (folder / "meta.csv").write_text(meta)
    for kind, suffix in (("images", "jpg"), ("annotations", "png")):
        (folder / kind / "val" / f"6.{suffix}").rename(folder / kind / "val" / f"0.{suffix}")
    assert found(folder) == {}


def test_a_folder_that_is_no_data_set_is_an_error(tmp_path):
    for place in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=place.name):
            check(place)


def test_a_manifest_of_another_computer_is_reported(folder):
    """Of its files, some are not here, and their folders neither."""
    rows = ("0.jpg,annotations/train/0.png", "gone/b.jpg,gone/b.png", "1.jpg,gone/1.png")
    table = "image,mask\n" + "".join(f"images/train/{row}\n" for row in rows)
    (folder / "manifest.csv").write_text(table)
    kinds = found(folder)
    assert kinds[Kind.MISSING, "train"] == ["images/train/gone/b.jpg"]
    assert kinds[Kind.PHOTO_ALONE, "train"] == ["images/train/1.jpg"]


# --------------------------------------------------------------------------------------------------------------- report


def test_the_report_counts_by_split_and_names_ten_of_each_kind():
    findings = [Finding(Kind.LEAK, "val", f"val/{i}.jpg: looks like train/{i}.jpg") for i in range(12)]
    report = Report({"train": 100, "val": 20}, [*findings, Finding(Kind.EMPTY, "train", "empty.png")])
    lines = str(report).splitlines()
    assert lines[0].split() == ["train", "val"]
    assert lines[1].split() == ["pairs", "100", "20"]
    width = max(map(len, Kind))
    end = 2 + len(Kind)
    assert [*Kind] == [line[:width].strip() for line in lines[2:end]]
    counts = {line[:width].strip(): line[width:].split() for line in lines[2:end]}
    assert counts.pop(Kind.LEAK) == ["0", "12"]
    assert counts.pop(Kind.EMPTY) == ["1", "0"]
    assert set(map(tuple, counts.values())) == {("0", "0")}
    assert lines[end:] == ["", "ground truths without a person: 1 (no problem)", "  empty.png", "",
                          "photos also in another split: 12", *(f"  {finding.text}" for finding in findings[:10]),
                          "  … and 2 more", "", "12 problems"]  # fmt: skip


def test_one_problem_is_singular():
    assert str(Report({"train": 1}, [Finding(Kind.TWICE, "train", "a: looks like b")])).endswith("\n1 problem")


def test_ten_lines_are_not_shortened():
    assert first_lines(["line"] * 10) == ["line"] * 10
    assert first_lines(["line"] * 11) == ["line"] * 10 + ["… and 1 more"]
