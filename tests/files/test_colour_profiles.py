"""Colours by profile, against profiles made here whose answers are known."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from helpers.files.colour_profiles import in_8_bits, in_colour

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
    return result.mode, result.getpixel((3, 2)), kept


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


def test_what_is_no_number_is_black():
    fractions = np.array([[np.nan, 1e38, -np.inf, np.inf, 7]], np.float32)
    assert np.asarray(in_8_bits(Image.fromarray(fractions))).tolist() == [[0, 255, 0, 255, 7]]
