"""Refining a small alpha against the photo: edges where the photo has them, and nothing where there was nothing."""

import cv2
import numpy as np
import pytest

from helpers.cutout.refine import PLAIN, refine
from helpers.metrics.errors import transition_band
from helpers.synthetic.dataset import make_portrait


def reduced(photo, size):
    return cv2.resize(photo, size[::-1], interpolation=cv2.INTER_AREA)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("size", [(500, 300), (33, 500), (20, 30)])
def test_a_constant_alpha_stays_as_it_is(value, size):
    photo = noise(*size)
    alpha = refine(np.full((32, 64), value, np.float32), reduced(photo, (32, 64)), photo)
    assert alpha.dtype == np.float32 and alpha.shape == size
    assert np.allclose(alpha, value, atol=1e-6)
    assert value == 0.4 or np.array_equal(alpha, np.full(size, value, np.float32))


@pytest.mark.parametrize("size", [(300, 500), (20, 30)])
def test_a_picture_without_a_person_gives_an_empty_alpha(size):
    photo = noise(*size)
    ghost = np.random.default_rng(1).uniform(0, 0.9 * PLAIN, (32, 48)).astype(np.float32)
    assert not refine(ghost, reduced(photo, (32, 48)), photo).any()


def step(height=400, width=600, edge=217):
    """A photo of two colours with an edge that no small pixel ends at, and its alpha."""
    alpha = np.zeros((height, width), np.float32)
    alpha[:, edge:] = 1
    photo = np.where(alpha[..., None] > 0, np.uint8([200, 90, 40]), np.uint8([60, 80, 180]))
    return photo, alpha


def test_an_edge_is_where_the_photo_has_it():
    photo, true = step()
    small, rough = reduced(photo, (32, 48)), reduced(true, (32, 48))
    error = np.abs(refine(rough, small, photo) - true)
    enlarged = np.abs(cv2.resize(rough, true.shape[::-1]) - true)
    assert error.max() < 0.03
    assert error.sum() < enlarged.sum() / 10


def test_an_alpha_that_follows_the_colours_does_so_in_detail():
    small = noise(32, 48)
    photo = np.kron(small, np.ones((9, 9, 1), np.uint8))
    photo[4::9, 4::9] = 128  # smaller than the network could see

    def follow(colours):
        return 0.1 + (colours.astype(np.float32) / 255) @ np.float32([0.5, 0.2, 0.1])

    assert np.allclose(refine(follow(small), small, photo), follow(photo), rtol=0, atol=1e-3)


def test_far_from_edges_an_alpha_is_exactly_0_or_1():
    photo, true = step()
    rough = reduced(true, (32, 48)) * 0.985 + 0.01  # the network is never quite sure
    alpha = refine(rough, reduced(photo, (32, 48)), photo)
    pixel = 600 / 48
    near = int(4 * pixel)
    assert not alpha[:, : 217 - near].any()
    assert np.array_equal(alpha[:, 217 + near :], true[:, 217 + near :])


def test_what_is_half_transparent_stays_so():
    photo = noise(200, 300)
    photo[:, 150:] = 30
    rough = np.full((32, 48), 0.6, np.float32)
    rough[:, :12] = 0
    alpha = refine(rough, reduced(photo, (32, 48)), photo)
    assert np.allclose(alpha[:, 150:], 0.6, atol=1e-6)


def test_a_photo_as_small_as_the_alpha_is_not_refined():
    photo = noise(32, 48)
    rough = np.random.default_rng(2).random((32, 48), np.float32)
    assert np.array_equal(refine(rough, photo, photo), rough)


def test_refining_a_made_portrait_beats_enlarging_it():
    portrait = make_portrait(4, 768)
    true = portrait.matte.astype(np.float32) / 255
    rough = reduced(true, (128, 128))
    band = transition_band(true, 37)

    def error(alpha):
        return np.abs(alpha - true)[band].mean()

    refined = error(refine(rough, reduced(portrait.image, (128, 128)), portrait.image))
    assert refined < 0.7 * error(cv2.resize(rough, true.shape[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 1))


def test_tiles_leave_no_seams(monkeypatch):
    photo = noise(300, 420)
    rough = cv2.resize(np.random.default_rng(3).random((4, 6), np.float32), (48, 32))
    small = reduced(photo, (32, 48))
    tiled = refine(rough, small, photo)
    monkeypatch.setattr("helpers.cutout.tiles.SIDE", 1000)
    assert np.allclose(refine(rough, small, photo), tiled, atol=1e-5)
    monkeypatch.setattr("helpers.cutout.tiles.SIDE", 37)
    assert np.allclose(refine(rough, small, photo), tiled, atol=1e-5)
