"""Pictures of more than 8 bits, with the greys that must come out, or the reason why none can."""

import numpy as np
import pytest
from PIL import Image, features

from helpers.files.bit_depth import in_8_bits
from helpers.files.photos import look_inside, open_photo, read_photo

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
"""A photo that has every grey."""


def greys(path):
    """The greys of a photo file, by both of its readers."""
    shown, read = np.asarray(open_photo(path)), read_photo(path)
    assert np.array_equal(shown, read)
    assert (read == read[..., :1]).all()
    return read[..., 0]


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_fractions_are_scaled_by_what_is_white(white, tmp_path):
    Image.fromarray((RAMP / np.float32(255) * white).astype(np.float32)).save(tmp_path / "float.tif")
    assert np.array_equal(greys(tmp_path / "float.tif"), RAMP)


def test_highlights_and_rims_of_filters_are_clipped():
    values = np.full((20, 20), 0.2, np.float32)
    values[0, :3] = 7.5, 1.4, -0.05
    assert np.asarray(in_8_bits(Image.fromarray(values)))[0, :4].tolist() == [255, 255, 0, 51]


def test_what_is_no_number_is_black_and_infinite_light_is_white():
    values = np.array([[np.nan, -np.inf, np.inf, 0.4]], np.float32)
    assert np.asarray(in_8_bits(Image.fromarray(values))).tolist() == [[0, 0, 255, 102]]
    assert np.asarray(in_8_bits(Image.fromarray(values[:, :1]))).tolist() == [[0]]


@pytest.mark.parametrize("values", [
    RAMP / 127.5 - 1, (RAMP - 127.5) / 70, RAMP / 32, RAMP * 8.0, RAMP * 1e6, RAMP / 170, RAMP * 1.57, RAMP / 2.55,
])  # fmt: skip
def test_fractions_with_another_white_are_refused(values, tmp_path):
    """From -1 to 1, standardised, to 8 (darker than any photo to 255), to 2040, to 255 million, 1.5, 400, 100 %."""
    Image.fromarray(values.astype(np.float32)).save(tmp_path / "float.tif")
    for read in (open_photo, read_photo):
        with pytest.raises(ValueError, match=r"float\.tif: .*its floats run from about .* save it in 8 or 16 bits"):
            read(tmp_path / "float.tif")


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("extension", ["png", "tif", "jp2", "pgm"])
def test_whole_numbers_of_fewer_bits_in_16_are_scaled_by_their_own_white(bits, extension, tmp_path):
    if extension == "jp2" and not features.check("jpg_2000"):
        pytest.skip("this Pillow has no JPEG 2000")
    deep = (RAMP / 255 * (2**bits - 1)).round().astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / f"deep.{extension}")
    assert np.abs(greys(tmp_path / f"deep.{extension}") - RAMP.astype(int)).max() <= 1


@pytest.mark.parametrize("bits", [8, 12, 16])
def test_whole_numbers_of_32_bits_are_read_like_those_of_16(bits, tmp_path):
    Image.fromarray((RAMP / 255 * (2**bits - 1)).round().astype(np.int32)).save(tmp_path / "deep.tif")
    assert np.abs(greys(tmp_path / "deep.tif") - RAMP.astype(int)).max() <= 1


@pytest.mark.parametrize("values", [RAMP * np.int32(2**23), RAMP - np.int32(128), RAMP * np.int32(300)])
def test_signed_numbers_and_those_of_more_than_16_bits_are_refused(values, tmp_path):
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "deep.tif")
    with pytest.raises(ValueError, match=r"deep\.tif: .*its numbers run from .*save it in 8 or 16 bits"):
        open_photo(tmp_path / "deep.tif")


@pytest.mark.parametrize("white", [1023, 4095, 16383])
def test_the_white_that_a_tiff_names_counts(white, tmp_path):
    """A dark photo stays dark."""
    deep = (RAMP / 255 * white / 4).round().astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.tif", tiffinfo={281: white})
    assert np.abs(greys(tmp_path / "deep.tif") - RAMP / 4).max() <= 1


def test_a_tiff_of_12_bits_is_scaled_by_12_bits(tmp_path):
    """Pillow reads such files and writes none: two greys, 1024 and 3072 of 4095, in three bytes."""
    from struct import pack

    entries = [(256, 2), (257, 1), (258, 12), (259, 1), (262, 1), (273, 8), (277, 1), (278, 1), (279, 3)]
    directory = pack("<H", len(entries)) + b"".join(pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in entries)
    (tmp_path / "deep.tif").write_bytes(b"II*\0" + pack("<I", 12) + bytes([0x40, 0x0C, 0x00, 0]) + directory + bytes(4))
    assert greys(tmp_path / "deep.tif").tolist() == [[64, 191]]


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_a_tiff_whose_0_is_white_is_no_negative(kind, tmp_path):
    deep = ((255 - RAMP) * 257.0).astype(np.uint16) if kind == np.uint16 else (255 - RAMP) / np.float32(255)
    Image.fromarray(deep).save(tmp_path / "scan.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "scan.tif") as picture:
        assert picture.tag_v2[262] == 0
    assert np.array_equal(greys(tmp_path / "scan.tif"), RAMP)


def colours_in_16_bits(path, most):
    """A colour file of 16 bits whose brightest number is `most`; OpenCV writes it, as Pillow does not."""
    import cv2

    numbers = np.random.default_rng(0).integers(0, most, (24, 24, 3), np.uint16, endpoint=True)
    cv2.imwrite(str(path), numbers)
    return (numbers[..., ::-1] / 65535 * 255).round()


@pytest.mark.parametrize("extension", ["png", "tif"])
def test_colours_of_fewer_bits_in_16_are_refused_not_shown_black(extension, tmp_path):
    path = tmp_path / f"deep.{extension}"
    shown = colours_in_16_bits(path, 65535)
    assert np.abs(read_photo(path) - shown).max() <= 1
    for bits in (8, 12, 14):
        colours_in_16_bits(path, 2**bits - 1)
        for read in (open_photo, read_photo):
            with pytest.raises(ValueError, match=r"deep\.\w+: .*it may hold 12 or 14 bits; save it in 8 bits"):
                read(path)


def test_a_plane_of_16_bits_for_each_colour_is_refused_as_pillow_mixes_them_up(tmp_path):
    """A photo of two pixels, whose three planes follow each other."""
    from struct import pack

    entries = [(256, 2), (257, 1), (258, 16), (259, 1), (262, 2), (277, 3), (278, 1), (284, 2)]
    places = 8 + 2 + 12 * (len(entries) + 2) + 4
    listed = [(tag, 3, 1, pack("<HH", value, 0)) for tag, value in entries if tag != 258]
    listed += [(tag, kind, 3, pack("<I", places + at)) for tag, kind, at in ((258, 3, 0), (273, 4, 6), (279, 4, 18))]
    directory = pack("<H", len(listed)) + b"".join(pack("<HHI", *entry[:3]) + entry[3] for entry in sorted(listed))
    body = pack("<HHH", 16, 16, 16) + pack("<III", *(places + 30 + 4 * i for i in range(3))) + pack("<III", 4, 4, 4)
    pixels = pack("<HHHHHH", 65535, 0, 65535, 0, 65535, 0)
    (tmp_path / "planes.tif").write_bytes(b"II*\0" + pack("<I", 8) + directory + bytes(4) + body + pixels)
    for read in (open_photo, read_photo):
        with pytest.raises(ValueError, match=r"planes\.tif: .*own plane of 16 bits; save it with interleaved channels"):
            read(tmp_path / "planes.tif")


def test_signed_numbers_of_8_bits_are_refused(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "signed.tif", tiffinfo={339: 2})
    with pytest.raises(ValueError, match=r"signed\.tif: .*its numbers are signed; save it"):
        open_photo(tmp_path / "signed.tif")


def test_grey_that_may_hold_14_bits_is_refused(tmp_path):
    Image.fromarray(RAMP.astype(np.uint16) * np.uint16(64)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png: .*largest number is 16320 .*14 bits; save it in 8 bits"):
        open_photo(tmp_path / "deep.png")


def test_a_grey_of_16_bits_that_is_transparent_stays_so(tmp_path):
    Image.fromarray(RAMP.astype(np.uint16) * np.uint16(257)).save(tmp_path / "deep.png", transparency=200 * 257)
    photo = open_photo(tmp_path / "deep.png")
    assert photo.mode == "RGBA"
    assert np.array_equal(np.asarray(photo)[..., 3], np.where(RAMP == 200, 0, 255))


def test_eight_bits_are_left_alone():
    picture = Image.new("RGB", (2, 2), (3, 4, 5))
    assert in_8_bits(picture) is picture


def test_what_is_inside_is_told_without_reading_the_numbers(tmp_path):
    Image.fromarray(RAMP.astype(np.float32) * 1e6).save(tmp_path / "float.tif")
    assert look_inside(tmp_path / "float.tif") == (256, "")
