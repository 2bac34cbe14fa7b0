"""Colours by profile, against profiles made here whose answers are known."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageCms
from support import add_chunks

from helpers.files.colour_profiles import in_colour, in_colours_of, in_srgb
from helpers.files.photos import open_photo
from helpers.files.png import encode_png

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def profile(kind, space, connection, tag, data):
    """An ICC profile, version 2, with one tag (ICC.1:2001-04, sections 6.1 and 6.2)."""
    body = struct.pack(">I4sII", 1, tag, 144, len(data)) + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"", 0x02100000, kind, space, connection) + bytes(12) + b"acsp"
    illuminant = struct.pack(">3i", *(round(part * 65536) for part in (0.9642, 1, 0.8249)))
    return (head.ljust(68, b"\0") + illuminant).ljust(128, b"\0") + body


LINEAR_GREY = profile(b"mntr", b"GRAY", b"XYZ ", b"kTRC", b"curv" + struct.pack(">IIH", 0, 1, 256) + bytes(2))
"""Half of the light is half of the number; in sRGB that is 188."""


def grey_inks():
    """A printer that prints grey with the first ink, nothing with the others: by a table of all inks on or off."""
    ramp = bytes(range(256))
    table = b"".join(bytes([0 if index & 8 else 255, 128, 128]) for index in range(16))  # L, a, b; the first ink is 8
    identity = struct.pack(">9i", *(65536 * one for one in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    data = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + table + 3 * ramp
    return profile(b"prtr", b"CMYK", b"Lab ", b"A2B0", data)


def shown(mode, colour, icc_profile=None):
    """What `in_colour` makes of a picture of one colour: its mode, the colour, the profile."""
    picture = Image.new(mode, (4, 3), colour)
    picture.info["icc_profile"] = icc_profile
    result, kept = in_colour(picture)
    assert result.size == (4, 3)
    assert set(kept) <= {"icc_profile"}
    return result.mode, result.getpixel((3, 2)), kept.get("icc_profile")


@pytest.mark.parametrize("mode, colour, rgb", [
    ("1", 255, (255,) * 3), ("L", 77, (77,) * 3), ("I;16", 257 * 77, (77,) * 3), ("F", 77.4, (77,) * 3),
    ("RGB", (1, 2, 3), (1, 2, 3)), ("CMYK", (255, 0, 0, 0), (0, 255, 255)), ("YCbCr", (77, 128, 128), (77,) * 3),
])  # fmt: skip
def test_every_mode_becomes_rgb(mode, colour, rgb):
    assert shown(mode, colour) == ("RGB", rgb, None)


def test_transparency_is_kept_in_every_mode():
    assert shown("RGBA", (1, 2, 3, 4))[:2] == ("RGBA", (1, 2, 3, 4))
    assert shown("LA", (77, 4))[:2] == ("RGBA", (77, 77, 77, 4))
    for mode, key in (("L", 77), ("RGB", (77, 77, 77))):
        picture = Image.new(mode, (2, 1), key)
        picture.putpixel((1, 0), 9 if mode == "L" else (9, 9, 9))
        picture.info["transparency"] = key
        assert in_colour(picture)[0].tobytes() == bytes([77, 77, 77, 0, 9, 9, 9, 255])
    palette = Image.new("P", (1, 1), 1)
    palette.putpalette([0, 0, 0, 1, 2, 3])
    palette.info["transparency"] = b"\xff\x04"
    assert in_colour(palette)[0].tobytes() == bytes([1, 2, 3, 4])


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_profile_of_rgb_is_kept_with_its_numbers(mode):
    colour = (1, 2, 3, 4)[: len(mode)]
    assert shown(mode, colour, SRGB) == (mode, colour, SRGB)


def test_a_palette_keeps_its_profile_of_rgb():
    assert shown("P", 0, SRGB)[::2] == ("RGB", SRGB)


@pytest.mark.parametrize("mode, colour", [("L", 128), ("LA", (128, 9)), ("I;16", 128 * 257)])
def test_grey_with_a_profile_becomes_srgb(mode, colour):
    kind, colour, kept = shown(mode, colour, LINEAR_GREY)
    assert np.abs(np.subtract(colour[:3], 188)).max() <= 1
    assert (kind, colour[3:], kept) == (("RGBA", (9,), None) if mode == "LA" else ("RGB", (), None))


def test_cmyk_with_a_profile_becomes_srgb():
    for inks, grey in (((0, 0, 0, 0), 255), ((255, 0, 0, 0), 0), ((0, 255, 255, 255), 255)):
        mode, colour, kept = shown("CMYK", inks, grey_inks())
        assert np.abs(np.subtract(colour, grey)).max() <= 1
        assert (mode, kept) == ("RGB", None)


@pytest.mark.parametrize("mode, colour, rgb", [("L", 77, (77,) * 3), ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
                                               ("RGB", (1, 2, 3), (1, 2, 3))])  # fmt: skip
@pytest.mark.parametrize("wrong", [b"", b"no profile", grey_inks()[:200], LINEAR_GREY[:140], SRGB[:200], "another"],
                         ids=["empty", "text", "half of CMYK", "half of grey", "half of RGB", "another"])  # fmt: skip
def test_a_profile_that_is_broken_or_of_another_mode_counts_nothing(mode, colour, rgb, wrong):
    if wrong == "another":
        wrong = LINEAR_GREY if mode != "L" else SRGB
    assert shown(mode, colour, wrong) == ("RGB", rgb, None)


# ------------------------------------------------------------------------------------- what a PNG says of its colours

GREEN = (60, 180, 90)
PQ = bytes([9, 16, 0, 1])


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(path, colour=GREEN, profile=None, **chunks):
    """A PNG file of one colour with these chunks, which Pillow does not write."""
    Image.new("L" if isinstance(colour, int) else "RGB", (8, 6), colour).save(path, icc_profile=profile)
    return add_chunks(path, **chunks)


def gamma(value):
    return struct.pack(">I", round(value * 100_000))


def primaries(*places):
    return struct.pack(">8I", *(round(place * 100_000) for place in places))


REC709 = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def light(numbers):
    """The light of numbers in sRGB (IEC 61966-2-1)."""
    numbers = np.asarray(numbers) / 255
    return np.where(numbers <= 0.04045, numbers / 12.92, ((numbers + 0.055) / 1.055) ** 2.4)


def numbers_in_srgb(light):
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


P3_IN_SRGB = np.array([[1.2249, -0.2247, 0], [-0.0420, 1.0419, 0], [-0.0197, -0.0786, 1.0979]])
"""From the light of Display P3 to that of sRGB."""


def seen(picture):
    """What a screen in sRGB shows of a picture, by the profile in its `info`."""
    return in_srgb(picture).getpixel((2, 2))


@pytest.mark.parametrize("chunks, expected", [
    ({}, GREEN), ({"sRGB": b"\0"}, GREEN), ({"gAMA": gamma(0.45455)}, GREEN), ({"cICP": bytes([1, 13, 0, 1])}, GREEN),
    ({"gAMA": gamma(0.45455), "cHRM": primaries(*REC709)}, GREEN),
    ({"gAMA": gamma(1)}, numbers_in_srgb(np.array(GREEN) / 255)),
    ({"gAMA": gamma(0.55)}, numbers_in_srgb((np.array(GREEN) / 255) ** (1 / 0.55))),
    ({"cICP": bytes([12, 13, 0, 1])}, numbers_in_srgb(P3_IN_SRGB @ light(GREEN))),
    ({"cHRM": primaries(*P3)}, numbers_in_srgb(P3_IN_SRGB @ light(GREEN))),
    ({"cICP": bytes([1, 8, 0, 1])}, numbers_in_srgb(np.array(GREEN) / 255)),
    ({"sRGB": b"\0", "gAMA": gamma(1)}, GREEN), ({"cICP": bytes([1, 13, 0, 1]), "gAMA": gamma(1)}, GREEN),
    ({"gAMA": gamma(0)}, GREEN), ({"gAMA": b"\xff" * 4, "cHRM": bytes(32)}, GREEN),
], ids=lambda value: "+".join(value) if isinstance(value, dict) else "")  # fmt: skip
def test_what_a_png_says_of_its_colours_is_true_of_its_photo_and_of_what_is_written(chunks, expected, tmp_path):
    photo = open_photo(png(tmp_path / "photo.png", **chunks))
    assert photo.getpixel((2, 2)) == GREEN
    assert np.abs(np.subtract(seen(photo), expected)).max() <= 1.5
    (tmp_path / "again.png").write_bytes(encode_png(photo))
    again = open_photo(tmp_path / "again.png")
    assert again.getpixel((2, 2)) == GREEN
    assert np.abs(np.subtract(seen(again), expected)).max() <= 1.5
    with Image.open(tmp_path / "again.png") as plain:  # a program that knows profiles only
        profile = plain.info.get("icc_profile")
    shown = Image.new("RGB", (3, 3), GREEN)
    shown.info["icc_profile"] = profile
    assert np.abs(np.subtract(seen(shown), expected)).max() <= 1.5


def test_chunks_are_written_as_they_were_read(tmp_path):
    for chunks in ({"cICP": bytes([12, 13, 0, 1])}, {"cICP": PQ}, {"sRGB": b"\1"},
                   {"gAMA": gamma(1), "cHRM": primaries(*P3)}):  # fmt: skip
        photo = open_photo(png(tmp_path / "photo.png", **chunks))
        written = encode_png(photo)
        for kind, data in chunks.items():
            assert written.count(chunk(kind.encode(), data)) == 1
        assert written.count(b"iCCP") == (photo.info.get("icc_profile") is not None)
        assert open_photo(written).info.get("icc_profile") == photo.info.get("icc_profile")


def test_what_counts_nothing_beside_a_profile_is_not_written(tmp_path):
    photo = open_photo(png(tmp_path / "photo.png", profile=SRGB, sRGB=b"\0", gAMA=gamma(1)))
    assert photo.info == {"icc_profile": SRGB}


def test_grey_that_is_converted_is_no_longer_what_its_file_says(tmp_path):
    photo = open_photo(png(tmp_path / "photo.png", 128, profile=LINEAR_GREY, gAMA=gamma(1)))
    assert np.abs(np.subtract(photo.getpixel((1, 1)), 188)).max() <= 1
    assert photo.info == {}
    photo = open_photo(png(tmp_path / "photo.png", 128, gAMA=gamma(1)))
    assert photo.getpixel((1, 1)) == (128, 128, 128)
    assert np.abs(np.subtract(seen(photo), 188)).max() <= 1


def test_the_profile_that_is_built_is_a_whole_one(tmp_path):
    built = open_photo(png(tmp_path / "photo.png", cICP=bytes([9, 14, 0, 1]))).info["icc_profile"]
    profile = ImageCms.ImageCmsProfile(BytesIO(built))
    assert len(built) == int.from_bytes(built[:4])
    assert profile.profile.xcolor_space == "RGB "
    assert np.allclose(profile.profile.media_white_point[0], (0.9642, 1, 0.8249), atol=1e-3)
    red, green, blue = (getattr(profile.profile, f"{name}_primary")[0] for name in ("red", "green", "blue"))
    assert np.allclose(np.sum([red, green, blue], 0), (0.9642, 1, 0.8249), atol=1e-3)
    assert np.allclose(red, (0.6735, 0.2790, -0.0019), atol=1e-3)  # of BT.2020, for D50


# --------------------------------------------------------------------------------------- two pictures with one meaning


def test_colours_are_brought_into_another_pictures_profile_and_back(tmp_path):
    wide = open_photo(png(tmp_path / "photo.png", cICP=bytes([12, 13, 0, 1])))
    red = Image.new("RGB", (2, 2), (230, 30, 30))
    matched = in_colours_of(red, wide)
    assert np.abs(np.subtract(matched.getpixel((0, 0)), (213, 57, 46))).max() <= 3
    assert np.abs(np.subtract(in_srgb(matched).getpixel((0, 0)), (230, 30, 30))).max() <= 1
    assert matched.info == wide.info
    back = in_colours_of(wide, red)
    assert np.abs(np.subtract(back.getpixel((0, 0)), numbers_in_srgb(P3_IN_SRGB @ light(GREEN)))).max() <= 1.5
    assert back.info == {}


def test_pictures_with_one_meaning_are_left_alone(tmp_path):
    for chunks in ({}, {"cICP": PQ}, {"gAMA": gamma(1)}):
        photo = open_photo(png(tmp_path / "photo.png", **chunks))
        assert in_colours_of(photo, photo.copy()) is photo


def test_hdr_colours_are_put_together_with_no_others(tmp_path):
    photo, plain = open_photo(png(tmp_path / "photo.png", cICP=PQ)), Image.new("RGB", (2, 2))
    for pair in ((photo, plain), (plain, photo)):
        with pytest.raises(ValueError, match="HDR colours .*save the picture in sRGB"):
            in_colours_of(*pair)


def test_a_profile_that_leads_one_way_only_is_told():
    camera, table = Image.new("RGB", (1, 1)), b"mft1" + bytes(4) + bytes([3, 3, 2, 0])
    identity = struct.pack(">9i", *(65536 * one for one in (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    grid = b"".join(bytes([255 if index == 7 else 0, 128, 128]) for index in range(8))
    camera.info["icc_profile"] = profile(
        b"scnr", b"RGB ", b"Lab ", b"A2B0", table + identity + 3 * bytes(range(256)) + grid + 3 * bytes(range(256))
    )
    assert in_colours_of(Image.new("RGB", (1, 1), "red"), camera) is None
    assert np.abs(np.array(in_srgb(camera).getpixel((0, 0)))).max() <= 1
