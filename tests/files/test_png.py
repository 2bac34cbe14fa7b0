"""PNG files as Pillow reads them back."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms

from helpers.files.png import encode_png

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
