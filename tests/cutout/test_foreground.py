"""The person's own colours: no halo of the old background, and nothing changed where there is none."""

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.cutout.foreground import NEAR, foreground_colours, over
from helpers.cutout.tiles import enlarged


def hairy(height=400, width=560):
    """An alpha with a solid head and strands of hair around it, thinner than a pixel and blurred into the photo."""
    large, scale = np.zeros((2 * height, 2 * width), np.uint8), min(height, width) / 400
    centre, numbers = np.array([width, 1.1 * height]), np.random.default_rng(0)
    cv2.circle(large, centre.astype(int).tolist(), round(220 * scale), 255, -1, cv2.LINE_AA)
    for angle in numbers.uniform(0, 2 * np.pi, 150):
        end = centre + numbers.uniform(240, 380) * scale * np.array([np.cos(angle), np.sin(angle)])
        cv2.line(large, centre.astype(int).tolist(), end.astype(int).tolist(), 255, 1, cv2.LINE_AA)
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def composite(height=400, width=560):
    """Brown hair and skin that changes slowly, over loud stripes: photo, alpha, the foreground's true colours."""
    alpha = hairy(height, width)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    true = np.dstack([90 + 60 * x, 60 + 30 * y, 40 + 20 * x * y])
    stripes = np.where(((x + y) * 6).astype(int)[..., None] % 2, [0.0, 255, 60], [255.0, 0, 255])
    photo = (alpha[..., None] * true + (1 - alpha[..., None]) * stripes).round().astype(np.uint8)
    return photo, alpha, true


def test_foreground_colours_lose_the_old_background():
    """A grey person with a soft edge over loud green: the estimated colours are grey again, the photo's are not."""
    ramp = np.clip(np.abs(np.linspace(-1.5, 1.5, 64)) * -2 + 2, 0, 1)
    alpha = np.tile(ramp, (64, 1)).astype(np.float32)
    grey, green = np.array([120.0, 120, 120]), np.array([0.0, 255, 0])
    photo = (alpha[..., None] * grey + (1 - alpha[..., None]) * green).round().astype(np.uint8)
    soft = (alpha > 0.3) & (alpha < 0.9)
    estimated = np.abs(foreground_colours(photo, alpha)[soft] - grey).mean()
    assert estimated < 10
    assert np.abs(photo[soft] - grey).mean() > 4 * estimated


def test_hair_cut_out_of_a_loud_background_keeps_its_own_colours():
    photo, alpha, true = composite()
    soft = (alpha > 0.05) & (alpha < 0.95)
    error = np.abs(foreground_colours(photo, alpha) - true)[soft].mean()
    assert error < 8
    assert error < np.abs(photo - true)[soft].mean() / 10


def test_only_what_is_soft_gets_other_colours():
    photo, alpha, _ = composite()
    colours = foreground_colours(photo, alpha)
    touched = cv2.dilate(((alpha > 0) & (alpha < 1)).astype(np.uint8), np.ones((2 * NEAR + 1, 2 * NEAR + 1)))
    assert np.array_equal(colours[touched == 0], photo[touched == 0])
    assert np.abs(colours[alpha == 1].astype(int) - photo[alpha == 1]).max() <= 1
    assert colours.dtype == np.uint8


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_photo_without_edges_keeps_its_colours(value):
    photo = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    assert np.array_equal(foreground_colours(photo, np.full((30, 40), value, np.float32)), photo)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 90), (90, 1)])
def test_photos_one_pixel_wide_have_colours(height, width):
    photo = np.full((height, width, 3), 77, np.uint8)
    colours = foreground_colours(photo, np.full((height, width), 0.5, np.float32))
    assert np.abs(colours.astype(int) - photo).max() <= 2


def test_the_photo_given_is_not_changed():
    photo, alpha, _ = composite()
    before = photo.copy()
    foreground_colours(photo, alpha)
    assert np.array_equal(photo, before)


def test_tiles_leave_no_seams(monkeypatch):
    photo, alpha, _ = composite()
    tiled = foreground_colours(photo, alpha).astype(int)
    for side in (60, 1000):
        monkeypatch.setattr("helpers.cutout.tiles.SIDE", side)
        assert np.abs(foreground_colours(photo, alpha) - tiled).max() <= 1


def test_colours_of_a_large_photo_are_estimated_in_a_reduced_one(monkeypatch):
    photo, alpha, true = composite(800, 1120)
    soft = (alpha > 0.05) & (alpha < 0.95)
    whole = np.abs(foreground_colours(photo, alpha) - true)[soft].mean()
    sizes, spy = [], lambda low, *rest: sizes.append(low.shape) or enlarged(low, *rest)
    monkeypatch.setattr("helpers.cutout.foreground.REDUCED", photo.size // 3 // 9)
    monkeypatch.setattr("helpers.cutout.foreground.enlarged", spy)
    assert np.abs(foreground_colours(photo, alpha) - true)[soft].mean() < whole + 3
    assert set(sizes) == {(3, 267, 373)}  # a third of each side


def test_compositing_uses_straight_alpha():
    cutout = Image.new("RGBA", (2, 1), (200, 100, 0, 128))
    assert over(cutout, "white").getpixel((0, 0)) == (227, 177, 127)
    assert over(cutout, "#0000ff").getpixel((1, 0)) == (100, 50, 127)
    assert over(cutout, Image.new("L", (9, 9), 255)).getpixel((0, 0)) == (227, 177, 127)
    with pytest.raises(ValueError):
        over(cutout, "no such colour")
