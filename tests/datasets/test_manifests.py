"""Manifests written and read again, by hand and by spreadsheets, with every mistake named by its line."""

import csv
import os
import re
import unicodedata

import numpy as np
import pytest
from PIL import Image

from helpers.datasets.layouts import find_pairs, find_splits, recognise, splits_in
from helpers.datasets.manifests import COLUMNS, read_manifest, write_manifest
from helpers.datasets.pairs import Pair
from helpers.files.photos import open_picture, picture_size


def photo(path, height=4, width=6, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path, **options)
    return path


@pytest.fixture
def splits(tmp_path):
    """{split: [Pair]} of every reading, rough and refined; photos of 4 × 6 and 5 × 7 pixels."""
    one, two, three = (photo(tmp_path / "images" / f"{name}.png") for name in ("one", "two, and a half", "ünter"))
    cutout, mask = photo(tmp_path / "cutouts" / "four.png", 5, 7), photo(tmp_path / "masks" / "one.png")
    return {
        "train": [Pair(one, mask, "grey", "p3m"), Pair(two, mask, "classes", "cod10k-aquatic", rough=True)],
        "val": [Pair(three, mask, "opacity", "")],
        "test": [Pair(cutout, cutout, "opacity", "cutouts")],
    }


def written(path, *rows, header="image,mask"):
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


# ----------------------------------------------------------------------------------------------- written and read again


def test_what_was_written_is_read(splits, tmp_path):
    write_manifest(tmp_path / "manifest.csv", splits)
    found = read_manifest(tmp_path / "manifest.csv")
    assert {split: part.pairs for split, part in found.items()} == {s: sorted(pairs) for s, pairs in splits.items()}
    assert all(part[1:] == ([], [], [], []) for part in found.values())


def test_the_columns(splits, tmp_path):
    write_manifest(tmp_path / "manifest.csv", splits)
    with open(tmp_path / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["image", "mask", "category", "split", "width", "height", "reading", "rough"],
        ["images/one.png", "masks/one.png", "p3m", "train", "6", "4", "grey", "0"],
        ["images/two, and a half.png", "masks/one.png", "cod10k-aquatic", "train", "6", "4", "classes", "1"],
        ["images/ünter.png", "masks/one.png", "", "val", "6", "4", "opacity", "0"],
        ["cutouts/four.png", "cutouts/four.png", "cutouts", "test", "7", "5", "opacity", "0"],
    ]
    assert tuple(rows[0]) == COLUMNS


def test_known_sizes_are_not_looked_up(tmp_path):
    pair = Pair(tmp_path / "nowhere.jpg", tmp_path / "nowhere.png")
    write_manifest(tmp_path / "manifest.csv", {"train": [pair]}, {pair.image: (30, 20)})
    assert ",train,20,30," in (tmp_path / "manifest.csv").read_text(encoding="utf-8")


def test_a_folder_can_be_moved_with_its_manifest(splits, tmp_path):
    write_manifest(tmp_path / "manifest.csv", splits)
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)
    assert find_pairs(moved, "test")[0].image == moved / "cutouts" / "four.png"


def test_files_elsewhere_are_absolute(splits, tmp_path):
    write_manifest(tmp_path / "lists" / "all.csv", splits)
    assert f"\n{tmp_path.as_posix()}/images/one.png," in (tmp_path / "lists" / "all.csv").read_text(encoding="utf-8")
    assert read_manifest(tmp_path / "lists" / "all.csv")["val"].pairs == splits["val"]


def test_an_interrupted_manifest_leaves_the_old_one(splits, tmp_path):
    write_manifest(tmp_path / "manifest.csv", splits)
    before = (tmp_path / "manifest.csv").read_bytes()
    splits["test"].append(Pair(tmp_path / "nowhere.jpg", tmp_path / "nowhere.png"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        write_manifest(tmp_path / "manifest.csv", splits)
    assert (tmp_path / "manifest.csv").read_bytes() == before
    assert not list(tmp_path.glob("*.tmp")) + list(tmp_path.glob(".*"))


# ----------------------------------------------------------------------------------------------------- written by hand


def test_two_columns_are_enough(splits, tmp_path):
    path = written(tmp_path / "manifest.csv", "images/one.png, masks/one.png", "cutouts/four.png,cutouts/four.png",
                   f"{(tmp_path / 'images' / 'ünter.png').as_posix()},images/../masks/one.png")  # fmt: skip
    found = read_manifest(path)
    assert {pair.image.name: pair.reading for part in found.values() for pair in part.pairs} == {
        "one.png": "grey", "four.png": "opacity", "ünter.png": "grey"
    }  # fmt: skip
    assert list(found) == ["train", "val"]
    assert [len(part.pairs) for part in found.values()] == [2, 1]
    assert {(pair.category, pair.rough) for part in found.values() for pair in part.pairs} == {("", False)}


def test_val_is_carved_only_where_there_is_none(splits, tmp_path):
    rows = "images/one.png,masks/one.png,", "images/ünter.png,masks/one.png,val", "cutouts/four.png,masks/one.png,"
    path = written(tmp_path / "manifest.csv", *rows, header="image,mask,split")
    assert [len(found.pairs) for found in read_manifest(path).values()] == [2, 1]


def test_persons_are_not_shared_with_a_carved_val(splits, tmp_path):
    names = ("images/one.png", "images/ünter.png", "cutouts/four.png", "masks/one.png")
    written(tmp_path / "meta.csv", "ünter,anna", "four,anna", header="image_name,user_id")
    found = read_manifest(written(tmp_path / "manifest.csv", *(f"{name},masks/one.png" for name in names)))
    stems = [{pair.image.stem for pair in part.pairs} for part in found.values()]
    assert stems in ([{"one"}, {"four", "ünter"}], [{"four", "ünter"}, {"one"}])


@pytest.mark.parametrize("text", ["1", "yes", "TRUE", "True "])
def test_rough_in_words(text, splits, tmp_path):
    path = written(tmp_path / "manifest.csv", f"{text},masks/one.png,images/one.png", header="rough,mask,image")
    assert read_manifest(path)["train"].pairs[0].rough is True


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_as_spreadsheets_write_it(separator, newline, splits, tmp_path):
    """With a byte-order mark, other separators, capitals, columns of one's own, and empty cells and rows at the end."""
    rows = ["Mask ", "Notes", "Image"], ["masks/one.png", "in the sun", "images/one.png"], ["", "", ""], []
    text = newline.join(separator.join(row) for row in rows) + newline
    (tmp_path / "mine.csv").write_bytes(text.encode("utf-8-sig"))
    assert read_manifest(tmp_path / "mine.csv")["train"].pairs == [splits["train"][0]._replace(category="")]


def test_empty_rows_of_any_length_are_passed_over(tmp_path):
    for name in ("a.jpg", "a.png"):
        Image.new("L", (8, 8)).save(tmp_path / name)
    (tmp_path / "manifest.csv").write_text("image,mask\n,,\n  , \na.jpg,a.png\n,,,,\n", encoding="utf-8")
    assert [pair.image for pair in read_manifest(tmp_path / "manifest.csv")["train"].pairs] == [tmp_path / "a.jpg"]


@pytest.mark.parametrize("row, complaint", [
    ("images/one.png", "has more or fewer fields than the first line"),
    ("images/one.png,masks/one.png,train,grey,0,more", "has more or fewer fields than the first line"),
    (",masks/one.png,train,grey,0", "needs an image and a mask"),
    ("images/one.png, ,train,grey,0", "needs an image and a mask"),
    ("images/one.png,masks/one.png,trian,grey,0", "unknown split 'trian'; known are train, val, test"),
    ("images/one.png,masks/one.png,val,gray,0", "unknown reading 'gray'; known are classes, grey, opacity"),
    ("images/one.png,masks/one.png,val,grey,rough", "unknown rough 'rough'; known are 0, no, false, 1, yes, true"),
    ("images/ünter.png,masks/one.png,val,grey,0", "images/ünter.png is already in line 2"),
    ("images/../images/ünter.png,masks/one.png,val,grey,0", "images/ünter.png is already in line 2"),
])  # fmt: skip
def test_a_row_that_cannot_be_understood_is_named_by_its_line(row, complaint, splits, tmp_path):
    rows = "images/ünter.png,masks/one.png,train,,", "cutouts/four.png,masks/one.png,test,,no", row
    path = written(tmp_path / "manifest.csv", *rows, header="image,mask,split,reading,rough")
    with pytest.raises(ValueError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}, line 4: ")
    assert complaint in str(caught.value)
    assert str(caught.value).endswith("; correct or remove the line")


def test_a_name_with_a_line_end_stays_in_the_line_of_its_error(tmp_path):
    path = written(tmp_path / "manifest.csv", *["a\x1db.jpg,a.png"] * 2, header="image,mask")
    with pytest.raises(ValueError, match=r"manifest\.csv, line 3: '.*a\\x1db\.jpg' is already in line 2"):
        read_manifest(path)


def test_a_field_without_end_is_refused(tmp_path):
    for text in ("image,mask,{}\n", "image,mask\n{},a.png\n"):
        (tmp_path / "manifest.csv").write_text(text.format("x" * 200_000), encoding="utf-8")
        with pytest.raises(ValueError, match=r"manifest\.csv, line \d: field larger than field limit"):
            read_manifest(tmp_path / "manifest.csv")


@pytest.mark.parametrize("text", ["", "\n", "image,masks\na,b\n", "a.jpg,a.png\n", "<html>"])
def test_a_file_without_the_columns_is_no_manifest(text, tmp_path):
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"manifest\.csv: the first line must name the columns image and mask"):
        read_manifest(tmp_path / "manifest.csv")


def test_a_column_that_is_named_twice_is_no_guess(tmp_path):
    path = written(tmp_path / "manifest.csv", "a.jpg,a.png,b.png,,", header="image,mask,Mask,,")
    with pytest.raises(ValueError, match=r"manifest\.csv: the first line names the column mask twice; give each"):
        read_manifest(path)


def test_other_encodings_are_refused(tmp_path):
    (tmp_path / "manifest.csv").write_bytes("image,mask\nünter.png,a.png\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r'manifest\.csv: not in UTF-8; save it as "CSV UTF-8"'):
        read_manifest(tmp_path / "manifest.csv")


def test_pairs_with_missing_files_are_left_out_and_named(splits, tmp_path):
    rows = ("images/one.png,masks/one.png,train", "images/gone.png,masks/one.png,train",
            "images/ünter.png,gone.png,train", "cutouts/four.png,masks/one.png,val",
            "away/five.png,away/mask.png,train")  # fmt: skip
    found = read_manifest(written(tmp_path / "manifest.csv", *rows, header="image,mask,split"))
    whole = splits["train"][0]._replace(category="")
    alone = [tmp_path / "images" / "ünter.png"], [tmp_path / "masks" / "one.png"]
    assert found["train"] == ([whole], *alone, [], [tmp_path / "away" / "five.png"])
    left_out = (
        r"photos without a ground truth: 1 \(ünter.png\); ground truths without a photo: 1 \(one.png\); "
        r"listed files that are not there: 1 \(five.png\)"
    )
    with pytest.warns(UserWarning, match=left_out):
        find_pairs(tmp_path, "train")


# --------------------------------------------------------------------------------------------------------- as a layout


def test_a_manifest_goes_before_every_other_layout(splits, tmp_path):
    """A prepared copy holds images/ and masks/ beside it, and perhaps what is not listed."""
    assert recognise(tmp_path) == "pairs"
    write_manifest(tmp_path / "manifest.csv", splits)
    assert recognise(tmp_path) == recognise(tmp_path / "manifest.csv") == "manifest"
    assert splits_in(tmp_path) == splits_in(tmp_path, "mattes") == ["train", "val", "test"]
    assert find_splits(tmp_path) == find_splits(tmp_path / "manifest.csv")
    assert [pair.image.name for pair in find_splits(tmp_path, layout="pairs")["train"].pairs] == ["one.png"]


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(str(tmp_path / "manifest.csv"))):
        find_splits(tmp_path, layout="manifest")


# ---------------------------------------------------------------------------------------------------- sizes of pictures


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "bmp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_sizes_are_those_that_are_shown(orientation, extension, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = photo(tmp_path / f"photo.{extension}", 20, 30, **({} if extension == "bmp" else {"exif": exif}))
    assert picture_size(path) == open_picture(path).size[::-1]
    assert picture_size(path) == ((30, 20) if orientation > 4 and extension != "bmp" else (20, 30))


def test_a_size_needs_the_header_only(tmp_path):
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:200])
    assert picture_size(path) == (40, 50)
    path.write_bytes(b"moved")
    with pytest.raises(ValueError, match=r"noise\.png: not a readable picture .*; remove or replace the file"):
        picture_size(path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        picture_size(tmp_path / "nowhere.png")


# -------------------------------------------------------------------------------------------------- names of all kinds

ODD_NAMES = ["a, b", " space first", "space last ", 'quo"te', '"quoted"', "apo'strophe", "semi;colon", "back\\slash",
             "Zoë", "Zoe\u0308", "line\nend", "#1", "=1+1", "日本"]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_manifest_finds_what_it_has_written(name, tmp_path):
    (tmp_path / name).mkdir()
    image, mask = tmp_path / name / f"{name}.jpg", tmp_path / name / f"{name}.png"
    photo(image)
    photo(mask)
    splits = {"train": [Pair(image, mask, "grey")]}
    write_manifest(tmp_path / "manifest.csv", splits)
    assert read_manifest(tmp_path / "manifest.csv")["train"].pairs == splits["train"]


@pytest.mark.skipif(os.name == "nt", reason="there these are paths")
@pytest.mark.parametrize("row", [
    "images\\one.png,masks\\one.png", ".\\images\\one.png,./masks/one.png", "'images/one.png','masks/one.png'",
    '"images/one.png", "masks/one.png"', " images/one.png ,  masks\\one.png ", '"images\\one.png","masks/one.png"',
])  # fmt: skip
def test_paths_as_other_systems_and_hands_write_them(row, splits, tmp_path):
    found = read_manifest(written(tmp_path / "manifest.csv", row))["train"]
    assert [(pair.image.name, pair.truth.name) for pair in found.pairs] == [("one.png", "one.png")]
    assert not found.left_out()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_either_unicode_form(form, splits, tmp_path):
    name = unicodedata.normalize(form, "images/ünter.png")
    assert len(read_manifest(written(tmp_path / "manifest.csv", f"{name},masks/one.png"))["train"].pairs) == 1


@pytest.mark.skipif(os.name == "nt", reason="there a drive is a place")
@pytest.mark.parametrize("path, start", [
    ("C:\\data\\a.jpg", "C:/"), ("d:/data/a.jpg", "d:/"), ("\\\\server\\share\\a.jpg", "//"),
])  # fmt: skip
def test_a_drive_of_windows_is_named_with_the_way_to_write_it(path, start, splits, tmp_path):
    message = rf"line 2: .*'{start}' begins a path on Windows.*forward slashes: images/a.jpg"
    with pytest.raises(ValueError, match=message):
        read_manifest(written(tmp_path / "manifest.csv", f"{path},masks/one.png"))


@pytest.mark.parametrize("row, remedy", [
    ("Smith, Jane.jpg,masks/one.png", r'quotation marks: "Smith, Jane.jpg"'),
    ('"images/one.png,masks/one.png\nimages/one.png,masks/one.png', r'two for one inside it: "5"" screen.jpg"'),
])  # fmt: skip
def test_a_separator_or_a_lone_quotation_mark_is_named_with_the_way_to_write_it(row, remedy, splits, tmp_path):
    with pytest.raises(ValueError, match=f"manifest.csv, line .*{remedy}; correct"):
        read_manifest(written(tmp_path / "manifest.csv", row))
