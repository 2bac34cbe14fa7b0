"""The strong pipeline: where it crops, what it blurs, and that photo and alpha stay together."""

import random

import albumentations as A
import cv2
import numpy as np
import pytest

from helpers.samples.strong_augment import (
    CLOSEST,
    PIPELINES,
    REFLECTED,
    SMALLEST,
    FaceBlur,
    PortraitCrop,
    WideFraming,
    head_of,
    strong_least_side,
    strong_transform,
)


def figure(height=120, width=90):
    """The alpha of a narrow head, 20 pixels wide about column 30, from row 12 on broad shoulders."""
    mask = np.zeros((height, width), np.uint8)
    mask[12:45, 20:40] = 255
    mask[45:, 5:70] = 255
    return mask


def draws(transform, count, **arrays):
    """The transform's results under as many seeds, one stream of numbers each."""
    for seed in range(count):
        transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
        yield transform(**arrays)


def test_the_head_is_where_the_person_begins():
    top, middle, across = head_of(figure())
    assert (top, middle, across) == (12, 29.5, 20)
    assert head_of(np.zeros((5, 5), np.uint8)) is None
    assert head_of(np.full((5, 5), 127, np.uint8)) is None


def test_crops_hold_the_head_and_have_every_size():
    mask = figure()
    rulers = np.dstack(np.broadcast_arrays(np.arange(120)[:, None], np.arange(90), 0)).astype(np.uint8)
    sides = []
    for sample in draws(A.Compose([PortraitCrop(p=1)]), 300, image=rulers, mask=mask):
        rows, columns = sample["image"][:, 0, 0], sample["image"][0, :, 1]
        assert rows[0] <= 12 + 0.1 * len(rows) + 1 and rows[-1] > 12
        assert columns[0] <= 30 <= columns[-1]
        assert np.array_equal(sample["mask"], mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        assert 0.7 < min(sample["mask"].shape) / max(sample["mask"].shape) <= 1
        sides.append(max(sample["mask"].shape) / 90)
    assert CLOSEST - 0.01 <= min(sides) < 0.33 and 0.95 < max(sides) <= 1
    assert np.mean(np.array(sides) < CLOSEST**0.5) == pytest.approx(0.5, abs=0.08)  # evenly by ratio


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (40, 3)])
def test_crops_of_nobody_and_of_slivers_work(size):
    empty = np.zeros(size, np.uint8)
    for sample in draws(A.Compose([PortraitCrop(p=1)]), 30, image=np.dstack([empty] * 3), mask=empty):
        assert sample["image"].shape[:2] == sample["mask"].shape and sample["mask"].size


def whole_figure(height=240, width=120):
    """The alpha of somebody who stands free in a tall photo, 200 of 240 pixels high."""
    mask = np.zeros((height, width), np.uint8)
    mask[20:220, 40:80] = 255
    return mask


def wide(mask, count=200):
    """Masks and pictures of the wide framing, the photo as bright as its mask, and grey where nobody is."""
    photo = np.where(mask[..., None] > 0, np.uint8([255, 0, 0]), np.uint8([60, 60, 60]))
    return list(draws(A.Compose([WideFraming(p=1)]), count, image=photo, mask=mask))


def test_wide_framings_go_from_the_whole_photo_to_a_figure_of_a_tenth():
    heights = []
    for sample in wide(whole_figure()):
        assert sample["image"].shape == (240, 240, 3) and sample["mask"].shape == (240, 240)
        person = sample["mask"] > 127
        red = (sample["image"][..., 0] > 150) & (sample["image"][..., 1] < 90)
        assert (person & red).sum() > 0.7 * person.sum()  # photo and alpha together
        heights.append(person.any(1).sum() / 240)
    assert SMALLEST - 0.01 < min(heights) < 0.12 and max(heights) > 0.8
    assert np.mean(np.array(heights) < 0.3) > 0.3


def test_only_reflections_show_a_person_twice():
    for sample in wide(whole_figure(), 100):
        parts = cv2.connectedComponents((sample["mask"] > 127).astype(np.uint8))[0] - 1
        tall = (sample["mask"] > 127).any(1).sum() / 240
        assert parts == 1 or tall > 200 / 240 / REFLECTED - 0.02


@pytest.mark.parametrize("edge, axis, place", [
    (np.s_[60:, 40:80], 1, -1), (np.s_[:100, 40:80], 1, 0), (np.s_[60:200, :50], 0, 0), (np.s_[60:200, 70:], 0, -1),
], ids=["below", "above", "left", "right"])  # fmt: skip
def test_who_is_cut_by_the_photo_stays_at_the_edge(edge, axis, place):
    mask = np.zeros((240, 120), np.uint8)
    mask[edge] = 255
    assert all((sample["mask"] > 127).any(axis)[place] for sample in wide(mask, 40))


def test_who_is_cut_on_opposite_sides_keeps_the_framing():
    mask = np.zeros((240, 120), np.uint8)
    mask[100:] = 255
    assert all(np.array_equal(sample["mask"], mask) for sample in wide(mask, 20))


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (40, 3)])
def test_wide_framings_of_nobody_and_of_slivers_work(size):
    for value in (0, 255):
        for sample in wide(np.full(size, value, np.uint8), 20):
            assert sample["image"].shape[:2] == sample["mask"].shape and sample["mask"].max() == value


def test_without_wide_framings_the_strong_pipeline_crops_only():
    kinds = [type(each).__name__ for each in strong_transform(32, wide=0).transforms[1].transforms]
    assert kinds == ["PortraitCrop", "WideFraming"]
    mask = whole_figure()
    for sample in draws(strong_transform(64, wide=0), 30, image=np.dstack([mask] * 3), mask=mask):
        assert (sample["mask"] > 127).any(1).mean() > 0.35


def test_only_the_face_is_blurred_and_the_alpha_stays():
    mask, noise = figure(), np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8)
    touched = np.zeros((120, 90))
    for sample in draws(A.Compose([FaceBlur(p=1)]), 20, image=noise, mask=mask):
        assert np.array_equal(sample["mask"], mask)
        touched += (sample["image"] != noise).any(2)
    assert touched[25, 30] == 20  # the middle of the face
    assert not touched[60:].any() and not touched[:, 45:].any()


def test_nobody_has_no_face_to_blur():
    empty, noise = np.zeros((20, 20), np.uint8), np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8)
    assert np.array_equal(A.Compose([FaceBlur(p=1)])(image=noise, mask=empty)["image"], noise)


def test_the_strong_pipeline_keeps_photo_and_alpha_together():
    """A person of one flat bright colour on black: wherever it is moved to, the alpha says so."""
    mask = cv2.resize(figure(), (180, 240), interpolation=cv2.INTER_NEAREST)
    overlap = []
    for sample in draws(strong_transform(64), 60, image=np.dstack([mask] * 3), mask=mask):
        assert sample["image"].shape == (64, 64, 3) and sample["mask"].shape == (64, 64)
        assert sample["image"].dtype == sample["mask"].dtype == np.uint8
        bright, person = sample["image"].max(2) > 100, sample["mask"] > 127
        overlap.append((bright & person).sum() / max(1, (bright | person).sum()))
    assert np.median(overlap) > 0.97


def test_pixels_between_0_and_1_survive_the_turn():
    turned = [sample["mask"] for sample in draws(strong_transform(64), 20, image=np.zeros((120, 90, 3), np.uint8),
                                                 mask=figure())]  # fmt: skip
    shown = [mask for mask in turned if mask.any()]  # a small figure near the edge may be cropped away
    assert len(shown) >= 18 and all(((mask > 0) & (mask < 255)).any() for mask in shown)


def test_the_pipelines_are_repeated_exactly():
    image, mask = np.random.default_rng(0).integers(0, 256, (120, 90, 3), np.uint8), figure()
    first, second = (list(draws(strong_transform(32), 15, image=image, mask=mask)) for _ in range(2))
    assert all(np.array_equal(a["image"], b["image"]) for a, b in zip(first, second))


def test_photos_are_decoded_large_enough_for_the_smallest_crop():
    assert strong_least_side(96) == 320
    assert PIPELINES["strong"] == (strong_transform, strong_least_side)
    assert set(PIPELINES) == {"report", "strong"}
