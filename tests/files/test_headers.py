"""Colours that JPEG, AVIF and HEIC files name without an ICC profile."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from helpers.files.colour_profiles import in_srgb
from helpers.files.photos import open_photo, read_photo
from helpers.files.png import encode_png

GREEN = (60, 200, 90)


def jpeg(path, interoperability, profile=None):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 0xFFFF  # ColorSpace: not sRGB
    exif.get_ifd(0x8769)[0xA005] = {1: interoperability}
    Image.new("RGB", (16, 16), GREEN).save(path, quality=100, subsampling=0, exif=exif, icc_profile=profile)
    return path


def test_adobe_rgb_that_a_camera_names_in_exif_data_alone_is_kept(tmp_path):
    photo = open_photo(jpeg(tmp_path / "_MG_0001.jpg", "R03"))
    assert np.abs(np.subtract(photo.getpixel((8, 8)), GREEN)).max() <= 2  # numbers as they are
    written = Image.open(io.BytesIO(encode_png(photo)))
    assert written.info["icc_profile"] == photo.info["icc_profile"]
    # Adobe RGB (1998), section 4.3: linear = number ^ (563/256); to XYZ of D65 and to sRGB (IEC 61966-2-1).
    grey = Image.new("RGB", (1, 1), (128, 128, 128))
    grey.info = photo.info
    luminance = (128 / 255) ** (563 / 256)
    wanted = 255 * (1.055 * luminance ** (1 / 2.4) - 0.055)
    assert np.abs(np.subtract(in_srgb(grey).getpixel((0, 0)), wanted)).max() <= 1
    muted = Image.new("RGB", (1, 1), (128, 160, 128))
    muted.info = photo.info
    red, green, blue = in_srgb(muted).getpixel((0, 0))
    assert red < 115 and 158 <= green <= 163 and blue < 128  # the green of sRGB is weaker: it needs less of the others


def test_other_colours_of_a_jpeg_are_not_touched(tmp_path):
    assert open_photo(jpeg(tmp_path / "srgb.jpg", "R98")).info == {}
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert set(open_photo(jpeg(tmp_path / "both.jpg", "R03", profile)).info) == {"icc_profile"}


def avif(path, primaries, curve):
    Image.new("RGB", (16, 16), GREEN).save(path, quality=100)
    before, mark, after = path.read_bytes().partition(b"colrnclx")
    assert after[:4] == struct.pack(">HH", 1, 13)
    path.write_bytes(before + mark + struct.pack(">HH", primaries, curve) + after[4:])
    return path


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_colours_that_an_avif_names_by_numbers_are_kept(tmp_path):
    photo = open_photo(avif(tmp_path / "p3.avif", 12, 13))
    assert photo.info["colour_chunks"] == {b"cICP": bytes([12, 13, 0, 1])}
    green = in_srgb(photo).getpixel((8, 8))
    assert green[1] > GREEN[1] and green[0] < 40  # the same green needs more of sRGB's green and less of its red
    assert np.abs(np.subtract(read_photo(tmp_path / "p3.avif")[8, 8], GREEN)).max() <= 2
    assert open_photo(avif(tmp_path / "hdr.avif", 9, 16)).info == {"colour_chunks": {b"cICP": bytes([9, 16, 0, 1])}}
    for numbers in ((1, 13), (2, 2), (2, 13)):
        assert open_photo(avif(tmp_path / "srgb.avif", *numbers)).info == {}


def test_colours_that_a_heic_names_by_numbers_are_kept(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    pillow_heif.register_heif_opener()
    Image.new("RGB", (16, 16), GREEN).save(tmp_path / "p3.heic", color_primaries=12, transfer_characteristics=13)
    assert open_photo(tmp_path / "p3.heic").info["colour_chunks"] == {b"cICP": bytes([12, 13, 0, 1])}


def stamped(profile):
    """A JP2 file and a BMP file of 16 by 16 pixels that hold an ICC profile, as {name: bytes}."""
    picture, buffer = Image.new("RGB", (16, 16), GREEN), io.BytesIO()
    picture.save(buffer, "JPEG2000")
    jp2 = buffer.getvalue()
    start = jp2.index(b"jp2h") - 4
    (length,) = struct.unpack(">I", jp2[start : start + 4])
    inside = jp2[start + 8 : start + length]
    colour = inside.index(b"colr") - 4
    (old,) = struct.unpack(">I", inside[colour : colour + 4])
    box = struct.pack(">I4s3B", 11 + len(profile), b"colr", 2, 0, 0) + profile
    inside = inside[:colour] + box + inside[colour + old :]
    jp2 = jp2[:start] + struct.pack(">I4s", 8 + len(inside), b"jp2h") + inside + jp2[start + length :]
    rows = np.full((16, 16, 3), GREEN[::-1], np.uint8).tobytes()
    head = struct.pack("<IiiHHIIiiII", 124, 16, 16, 1, 24, 0, len(rows), 2835, 2835, 0, 0) + bytes(16)
    head += b"DEBM" + bytes(48) + struct.pack("<IIII", 4, 124 + len(rows), len(profile), 0)
    bmp = b"BM" + struct.pack("<IHHI", 138 + len(rows) + len(profile), 0, 0, 138) + head + rows + profile
    return {"photo.jp2": jp2, "photo.bmp": bmp}


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this Pillow has no JPEG 2000")
@pytest.mark.parametrize("name", ["photo.jp2", "photo.bmp"])
def test_the_profile_in_a_jpeg_2000_or_bmp_file_is_kept(name, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    (tmp_path / name).write_bytes(stamped(profile)[name])
    photo = open_photo(tmp_path / name)
    assert photo.info["icc_profile"] == profile
    assert np.abs(np.subtract(photo.getpixel((8, 8)), GREEN)).max() <= 2
    Image.new("RGB", (16, 16), GREEN).save(tmp_path / f"plain_{name}")
    assert "icc_profile" not in open_photo(tmp_path / f"plain_{name}").info
