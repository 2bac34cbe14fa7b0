"""PNG files as Pillow reads them back."""

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms
from support import write_shallow_png

from helpers.files.photos import open_photo, picture_size, read_photo
from helpers.files.png import _chunk, encode_png

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def picture(mode, size=(17, 9)):
    channels = np.random.default_rng(0).integers(0, 256, (len(mode), *size[::-1]), np.uint8)
    return Image.merge(mode, [Image.fromarray(channel) for channel in channels])


def read_back(encoded):
    again = Image.open(BytesIO(encoded))
    again.load()  # all checksums
    return again


@pytest.mark.parametrize("size", [(17, 9), (1, 1), (1, 40)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_every_pixel_comes_back(mode, size):
    again = read_back(encode_png(picture(mode, size)))
    assert again.mode == mode
    assert again.tobytes() == picture(mode, size).tobytes()
    assert "icc_profile" not in again.info
    assert "dpi" not in again.info


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_profile_and_resolution_are_in_the_file(mode):
    photo = picture(mode)
    photo.info = {"icc_profile": PROFILE, "dpi": (300.0, 72.0)}
    again = read_back(encode_png(photo))
    assert again.info["icc_profile"] == PROFILE
    assert again.info["dpi"] == pytest.approx((300, 72), abs=0.02)  # the file counts whole dots per metre
    assert again.tobytes() == photo.tobytes()


def test_a_mask_has_a_resolution_but_no_profile_of_colours():
    mask = picture("L")
    mask.info = {"icc_profile": PROFILE, "dpi": (300.0, 300.0)}
    again = read_back(encode_png(mask))
    assert "icc_profile" not in again.info
    assert again.info["dpi"] == pytest.approx((300, 300), abs=0.02)


def test_what_no_png_can_hold_is_told():
    with pytest.raises(ValueError, match="1000001 × 1 pixels cannot be written as PNG"):
        encode_png(Image.new("L", (1_000_001, 1)))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_transparent_grey_of_a_png_of_few_bits(bits, tmp_path):
    most = 2**bits - 1
    rows = np.repeat(np.array([0, most], np.uint8), 8)[None].repeat(4, 0)
    path = write_shallow_png(tmp_path / "grey.png", rows, bits, tRNS=struct.pack(">H", most))
    alpha = np.asarray(open_photo(path))[..., 3]
    assert (alpha[:, :8] == 255).all() and (alpha[:, 8:] == 0).all()


def test_exif_data_behind_the_pixels_turn_the_size_as_well(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (16, 8)).save(tmp_path / "plain.png")
    whole = (tmp_path / "plain.png").read_bytes()
    end = whole.index(b"IEND") - 4
    (tmp_path / "late.png").write_bytes(whole[:end] + _chunk(b"eXIf", exif.tobytes()[6:]) + whole[end:])
    assert picture_size(tmp_path / "late.png") == read_photo(tmp_path / "late.png").shape[:2] == (16, 8)
    assert picture_size(tmp_path / "plain.png") == (8, 16)
