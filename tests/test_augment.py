"""The pipelines: which transforms, how often, how far; photo and mask always together."""

import os
import random
import subprocess
import sys
from pathlib import Path

import albumentations as A
import cv2
import numpy as np
import pytest

from helpers.augment import (
    GlassBlur,
    crop_group,
    geometric_group,
    least_side,
    resize_to,
    training_transform,
    validation_transform,
    visual_group,
)
from helpers.datasets.pairs import Pair
from helpers.samples.samples import PortraitDataset

ROOT = Path(__file__).resolve().parents[1]


def picture(height=60, width=50, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def soft_mask(height=60, width=50):
    """A disc with a soft rim, off the centre."""
    y, x = np.mgrid[:height, :width]
    return (np.clip(18.5 - np.hypot(y - 25, x - 30), 0, 1) * 255).round().astype(np.uint8)


def draws(transform, count, **arrays):
    """The transform's results under as many seeds, one stream of numbers each."""
    for seed in range(count):
        transform.set_random_state(np.random.default_rng(seed), random.Random(seed))
        yield transform(**arrays)


def share(hits):
    hits = list(hits)
    return sum(hits) / len(hits)


# ------------------------------------------------------------------------------------------------------------- geometry


def test_mask_and_photo_stay_together():
    mask = soft_mask()
    transform = A.Compose([*crop_group(), *geometric_group(), *resize_to(32)])
    seen = set()
    for sample in draws(transform, 60, image=np.dstack([mask] * 3), mask=mask):
        assert np.array_equal(sample["image"][..., 0], sample["mask"])
        seen.add(sample["mask"].tobytes())
    assert len(seen) > 20  # half of them cropped, every one somewhere else


def test_the_whole_pipeline_moves_the_photo_with_its_mask():
    """A white person on black: whatever the colours become, the photo's edge lies where the mask's does."""
    mask = soft_mask(120, 100)
    photo = np.where(mask[..., None] > 0, np.uint8(250), np.uint8(5)).repeat(3, axis=2)
    for sample in draws(training_transform(64), 60, image=photo, mask=mask):
        grey, alpha = sample["image"].mean(2), sample["mask"] / 255
        assert np.corrcoef(grey.ravel(), alpha.ravel())[0, 1] > 0.7


@pytest.mark.parametrize("size", [32, 65, 128])
@pytest.mark.parametrize("shape", [(60, 50), (48, 90), (301, 200)])
@pytest.mark.parametrize("pipeline", [training_transform, validation_transform])
def test_samples_have_the_asked_size_and_type(pipeline, shape, size):
    for sample in draws(pipeline(size), 5, image=picture(*shape), mask=soft_mask(*shape)):
        assert sample["image"].shape == (size, size, 3)
        assert sample["mask"].shape == (size, size)
        assert sample["image"].dtype == sample["mask"].dtype == np.uint8


@pytest.mark.parametrize("size", [24, 100], ids=["down", "up"])
def test_hard_masks_become_soft_and_are_not_thresholded(size):
    hard = np.where(soft_mask() > 127, np.uint8(255), np.uint8(0))
    for pipeline in (validation_transform, training_transform):
        for sample in draws(pipeline(size), 10, image=picture(), mask=hard):
            between = sample["mask"][(sample["mask"] > 0) & (sample["mask"] < 255)]
            assert len(np.unique(between)) > 10


def test_on_the_way_down_an_alpha_is_the_share_it_covers():
    mask = np.zeros((40, 40), np.uint8)
    mask[:, :18] = 255  # 40 → 10: the fifth column covers pixels 16 to 19
    sample = validation_transform(10)(image=picture(40, 40), mask=mask)
    assert sample["mask"][0].tolist() == [255] * 4 + [128] + [0] * 5
    expected = picture(40, 40).reshape(10, 4, 10, 4, 3).mean((1, 3))
    assert np.abs(sample["image"] - expected).max() <= 1  # in two steps, rounded twice


@pytest.mark.parametrize("shape, bound", [
    ((48, 128), 3), ((60, 50), 3), ((97, 111), 3), ((47, 60), 0), ((60, 129), 0), ((300, 200), 0), ((32, 40), 0),
])  # fmt: skip
def test_resizing_in_two_steps_gives_area_averages(shape, bound):
    """Of smooth pictures, at all ratios; with a bound of 0 there is one step."""
    y, x = np.mgrid[0 : 3 : shape[0] * 1j, 0 : 4 : shape[1] * 1j]
    mask = (127.5 + 127.5 * np.sin(3 * x) * np.cos(2 * y)).round().astype(np.uint8)
    sample = validation_transform(32)(image=np.dstack([mask] * 3), mask=mask)
    expected = cv2.resize(mask, (32, 32), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(sample["mask"] - expected).max() <= bound
    assert np.array_equal(sample["image"], np.dstack([sample["mask"]] * 3))


def test_validation_is_resizing_only_and_always_the_same():
    transform, photo, mask = validation_transform(32), picture(), soft_mask()
    samples = list(draws(transform, 3, image=photo, mask=mask))
    assert len({sample["image"].tobytes() + sample["mask"].tobytes() for sample in samples}) == 1
    assert [type(step).__name__ for step in transform.transforms] == ["Shrink"]


def test_a_photo_of_the_right_size_passes_validation_unchanged():
    photo, mask = picture(32, 32), soft_mask(32, 32)
    sample = validation_transform(32)(image=photo, mask=mask)
    assert np.array_equal(sample["image"], photo)
    assert np.array_equal(sample["mask"], mask)


# --------------------------------------------------------------------------------------------------------------- groups


@pytest.fixture(scope="module")
def cuts():
    """Pixels cut off the top, bottom, left and right of a 200 × 200 picture, in 1000 draws."""
    ruler = np.zeros((200, 200, 3), np.uint8)
    ruler[..., 0], ruler[..., 1] = np.arange(200)[:, None], np.arange(200)
    samples = draws(A.Compose(crop_group()), 1000, image=ruler)
    corners = [(sample["image"][0, 0], sample["image"][-1, -1]) for sample in samples]
    return np.array([(first[0], 199 - last[0], first[1], 199 - last[1]) for first, last in corners], int)


def test_half_of_the_photos_are_cropped(cuts):
    assert share(cuts.any(1)) == pytest.approx(0.5, abs=0.05)


def test_every_side_loses_2_to_20_percent(cuts):
    cropped = cuts[cuts.any(1)]
    assert cropped.min() == 4
    assert 38 <= cropped.max() <= 40
    assert cropped.mean(0) == pytest.approx([22] * 4, abs=2)  # evenly spread: every side's mean is 11 %


def test_the_sides_are_cut_independently(cuts):
    cropped = cuts[cuts.any(1)]
    correlations = np.corrcoef(cropped.T)[np.triu_indices(4, 1)]
    assert np.abs(correlations).max() < 0.2
    assert (cropped.min(1) != cropped.max(1)).mean() > 0.95


@pytest.mark.parametrize("size, least", [(320, 534), (128, 214), (3, 5), (96, 160), (1, 2)])
def test_the_least_side_leaves_enough_for_every_crop(size, least):
    assert least_side(size) == least
    ruler = np.zeros((least, least + 1, 3), np.uint8)
    sides = [min(sample["image"].shape[:2]) for sample in draws(A.Compose(crop_group()), 300, image=ruler)]
    assert min(sides) >= size


@pytest.mark.parametrize("least, reduction", [(200, 2), (100, 4), (50, 8)])
def test_crops_are_the_same_from_a_reduced_photo(least, reduction, tmp_path):
    """The same share of each side, up to a pixel; and photo and mask lose the same."""
    height, width = 640, 480
    ruler = np.zeros((height, width, 3), np.uint8)
    ruler[..., 0], ruler[..., 1] = np.linspace(0, 255, height)[:, None], np.linspace(0, 255, width)
    cv2.imwrite(str(tmp_path / "photo.jpg"), ruler[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 100])
    for channel in (0, 1):  # one mask measures rows, the other columns
        cv2.imwrite(str(tmp_path / f"mask{channel}.png"), ruler[..., channel])
    pairs = [Pair(tmp_path / "photo.jpg", tmp_path / f"mask{channel}.png", "grey") for channel in (0, 1)]
    transform = A.Compose([*crop_group(), *geometric_group()])
    whole, reduced = (PortraitDataset(pairs, transform, least=side) for side in (None, least))
    cropped = 0
    for visit in range(60):
        for index in (0, 1):
            first, second = whole[visit, index], reduced[visit, index]
            ends = [sample.alpha[0, [0, -1], [0, -1]].astype(int) for sample in (first, second)]
            assert np.abs(ends[0] - ends[1]).max() <= 1.5 * 255 * reduction / (width if index else height) + 1
            for sample in (first, second):
                assert np.abs(sample.image[index].astype(int) - sample.alpha[0]).max() <= 4
            assert np.abs(np.divide(first.alpha.shape[1:], reduction) - second.alpha.shape[1:]).max() <= 2
            cropped += first.alpha.shape[1:] != (height, width)
    assert 40 < cropped < 80


def test_half_of_the_photos_are_mirrored():
    photo = picture(8, 8)
    flipped = [np.array_equal(sample["image"], photo[:, ::-1])
               for sample in draws(A.Compose(geometric_group()), 1000, image=photo)]  # fmt: skip
    assert share(flipped) == pytest.approx(0.5, abs=0.05)


def names(group):
    return {type(step).__name__ for step in group.transforms}


def test_the_visual_group_holds_the_reports_transforms():
    colour, tone, noise, blur = visual_group()
    assert names(colour) == {"ChannelShuffle", "RGBShift", "HueSaturationValue"}
    assert names(tone) == {"ColorJitter", "CLAHE", "RandomBrightnessContrast", "RandomGamma"}
    assert names(noise) == {"GaussNoise", "ISONoise"}
    assert names(blur) == {"Blur", "GaussianBlur", "GlassBlur", "MedianBlur", "MotionBlur"}


@pytest.mark.parametrize("shape", [(64, 64), (40, 70), (70, 9), (8, 8)])
def test_the_faster_glass_blur_is_the_same(shape):
    both = [draws(A.Compose([kind(p=1)]), 5, image=picture(*shape)) for kind in (A.GlassBlur, GlassBlur)]
    for slow, fast in zip(*both, strict=True):
        assert np.array_equal(slow["image"], fast["image"])


@pytest.mark.parametrize("index, probability", [(0, 0.3), (1, 0.3), (2, 0.2), (3, 0.2)],
                         ids=["colour", "tone", "noise", "blur"])  # fmt: skip
def test_each_kind_comes_as_often_as_in_the_report(index, probability):
    photo = picture(16, 16)
    changed = [not np.array_equal(sample["image"], photo)
               for sample in draws(A.Compose([visual_group()[index]]), 1000, image=photo)]  # fmt: skip
    assert share(changed) == pytest.approx(probability, abs=0.05)


def test_every_transform_of_the_visual_group_is_drawn_and_leaves_the_mask_alone():
    mask = soft_mask()
    for group in visual_group():
        for step in group.transforms:
            assert step.p == 1
            sample = A.Compose([step], seed=1)(image=picture(), mask=mask)
            assert np.array_equal(sample["mask"], mask)


def test_noise_stays_visible_but_faint():
    grey = np.full((64, 64, 3), 128, np.uint8)
    gauss = next(step for step in visual_group()[2].transforms if isinstance(step, A.GaussNoise))
    deviations = [sample["image"].std() for sample in draws(A.Compose([gauss]), 50, image=grey)]
    assert min(deviations) > 2.5
    assert max(deviations) < 8


def test_colour_jitter_turns_no_colour_into_its_opposite():
    jitter = next(step for step in visual_group()[1].transforms if isinstance(step, A.ColorJitter))
    assert jitter.hue == (-0.2, 0.2)


def test_the_training_pipeline_is_crop_flip_resize_and_the_visual_group():
    steps = [type(step).__name__ for step in training_transform(32).transforms]
    assert steps == ["CropAndPad", "HorizontalFlip", "Shrink", "OneOf", "OneOf", "OneOf", "OneOf"]


def test_the_same_seed_draws_the_same_sample():
    first, second = training_transform(32), training_transform(32)
    arrays = {"image": picture(), "mask": soft_mask()}
    list(draws(first, 3, **arrays))  # whatever was drawn before
    for one, two in zip(draws(first, 40, **arrays), draws(second, 40, **arrays), strict=True):
        assert np.array_equal(one["image"], two["image"])
        assert np.array_equal(one["mask"], two["mask"])


# -------------------------------------------------------------------------------------------------------------- network


def test_importing_it_reaches_for_no_network():
    script = (
        "import socket\n"
        "def refuse(*arguments, **options): raise SystemExit('reached for the network')\n"
        "socket.getaddrinfo = socket.create_connection = socket.socket.connect = refuse\n"
        "import helpers.augment, os\n"
        "print(os.environ['NO_ALBUMENTATIONS_UPDATE'])\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "NO_ALBUMENTATIONS_UPDATE"}
    command = [sys.executable, "-W", "error", "-c", script]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "1\n", "")
