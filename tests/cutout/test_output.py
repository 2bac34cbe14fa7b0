"""What is written of a photo, with alphas known beforehand."""

import numpy as np
import pytest
from fake_matter import LeftHalf
from PIL import Image

from helpers.cutout.output import SURE, UNKNOWN, Look, blurred_background, render, trimap_of
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
