"""What a ground-truth file means, by its mode, its palette and its values; and that all commands say the same of it."""

import re

import cv2
import numpy as np
import pytest
from PIL import Image
from support import write_shallow_png

from helpers.augment import validation_transform
from helpers.datasets.__main__ import main
from helpers.datasets.check import Kind, check
from helpers.datasets.ground_truth import Remark, read_ground_truth, summary
from helpers.datasets.layouts import find_splits
from helpers.datasets.prepare import prepare
from helpers.files.photos import open_picture
from helpers.metrics.folders import score_folders
from helpers.samples.mixing import Source, mix

SIDE = 96
VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]  # the colours by which VOC shows its first classes


def matte():
    """A soft disc (SIDE, SIDE) uint8 that reaches 0 and 255."""
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    return (255 * (3 - 5 * np.hypot(x, y))).clip(0, 255).round().astype(np.uint8)


def hard():
    return np.where(matte() > 127, 255, 0).astype(np.uint8)


def saved(path, array, palette=None, **options):
    picture = Image.fromarray(np.asarray(array, np.uint8))
    if palette:
        picture.putpalette(palette)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def quantised(path, array, colours=256):
    """The same picture for every viewer, as an indexed PNG whose indices are in another order."""
    grey = Image.fromarray(array)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.merge("RGB", [grey] * 3).quantize(colours).save(path)
    return path


def kinds(truth):
    return [kind for kind, _ in truth.remarks]


# -------------------------------------------------------------------------------------------------------- grey values


@pytest.mark.parametrize("reading", ["grey", "classes"])
def test_a_palette_of_greys_is_read_as_it_is_shown(reading, tmp_path):
    path = quantised(tmp_path / "matte.png", matte())
    picture = open_picture(path)
    assert picture.mode == "P"
    shown = np.array(picture.convert("L"))
    assert not np.array_equal(np.array(picture), shown)
    truth = read_ground_truth(path, reading)
    assert np.array_equal(truth.alpha, shown)
    assert kinds(truth) == ([] if reading == "grey" else [Remark.NOT_CLASSES])


@pytest.mark.parametrize("reading", ["grey", "classes"])
@pytest.mark.parametrize("palette", [[255, 255, 255, 0, 0, 0], [0, 0, 0, 255, 255, 255], [250, 253, 251, 1, 0, 2]])
def test_black_and_white_by_palette(palette, reading, tmp_path):
    """Which of the two comes first in the file means nothing."""
    white = palette[0] < 128
    path = saved(tmp_path / "mask.png", (hard() > 0) == white, palette)
    truth = read_ground_truth(path, reading)
    assert np.abs(truth.alpha.astype(int) - hard()).max() <= 3
    assert Remark.FAINT not in kinds(truth)


def test_a_mask_of_0_and_1_is_scaled_and_told(tmp_path):
    path = saved(tmp_path / "mask.png", hard() // 255)
    truth = read_ground_truth(path, "grey")
    assert np.array_equal(truth.alpha, hard())
    assert truth.remarks == [(Remark.ZERO_ONE, f"{path}: read as a mask in which 1 is the person")]


@pytest.mark.parametrize("bits, most", [(2, 3), (4, 8)])
def test_class_ids_in_2_or_4_bits_are_read_as_the_file_holds_them(bits, most, tmp_path):
    ids = hard() // 255 * (np.arange(SIDE) % most + 1).astype(np.uint8)
    path = write_shallow_png(tmp_path / "ids.png", ids, bits)
    truth = read_ground_truth(path, "classes")
    assert np.array_equal(truth.alpha, hard())
    assert kinds(truth) == ([Remark.GREY_IDS] if bits == 2 else [])  # three greys up to white may be a matte as well


def test_a_matte_of_4_bits_is_read_as_it_is_shown(tmp_path):
    path = write_shallow_png(tmp_path / "matte.png", matte() // 17, 4)
    for reading, odd in (("grey", []), ("classes", [Remark.NOT_CLASSES])):
        truth = read_ground_truth(path, reading)
        assert np.array_equal(truth.alpha, matte() // 17 * 17) and kinds(truth) == odd


def test_0_and_1_by_a_palette_of_colours(tmp_path):
    truth = read_ground_truth(saved(tmp_path / "mask.png", hard() // 255, VOC), "grey")
    assert np.array_equal(truth.alpha, hard())


@pytest.mark.parametrize("highest", [2, 8, 15, 128])
def test_a_matte_that_reaches_at_most_half_is_told(highest, tmp_path):
    path = saved(tmp_path / "mask.png", hard() // 255 * np.uint8(highest))
    truth = read_ground_truth(path, "grey")
    assert truth.alpha.max() == highest
    assert truth.remarks == [(Remark.FAINT, f"{path}: at most {highest} of 255")]


def test_classes_in_the_colours_of_a_palette_are_no_matte(tmp_path):
    path = saved(tmp_path / "mask.png", hard() // 255 * np.uint8(3), VOC)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}: has a palette of colours.*reading of a manifest"):
        read_ground_truth(path, "grey")
    assert np.array_equal(read_ground_truth(path, "classes").alpha, hard())


@pytest.mark.parametrize("low", [128, 255])
def test_a_truth_without_background_is_told(low, tmp_path):
    assert kinds(read_ground_truth(saved(tmp_path / "mask.png", np.full((8, 8), low)), "grey")) == [
        Remark.NO_BACKGROUND
    ]


def test_nobody_is_nothing_odd(tmp_path):
    path = saved(tmp_path / "mask.png", np.zeros((8, 8)))
    for reading in ("grey", "classes"):
        assert read_ground_truth(path, reading).remarks == []


@pytest.mark.parametrize("middle", [127, 128])
def test_a_trimap_in_the_place_of_a_matte_is_told(middle, tmp_path):
    unknown = (matte() > 0) & (matte() < 255)
    path = saved(tmp_path / "mask.png", np.where(unknown, middle, hard()))
    truth = read_ground_truth(path, "grey")
    assert kinds(truth) == [Remark.TRIMAP]
    assert f"{unknown.mean():.0%} of the pixels between 0 and 255, nearly all at one value" in truth.remarks[0][1]


def test_a_narrow_trimap_is_told_and_the_shadow_of_a_cutout_is_none(tmp_path):
    narrow = np.zeros((200, 200), np.uint8)
    cv2.circle(narrow, (100, 100), 30, 255, -1)
    cv2.circle(narrow, (100, 100), 31, 128, 2)
    assert 0.005 < (narrow == 128).mean() < 0.02
    assert kinds(read_ground_truth(saved(tmp_path / "narrow.png", narrow), "grey")) == [Remark.TRIMAP]
    shadow = hard()
    shadow[-20:, 30:60] = 100
    cutout = np.dstack([np.zeros((SIDE, SIDE, 3), np.uint8), shadow])
    assert kinds(read_ground_truth(saved(tmp_path / "cutout.png", cutout), "opacity")) == []


def test_a_trimap_in_any_code_or_compression_is_told(tmp_path):
    trimap = np.where((matte() > 0) & (matte() < 255), 128, hard()).astype(np.uint8)
    other = np.select([trimap == 128, trimap == 255], [100, 254], 1)
    larger = cv2.resize(trimap, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    for name, array, options in (
        ("other.png", other, {}), ("noisy.jpg", trimap, {"quality": 85}), ("larger.png", larger, {}),
    ):  # fmt: skip
        assert kinds(read_ground_truth(saved(tmp_path / name, array, **options), "grey")) == [Remark.TRIMAP], name
    for quality in (30, 85):  # mattes and hard masks are none
        for name, array in (("matte", matte()), ("hard", hard())):
            path = saved(tmp_path / f"{name}.jpg", array, quality=quality)
            assert kinds(read_ground_truth(path, "grey")) == []


def test_a_drawing_of_classes_in_greys_is_told(tmp_path):
    drawing = np.repeat([0, 80, 160, 240], 8)[:, None].repeat(32, 1)
    assert kinds(read_ground_truth(saved(tmp_path / "drawing.png", drawing), "grey")) == [Remark.FEW_VALUES]


@pytest.mark.parametrize("person", [1, 8, 15])
def test_class_ids_with_unsure_pixels_are_no_grey_values(person, tmp_path):
    """PASCAL VOC marks a border of 255 around objects; as a matte, the border would be the person."""
    ids = np.where(matte() == 255, person, 0)
    ids[(matte() > 0) & (matte() < 255)] = 255
    path = saved(tmp_path / "ids.png", ids)
    with pytest.raises(
        ValueError, match=rf"ids\.png: class ids up to {person}, .*; save it as grey PNG with 255"
    ) as told:
        read_ground_truth(path, "grey")
    assert ("write classes in the column reading" in str(told.value)) == (person < 9)
    haze = np.random.default_rng(0).integers(0, 12, (SIDE, SIDE))
    for faint in (np.maximum(hard(), haze), np.maximum(hard(), haze > 9), np.maximum(hard(), 3)):  # hard, on some haze
        assert np.array_equal(read_ground_truth(saved(tmp_path / "faint.png", faint), "grey").alpha, faint)


def test_a_silhouette_in_the_transparency_of_a_palette_is_refused(tmp_path):
    """What pngquant makes of a black silhouette: all its colours are black."""
    picture = Image.fromarray((hard() > 0).astype(np.uint8))
    picture.putpalette([0] * 6)
    picture.save(tmp_path / "black.png", transparency=bytes([0, 255]))
    with pytest.raises(ValueError, match=r"black\.png: .* a palette with transparent entries; save it as grey PNG"):
        read_ground_truth(tmp_path / "black.png", "grey")


def test_few_greys_of_a_palette_may_be_ids_or_a_matte(tmp_path):
    greys = [value for i in range(8) for value in [i * 255 // 7] * 3]
    path = saved(tmp_path / "greys.png", matte() // 32, greys)
    truth = read_ground_truth(path, "classes")
    assert kinds(truth) == [Remark.GREY_IDS] and "for a matte, write grey in the column reading" in truth.remarks[0][1]
    assert np.array_equal(truth.alpha, np.where(matte() // 32, 255, 0))
    assert kinds(read_ground_truth(path, "grey")) == []


def test_an_inverted_mask_is_told_and_a_person_that_fills_the_picture_is_not(tmp_path):
    assert kinds(read_ground_truth(saved(tmp_path / "mask.png", 255 - matte()), "grey")) == [Remark.INVERTED]
    close_up = np.full((SIDE, SIDE), 255)
    close_up[SIDE // 3 :, :20] = 0  # beside a neck, under hair that leaves the picture
    assert kinds(read_ground_truth(saved(tmp_path / "near.png", close_up), "grey")) == []


# -------------------------------------------------------------------------------------------------------------- classes


@pytest.mark.parametrize("palette", [None, VOC * 3, [value for i in range(9) for value in [i * 28] * 3]])
def test_class_ids_in_any_palette(palette, tmp_path):
    ids = np.arange(9).reshape(3, 3).repeat(4, 0).repeat(4, 1)
    truth = read_ground_truth(saved(tmp_path / "ids.png", ids, palette), "classes")
    assert np.array_equal(truth.alpha, np.where(ids, 255, 0))
    assert truth.remarks == []


def test_the_noise_of_a_jpeg_is_no_person(tmp_path):
    path = saved(tmp_path / "mask.jpg", hard(), quality=75)
    stored = np.array(open_picture(path))
    assert len(np.unique(stored)) > 2
    truth = read_ground_truth(path, "classes")
    assert np.array_equal(truth.alpha, stored)
    assert np.array_equal(truth.alpha > 127, hard() > 127)
    assert truth.remarks[0] == (Remark.NOT_CLASSES, f"{path}: values up to 255, but a JPEG may have changed class ids")


@pytest.mark.parametrize("name, options", [
    ("mask.webp", {"quality": 60}), ("mask.avif", {}), ("mask.tif", {"compression": "jpeg"}),
    ("turned.jpg", {"exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\3\0\0\0\0\0\0\0"}),
])  # fmt: skip
def test_other_lossy_files_keep_no_class_ids_either(name, options, tmp_path):
    path = saved(tmp_path / name, hard() // 255 * np.uint8(3), **options)
    truth = read_ground_truth(path, "classes")
    assert truth.alpha.max() < 9
    assert kinds(truth) == [Remark.NOT_CLASSES, Remark.FAINT]
    assert "may have changed class ids" in truth.remarks[0][1]


@pytest.mark.parametrize("name, options", [
    ("mask.webp", {"lossless": True}), ("mask.bmp", {}), ("mask.tif", {"compression": "tiff_lzw"}),
    ("turned.png", {"exif": b"Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\3\0\0\0\0\0\0\0"}),
])  # fmt: skip
def test_lossless_files_keep_class_ids(name, options, tmp_path):
    truth = read_ground_truth(saved(tmp_path / name, hard() // 255 * np.uint8(3), **options), "classes")
    assert np.array_equal(truth.alpha, hard()[::-1, ::-1] if name == "turned.png" else hard())
    assert truth.remarks == []


def test_ids_of_other_sets_in_the_colours_of_a_palette_are_refused(tmp_path):
    """Pascal VOC: 15 is a person, 255 the border."""
    ids = hard() // 255 * np.uint8(15)
    ids[40, :] = 255
    path = saved(tmp_path / "ids.png", ids, VOC * 64)
    with pytest.raises(
        ValueError, match=rf"{re.escape(str(path))}: has a palette of colours.* 255 are no class ids.*255 where"
    ):
        read_ground_truth(path, "classes")


def test_a_soft_matte_among_annotations_stays_soft(tmp_path):
    path = saved(tmp_path / "matte.png", matte())
    truth = read_ground_truth(path, "classes")
    assert np.array_equal(truth.alpha, matte())
    assert truth.remarks == [(Remark.NOT_CLASSES, f"{path}: values up to 255, but class ids are 0 to 8")]


def test_ids_of_other_sets_are_told(tmp_path):
    assert kinds(read_ground_truth(saved(tmp_path / "ids.png", hard() // 255 * np.uint8(15)), "classes")) == [
        Remark.NOT_CLASSES, Remark.FAINT,
    ]  # fmt: skip


def test_0_and_255_mean_the_same_either_way(tmp_path):
    truth = read_ground_truth(saved(tmp_path / "mask.png", hard()), "classes")
    assert np.array_equal(truth.alpha, hard())
    assert truth.remarks == []


def test_unsure_pixels_take_the_side_of_the_nearest_sure_one(tmp_path):
    square = np.ones((9, 9), np.uint8)
    border = cv2.dilate(hard(), square) != cv2.erode(hard(), square)
    path = saved(tmp_path / "ids.png", np.where(border, 255, hard() // 255))
    truth = read_ground_truth(path, "classes")
    assert np.count_nonzero(truth.alpha != hard()) < 0.05 * np.count_nonzero(border)
    assert kinds(truth) == [Remark.UNSURE]
    assert f"{np.count_nonzero(border)} pixels are 255" in truth.remarks[0][1]


def test_a_hard_mask_with_a_little_noise_is_no_border(tmp_path):
    noisy = hard()
    noisy[0, ::7] = 3
    truth = read_ground_truth(saved(tmp_path / "mask.png", noisy), "classes")
    assert np.array_equal(truth.alpha, noisy)
    assert kinds(truth) == [Remark.NOT_CLASSES]


# ------------------------------------------------------------------------------------------- the same for all commands


def data_set(folder, kind, write):
    """Six photos in images/ with ground truths in a folder called `kind`, each by `write(path without suffix)`."""
    numbers = np.random.default_rng(0)
    for i in range(6):
        saved(folder / "images" / f"{i}.jpg", numbers.integers(0, 256, (SIDE, SIDE, 3)))
        write(folder / kind / str(i))
    return folder


ODD = {
    "0 and 1": ("masks", lambda path: saved(path.with_suffix(".png"), hard() // 255), Remark.ZERO_ONE),
    "soft": ("annotations", lambda path: saved(path.with_suffix(".png"), matte()), Remark.NOT_CLASSES),
    "JPEG": ("annotations", lambda path: saved(path.with_suffix(".jpg"), hard(), quality=75), Remark.NOT_CLASSES),
    "palette": ("annotations", lambda path: quantised(path.with_suffix(".png"), matte()), Remark.NOT_CLASSES),
    "all": ("masks", lambda path: saved(path.with_suffix(".png"), np.full((SIDE, SIDE), 255)), Remark.NO_BACKGROUND),
}


@pytest.mark.parametrize("kind, write, remark", ODD.values(), ids=ODD)
def test_every_command_says_the_same(kind, write, remark, tmp_path, capsys):
    folder = data_set(tmp_path / "set", kind, write)
    texts = sorted(text for found in find_splits(folder).values() for pair in found.pairs
                   for _, text in read_ground_truth(pair.truth, pair.reading).remarks)  # fmt: skip
    assert len(texts) == 6
    report = check(folder, workers=0)
    assert sorted(finding.text for finding in report.findings if finding.kind == Kind(remark)) == texts
    assert report.problems == 0
    done = prepare(folder, tmp_path / "copy", workers=0)
    assert sorted(text for _, text in done.remarks) == texts
    assert main(["prepare", str(folder), str(tmp_path / "again"), "--workers", "0"]) == 0
    assert f"{remark}: 6 (" in capsys.readouterr().err
    scores = score_folders(folder / kind, folder, workers=1)
    assert any(line.startswith(f"{remark}: 6 (") for line in scores.remarks())
    transforms = dict.fromkeys(("train", "val"), validation_transform(32))
    with pytest.warns(UserWarning, match=rf"{remark}: 6 of 6 looked at \(.*; see python -m helpers\.datasets check"):
        mix([Source(folder)], transforms)


def test_class_ids_in_a_matte_are_refused_before_the_training(tmp_path):
    folder = data_set(tmp_path, "masks", lambda path: saved(path.with_suffix(".png"), hard() // 255 * np.uint8(2)))
    with pytest.raises(
        ValueError, match=r"ground truths that reach at most half: 6 of 6 looked at .*255 where the person is"
    ):
        mix([Source(folder)], dict.fromkeys(("train", "val"), validation_transform(32)))
    assert check(folder, workers=0).problems == 6
    assert len(prepare(folder, tmp_path.with_name("copy"), workers=0).remarks) == 6


def test_one_faint_truth_among_others_is_told_and_no_reason_to_stop(tmp_path):
    folder = data_set(tmp_path, "masks", lambda path: saved(path.with_suffix(".png"), hard()))
    saved(folder / "masks" / "3.png", hard() // 255 * np.uint8(40))
    with pytest.warns(
        UserWarning, match=r"ground truths that reach at most half: 1 of 6 looked at \(.*3\.png: at most 40"
    ):
        mix([Source(folder)], dict.fromkeys(("train", "val"), validation_transform(32)))


def test_an_indexed_matte_is_the_grey_one_as_a_prediction_too(tmp_path):
    for i in range(3):
        saved(tmp_path / "grey" / f"{i}.png", matte())
        quantised(tmp_path / "indexed" / f"{i}.png", matte())
    for pred, true in (("indexed", "grey"), ("grey", "indexed")):
        for score in score_folders(tmp_path / pred, tmp_path / true, workers=1).scores:
            assert score.metrics["whole"]["iou"] == 1
            assert score.metrics["whole"]["mad"] < 0.005


def test_a_prediction_that_stays_below_half_is_told(tmp_path):
    saved(tmp_path / "true" / "a.png", matte())
    path = saved(tmp_path / "pred" / "a.png", hard() // 255)
    scores = score_folders(tmp_path / "pred", tmp_path / "true", workers=1)
    assert scores.remarks() == [f"predictions that stay below half: 1 ({path}: at most 1 of 255)"]
    assert scores.left_out() == []


def test_remarks_in_words_name_the_first_of_each_kind():
    remarks = [(Remark.FAINT, "a.png: at most 3 of 255"), (Remark.ZERO_ONE, "b.png: 1"), (Remark.FAINT, "c.png: 4")]
    assert summary(remarks, " of 9") == [
        "ground truths that reach at most half: 2 of 9 (a.png: at most 3 of 255, …)",
        "ground truths with 0 and 1 only: 1 of 9 (b.png: 1)",
    ]
