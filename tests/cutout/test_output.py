"""What is written of a photo, with alphas known beforehand."""

import struct

import numpy as np
import pytest
from fake_matter import LeftHalf
from PIL import Image, ImageCms, ImageColor

from helpers.cutout.foreground import over
from helpers.cutout.output import SURE, UNKNOWN, Look, blurred_background, render, trimap_of
from helpers.files.colour_profiles import in_srgb
from helpers.metrics.errors import unknown_region

RED, BLUE = (200, 0, 0), (0, 0, 200)


def photo(size=(40, 20), info=None):
    """Red, which is the person, on the left; blue on the right."""
    picture = Image.new("RGB", size, RED)
    picture.paste(BLUE, (size[0] // 2, 0, *size))
    picture.info = info or {}
    return picture


def colours(picture):
    """The colours of the left half and the right half, in order; each must be of one colour."""
    pixels = np.asarray(picture.convert("RGBA"))
    halves = np.split(pixels, 2, axis=1)
    found = [np.unique(half.reshape(-1, 4), axis=0) for half in halves]
    assert [len(each) for each in found] == [1, 1]
    return [tuple(each[0].tolist()) for each in found]


class Nobody(LeftHalf):
    """Finds no person."""

    def alpha(self, photo):
        return super().alpha(photo) * 0


def test_a_cutout_holds_no_colour_of_the_background():
    cutout = render(LeftHalf(), photo(), Look())
    assert cutout.mode == "RGBA"
    assert colours(cutout) == [(*RED, 255), (0, 0, 0, 0)]


def test_a_picture_without_a_person_becomes_an_empty_cutout():
    assert not np.asarray(render(Nobody(), photo(), Look())).any()
    assert not np.asarray(render(Nobody(), photo(), Look("mask"))).any()
    assert not np.asarray(render(Nobody(), photo(), Look("trimap"))).any()


@pytest.mark.parametrize("look", [Look(), Look("cutout", "white"), Look("mask"), Look("trimap"), Look("side-by-side")])
def test_profile_and_resolution_of_the_photo_go_with_it(look):
    info = {"icc_profile": b"profile", "dpi": (300.0, 300.0)}
    assert render(LeftHalf(), photo(info=info), look).info == info


@pytest.mark.parametrize("background", ["white", "#ffffff", Image.new("L", (7, 3), 255)])
def test_a_background_is_seen_where_the_person_is_not(background):
    shown = render(LeftHalf(), photo(), Look("cutout", background))
    assert shown.mode == "RGB"
    assert colours(shown) == [(*RED, 255), (255, 255, 255, 255)]


def test_a_background_picture_is_cropped_not_squeezed():
    """Of a wide picture, the middle is taken: its green square stays a square."""
    background = Image.new("RGB", (400, 20), "white")
    background.paste((0, 255, 0), (205, 5, 215, 15))
    shown = np.asarray(render(Nobody(), photo(), Look("cutout", background)))
    assert np.array_equal((shown == (0, 255, 0)).all(-1).nonzero(), np.mgrid[5:15, 25:35].reshape(2, -1))


def test_a_mask_is_the_alpha_in_grey():
    mask = render(LeftHalf(), photo(), Look("mask"))
    assert mask.mode == "L"
    assert colours(mask) == [(255, 255, 255, 255), (0, 0, 0, 255)]


def test_what_was_transparent_stays_so_and_is_seen_on_no_background():
    half = photo()
    half.putalpha(51)
    assert colours(render(LeftHalf(), half, Look())) == [(*RED, 51), (0, 0, 0, 0)]
    assert colours(render(LeftHalf(), half, Look("mask"))) == [(51, 51, 51, 255), (0, 0, 0, 255)]
    assert colours(render(LeftHalf(), half, Look("cutout", "black"))) == [(40, 0, 0, 255), (0, 0, 0, 255)]


def test_photo_and_cutout_stand_side_by_side():
    both = render(LeftHalf(), photo(), Look("side-by-side", "white"))
    assert (both.mode, both.size) == ("RGB", (80, 20))
    left, right = both.crop((0, 0, 40, 20)), both.crop((40, 0, 80, 20))
    assert colours(left) == colours(photo())
    assert colours(right) == [(*RED, 255), (255, 255, 255, 255)]


def test_transparent_places_lie_on_a_checkerboard():
    half = photo((128, 64))
    half.putalpha(0)
    half.putpixel((0, 0), (204, 204, 204, 255))  # like the board; else there would be nothing to cut out
    both = np.asarray(render(LeftHalf(), half, Look("side-by-side")))
    board = np.kron(np.add.outer(np.arange(16), np.arange(32)) % 2, np.ones((4, 4))) * 51 + 204
    assert np.array_equal(both, np.dstack([np.hstack([board, board])] * 3))


# --------------------------------------------------------------------------------------------------------------- trimap


def test_a_trimap_is_unknown_around_an_edge():
    alpha = np.zeros((300, 400), np.float32)
    alpha[:, :200] = 1
    trimap, reach = trimap_of(alpha), 400 * UNKNOWN
    assert trimap.dtype == np.uint8
    assert np.array_equal(unknown_region(trimap)[7].nonzero()[0], np.arange(200 - reach, 200 + reach))
    assert (trimap[:, :150] == 255).all()
    assert (trimap[:, 250:] == 0).all()


def test_a_trimap_is_unknown_where_the_alpha_is_between_and_a_little_beyond():
    alpha = np.zeros((200, 200), np.float32)
    alpha[100, 100] = 0.5
    assert np.array_equal(np.argwhere(trimap_of(alpha) == 128), np.mgrid[98:103, 98:103].reshape(2, -1).T)


def test_what_is_nearly_sure_is_sure():
    assert (trimap_of(np.full((9, 9), SURE, np.float32)) == 0).all()
    assert (trimap_of(np.full((9, 9), 1 - SURE, np.float32)) == 255).all()
    assert (trimap_of(np.full((9, 9), 2 * SURE, np.float32)) == 128).all()


# ----------------------------------------------------------------------------------------------------------------- blur


@pytest.mark.parametrize("size", [(40, 20), (1600, 1200), (1, 30), (1, 1)])
def test_the_blurred_background_has_nothing_of_the_person(size):
    """The background is blue, so all of it is, behind the red person as well."""
    picture = photo(size) if size[0] > 1 else Image.new("RGB", size, BLUE)
    cutout = LeftHalf().cutout(picture) if size[0] > 1 else Nobody().cutout(picture)
    blurred = blurred_background(picture, cutout)
    assert (blurred.mode, blurred.size) == ("RGB", size)
    assert np.abs(np.asarray(blurred, int) - BLUE).max() <= 2


def test_the_blurred_background_is_blurred():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8))
    blurred = np.asarray(blurred_background(noise, Nobody().cutout(noise)), int)
    assert np.abs(blurred - 127.5).max() < 20


def test_what_is_transparent_in_the_photo_is_not_in_its_blurred_background():
    picture = photo((80, 40)).convert("RGBA")
    picture.paste((255, 255, 0, 0), (60, 0, 80, 40))
    blurred = np.asarray(blurred_background(picture, LeftHalf().cutout(picture)), int)
    assert np.abs(blurred - BLUE).max() <= 2


# ------------------------------------------------------------------------------------------------------------- colours

GREEN = (60, 180, 90)


def profile_with(primaries):
    """lcms' sRGB profile with other primaries: XYZ of red, green and blue for D50."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(profile[128:132])
    tags = [struct.unpack(">4sII", profile[132 + 12 * number : 144 + 12 * number]) for number in range(count)]
    places = {tag: start for tag, start, _ in tags}
    for tag, xyz in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True):
        values = (round(value * 65536) for value in xyz)
        profile[places[tag] + 8 : places[tag] + 20] = struct.pack(">3i", *values)
    return bytes(profile)


P3 = profile_with([(0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)])
ADOBE = profile_with([(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)])
SRGB = profile_with([(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141)])


def tagged(picture, profile):
    picture.info = {"icc_profile": profile} if profile else {}
    return picture


def seen(picture):
    """The colours of both halves as a screen in sRGB shows them."""
    return [colour[:3] for colour in colours(in_srgb(picture))]


@pytest.mark.parametrize("own", [None, SRGB, P3, ADOBE], ids=["none", "sRGB", "P3", "Adobe RGB"])
@pytest.mark.parametrize("profile", [None, SRGB, P3, ADOBE], ids=["none", "sRGB", "P3", "Adobe RGB"])
@pytest.mark.parametrize("kind", ["cutout", "side-by-side"])
def test_a_background_is_seen_in_its_own_colours(kind, profile, own, shape=(20, 10)):
    picture = tagged(photo(shape), profile)
    background = tagged(Image.new("RGB", (5, 5), GREEN), own)
    shown = render(LeftHalf(), picture, Look(kind, background))
    assert shown.info == picture.info
    if kind == "side-by-side":
        assert np.array_equal(np.asarray(shown)[:, :20], np.asarray(picture))
        shown = tagged(shown.crop((20, 0, 40, 10)), profile)
    person, behind = seen(shown)
    assert np.abs(np.subtract(person, seen(picture)[0])).max() <= 1
    assert np.abs(np.subtract(behind, in_srgb(background).getpixel((0, 0)))).max() <= 2


@pytest.mark.parametrize("profile", [None, SRGB, P3, ADOBE], ids=["none", "sRGB", "P3", "Adobe RGB"])
@pytest.mark.parametrize("colour", ["white", "#3cb45a", "black"])
def test_a_colour_is_seen_as_it_is_named(colour, profile):
    shown = render(LeftHalf(), tagged(photo(), profile), Look("cutout", colour))
    assert np.abs(np.subtract(seen(shown)[1], ImageColor.getrgb(colour))).max() <= 1


def test_the_photos_own_background_keeps_its_numbers():
    for info in ({"icc_profile": P3}, {"colour_chunks": {b"cICP": bytes([9, 16, 0, 1])}}):
        picture = photo((200, 100), info=info)
        shown = render(LeftHalf(), picture, Look("cutout", "blur"))
        assert np.abs(np.asarray(shown)[:, 100:].astype(int) - BLUE).max() <= 2
        assert shown.info == info


def test_hdr_photos_get_no_other_background():
    picture = photo(info={"colour_chunks": {b"cICP": bytes([9, 16, 0, 1])}})
    assert render(LeftHalf(), picture, Look()).info == picture.info
    with pytest.raises(ValueError, match="HDR colours"):
        render(LeftHalf(), picture, Look("cutout", "white"))


@pytest.mark.parametrize("mode, colour", [("RGBA", (255, 0, 255, 0)), ("LA", (77, 0)), ("P", 0)])
def test_hidden_colours_of_a_background_stay_hidden(mode, colour):
    background = Image.new(mode, (5, 5), colour)
    if mode == "P":
        background.putpalette([255, 0, 255])
        background.info["transparency"] = 0
    shown = render(LeftHalf(), photo(), Look("cutout", background))
    assert colours(shown) == [(*RED, 255), (255, 255, 255, 255)]
    assert over(photo().convert("RGBA"), background).getpixel((0, 0)) == RED


def test_half_of_a_background_is_seen_on_white():
    background = Image.new("RGBA", (5, 5), (0, 0, 0, 51))
    assert colours(render(LeftHalf(), photo(), Look("cutout", background)))[1] == (204, 204, 204, 255)


@pytest.mark.parametrize("kind", ["cutout", "mask", "trimap", "side-by-side"])
def test_a_photo_that_is_transparent_everywhere_is_refused(kind):
    picture = photo()
    picture.putalpha(0)
    with pytest.raises(ValueError, match="transparent everywhere.*save it without"):
        render(LeftHalf(), picture, Look(kind))
