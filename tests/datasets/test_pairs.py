"""Reading a photo with its truth: every kind of truth, turned, reduced, mismatched and broken files."""

import re

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.datasets.pairs import READINGS, Pair, read_alpha, read_pair


def save(path, array, **options):
    Image.fromarray(np.asarray(array, np.uint8)).save(path, **options)
    return path


def truth(path, reading):
    return read_alpha(Pair(path.parent / "photo.jpg", path, reading))


def scene(height, width):
    """A smooth photo and a soft disc as its alpha, so that reducing them can be compared."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    alpha = (255 * (1.5 - 2 * np.hypot(x, y))).clip(0, 255).round().astype(np.uint8)
    return np.dstack([127 + 100 * x, 127 + 100 * y, 127 + 60 * x * y]).round().astype(np.uint8), alpha


# --------------------------------------------------------------------------------------------------------------- truths


def test_the_readings():
    assert READINGS == ("classes", "grey", "opacity")
    assert Pair("a", "b") == Pair("a", "b", reading="classes", category="", rough=False)


def test_every_class_but_the_background_is_foreground(tmp_path):
    alpha = truth(save(tmp_path / "ids.png", np.arange(9).reshape(3, 3)), "classes")
    assert alpha.tolist() == [[0, 255, 255], [255, 255, 255], [255, 255, 255]]
    assert alpha.dtype == np.uint8


def test_soft_mattes_stay_as_they_are(tmp_path):
    matte = np.arange(256).reshape(16, 16)
    assert np.array_equal(truth(save(tmp_path / "matte.png", matte), "grey"), matte)


@pytest.mark.parametrize("high, expected", [(0, 0), (1, 255), (2, 2), (128, 128), (255, 255)])
def test_grey_masks_of_0_and_1_are_scaled(high, expected, tmp_path):
    alpha = truth(save(tmp_path / "mask.png", [[0, high], [high, 0]]), "grey")
    assert alpha.tolist() == [[0, expected], [expected, 0]]
    assert alpha.dtype == np.uint8


@pytest.mark.parametrize("name", ["matte.png", "matte.webp"])
def test_opacity_is_the_alpha_channel(name, tmp_path):
    opacity = np.arange(64, 256, 3).reshape(8, 8)
    path = save(tmp_path / name, np.dstack([*[np.full((8, 8), 9)] * 3, opacity]), lossless=True)
    assert np.array_equal(truth(path, "opacity"), opacity)


def test_opacity_of_a_palette(tmp_path):
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    picture.putpalette([9, 9, 9, 200, 200, 200])
    picture.save(tmp_path / "palette.png", transparency=0)
    assert truth(tmp_path / "palette.png", "opacity").tolist() == [[0, 255], [255, 0]]


def test_a_picture_without_alpha_channel_has_no_opacity(tmp_path):
    path = save(tmp_path / "matte.png", np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}: has no alpha channel .*; save it as RGBA PNG"):
        truth(path, "opacity")


# ---------------------------------------------------------------------------------------------------------------- pairs


def test_a_pair_is_photo_and_alpha_of_one_size(tmp_path):
    photo, alpha = scene(30, 20)
    pair = Pair(save(tmp_path / "photo.png", photo), save(tmp_path / "mask.png", alpha), "grey")
    assert all(np.array_equal(read, made) for read, made in zip(read_pair(pair), (photo, alpha), strict=True))


def test_a_cutout_is_its_own_truth(tmp_path):
    photo, alpha = scene(30, 20)
    path = save(tmp_path / "cutout.png", np.dstack([photo, alpha]))
    read = read_pair(Pair(path, path, "opacity"))
    assert all(np.array_equal(one, two) for one, two in zip(read, (photo, alpha), strict=True))


@pytest.mark.parametrize("extension", ["png", "jpg", "tif", "webp"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_turned_photo_is_paired_as_it_is_shown(orientation, extension, tmp_path):
    """The mask belongs to the photo as it is seen; the file's pixels lie on their side."""
    shown = np.zeros((24, 40), np.uint8)
    shown[:8, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.dstack([np.rot90(shown, {3: 2, 6: 1, 8: 3}[orientation])] * 3)
    photo = save(tmp_path / f"photo.{extension}", stored, exif=exif, quality=100)
    image, alpha = read_pair(Pair(photo, save(tmp_path / "mask.png", shown // 255)))
    assert image.shape == (24, 40, 3)
    assert np.array_equal(image[..., 0] > 127, alpha > 127)


def test_a_mask_of_another_size_is_refused_with_both_files_and_sizes(tmp_path):
    pair = Pair(save(tmp_path / "photo.jpg", np.zeros((8, 10))), save(tmp_path / "mask.png", np.zeros((10, 8))))
    with pytest.raises(ValueError, match="replace or remove the pair") as caught:
        read_pair(pair)
    for part in (str(pair.image), str(pair.truth), "8×10", "10×8"):
        assert part in str(caught.value)


@pytest.mark.parametrize("damage", ["empty", "half", "text"])
@pytest.mark.parametrize("which", ["image", "truth"])
def test_an_unreadable_file_of_a_pair_is_named(which, damage, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40))
    pair = Pair(save(tmp_path / "photo.jpg", noise), save(tmp_path / "mask.png", noise))
    path = getattr(pair, which)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "half": whole[: len(whole) // 2], "text": b"moved"}[damage])
    with pytest.raises(ValueError, match=re.escape(str(path))):
        read_pair(pair)


# ----------------------------------------------------------------------------------------------------- reduced decoding


@pytest.mark.parametrize("least, expected", [
    (None, (320, 480)), (320, (320, 480)), (161, (320, 480)), (160, (160, 240)), (81, (160, 240)), (80, (80, 120)),
    (40, (40, 60)), (1, (40, 60)),
])  # fmt: skip
def test_a_jpeg_comes_as_small_as_may_be(least, expected, tmp_path):
    """At 1/2, 1/4 or 1/8, never below `least`; photo and alpha alike, and close to the area averages of the whole."""
    photo, alpha = scene(320, 480)
    pair = Pair(save(tmp_path / "photo.jpg", photo, quality=95), save(tmp_path / "mask.png", alpha), "grey")
    small_photo, small_alpha = read_pair(pair, least)
    assert small_photo.shape == (*expected, 3)
    assert small_alpha.shape == expected
    averaged = cv2.resize(photo, expected[::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small_photo.astype(int) - averaged).max() <= 6
    assert np.array_equal(small_alpha, cv2.resize(alpha, expected[::-1], interpolation=cv2.INTER_AREA))


def test_odd_sides_are_reduced_alike(tmp_path):
    photo, alpha = scene(321, 483)
    pair = Pair(save(tmp_path / "photo.jpg", photo), save(tmp_path / "mask.png", alpha), "grey")
    small_photo, small_alpha = read_pair(pair, 100)
    assert small_photo.shape[:2] == small_alpha.shape == (161, 242)


def test_a_turned_jpeg_is_reduced_too(tmp_path):
    photo, alpha = scene(320, 480)
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = save(tmp_path / "photo.jpg", np.rot90(photo), exif=exif, quality=95)
    image, small = read_pair(Pair(stored, save(tmp_path / "mask.png", alpha), "grey"), 160)
    assert image.shape == (160, 240, 3)
    assert small.shape == (160, 240)
    assert np.abs(image.astype(int) - cv2.resize(photo, (240, 160), interpolation=cv2.INTER_AREA)).max() <= 6


def test_a_png_photo_stays_whole(tmp_path):
    photo, alpha = scene(320, 480)
    pair = Pair(save(tmp_path / "photo.png", photo), save(tmp_path / "mask.png", alpha), "grey")
    assert all(np.array_equal(one, two) for one, two in zip(read_pair(pair, 40), (photo, alpha), strict=True))


def test_a_mask_of_the_reduced_size_is_still_of_another_size(tmp_path):
    photo, alpha = scene(320, 480)
    pair = Pair(save(tmp_path / "photo.jpg", photo), save(tmp_path / "mask.png", alpha[::2, ::2]), "grey")
    with pytest.raises(ValueError, match="240×160 pixels, but its photo .*photo.jpg has 480×320"):
        read_pair(pair, 160)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(417, 333), (400, 320)])
def test_photo_and_alpha_stay_aligned_however_they_are_reduced_and_turned(size, orientation, tmp_path):
    """A decoder rounds odd sizes up, at an edge that EXIF may move: the alpha's last pixels must follow."""
    alpha = np.zeros(size, np.uint8)
    alpha[100:, 60:200], alpha[-60:, -40:] = 255, 255
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # orientation → the transposition that undoes it
    stored = Image.fromarray(np.dstack([alpha] * 3))
    stored = stored.transpose(Image.Transpose(undo[orientation])) if orientation in undo else stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.jpg", quality=98, subsampling=0, exif=exif)
    Image.fromarray(alpha).save(tmp_path / "a.png")
    pair = Pair(tmp_path / "a.jpg", tmp_path / "a.png", "grey")
    for least in (None, 150, 40):
        image, found = read_pair(pair, least)
        assert image.shape[:2] == found.shape
        assert np.abs(image[..., 0].astype(int) - found).max() <= 12
    if orientation == 1 or size == (400, 320):
        assert found.shape == tuple(-(-side // 8) for side in size)
