"""The matting errors against values worked out by hand, and the properties they are known to have."""

import math

import numpy as np
import pytest
from support import mattes

from helpers.metrics.errors import (
    boundary_iou,
    matting_metrics,
    mean_metrics,
    metrics_by_region,
    transition_band,
    unknown_region,
)
from helpers.metrics.perceptual import CONVENTIONS

ERRORS = ("sad", "mse", "mad", "grad", "conn")


def test_sad_mse_mad_iou_by_hand():
    # d = 0, −.25, 0, −.5: Σ|d| = .75, Σd² = .0625 + .25 = .3125, over four pixels.
    # Pixels ≥ .5: two of pred, three of true, two of both.
    metrics = matting_metrics(np.array([[0, 0.25], [1, 0.5]]), np.array([[0, 0.5], [1, 1]]))
    assert list(metrics) == ["sad", "mse", "mad", "grad", "conn", "iou"]
    assert all(type(value) is float for value in metrics.values())
    assert metrics["sad"] == pytest.approx(0.75e-3, abs=1e-15)
    assert metrics["mse"] == pytest.approx(0.078125, abs=1e-15)
    assert metrics["mad"] == pytest.approx(0.1875, abs=1e-15)
    assert metrics["iou"] == pytest.approx(2 / 3, abs=1e-15)


def test_iou_without_foreground_and_without_overlap():
    empty, left, right = np.zeros((2, 2)), np.array([[1.0, 0], [1, 0]]), np.array([[0, 1.0], [0, 1]])
    assert matting_metrics(empty, np.full((2, 2), 0.49))["iou"] == 1.0
    assert matting_metrics(left, right)["iou"] == 0.0
    assert matting_metrics(empty, right)["iou"] == 0.0


both = pytest.mark.parametrize("convention", CONVENTIONS)
seeds = pytest.mark.parametrize("seed", range(4))


@both
@seeds
def test_a_matte_has_no_error_against_itself(seed, convention):
    for matte in mattes(seed):
        metrics = matting_metrics(matte, matte, convention=convention)
        assert {key: metrics[key] for key in ERRORS} == dict.fromkeys(ERRORS, 0.0)
        assert metrics["iou"] == boundary_iou(matte, matte) == 1.0


@both
@seeds
def test_symmetric(seed, convention):
    pred, true = mattes(seed)
    forth, back = matting_metrics(pred, true, None, convention), matting_metrics(true, pred, None, convention)
    assert all(forth[key] > 0 for key in ERRORS)
    assert 0 < forth["iou"] < 1
    assert forth == pytest.approx(back, rel=1e-12)
    assert 0 < boundary_iou(pred, true, 2) == boundary_iou(true, pred, 2) < 1


@both
@seeds
def test_turning_and_mirroring_both_mattes_changes_nothing(seed, convention):
    pred, true = mattes(seed)
    pred[9:14, 12:17] = true[9:14, 12:17]  # a main body up to the last threshold: of two as large, either may count
    metrics, boundary = matting_metrics(pred, true, None, convention), boundary_iou(pred, true, 2)
    assert all(metrics[key] > 0 for key in ERRORS)
    for turned in (np.transpose, np.flipud, np.fliplr, np.rot90):
        assert matting_metrics(turned(pred), turned(true), None, convention) == pytest.approx(metrics, rel=1e-10)
        assert boundary_iou(turned(pred), turned(true), 2) == boundary


@both
def test_half_the_alpha_is_half_the_error(convention):
    _, alpha = mattes()
    nothing = np.zeros_like(alpha)
    whole, half = (matting_metrics(matte, nothing, convention=convention) for matte in (alpha, alpha / 2))
    for key, factor in {"sad": 0.5, "mad": 0.5, "mse": 0.25, "grad": 0.25}.items():
        assert half[key] == pytest.approx(factor * whole[key], rel=1e-12)


@seeds
def test_twice_the_difference_is_twice_the_error(seed):
    pred, true = mattes(seed)
    whole, half = matting_metrics(pred, true), matting_metrics((pred + true) / 2, true)
    for key, factor in {"sad": 2, "mad": 2, "mse": 4}.items():
        assert whole[key] == pytest.approx(factor * half[key], rel=1e-12)


def test_conventions_differ_in_gradient_and_connectivity_only():
    pred, true = mattes()
    pred *= 0.5  # so that none of it reaches 0.6
    dim, p3m = (matting_metrics(pred, true, convention=convention) for convention in CONVENTIONS)
    assert dim == matting_metrics(pred, true)
    assert {key for key in dim if dim[key] != p3m[key]} == {"grad", "conn"}
    assert list(dim) == list(p3m)


def test_twice_the_pixels_double_sums_and_leave_means():
    pred, true = mattes()
    one, two = matting_metrics(pred, true), matting_metrics(np.vstack([pred, pred]), np.vstack([true, true]))
    assert two["sad"] == pytest.approx(2 * one["sad"], rel=1e-12)
    assert two["mse"] == pytest.approx(one["mse"], rel=1e-12)
    assert two["mad"] == pytest.approx(one["mad"], rel=1e-12)


def test_alphas_are_not_stretched():
    _, true = mattes()
    flat = np.full_like(true, 0.3)
    assert matting_metrics(true * 0.5 + 0.25, true)["grad"] > 0.01  # min–max stretching would call these equal
    metrics = matting_metrics(flat, np.full_like(true, 0.9))
    assert metrics["grad"] == pytest.approx(0, abs=1e-20)
    assert metrics["mad"] == pytest.approx(0.6, rel=1e-12)


def test_region_restricts_sums_and_divides_by_its_size():
    # Only the right column counts: d = −.25, −.5. One pixel of pred and two of true are ≥ .5.
    pred, true = np.array([[0, 0.25], [0, 0.5]]), np.array([[1, 0.5], [1, 1]])
    metrics = matting_metrics(pred, true, region=np.array([[False, True], [False, True]]))
    assert metrics["sad"] == pytest.approx(0.75e-3, abs=1e-15)
    assert metrics["mad"] == pytest.approx(0.375, abs=1e-15)
    assert metrics["mse"] == pytest.approx(0.15625, abs=1e-15)
    assert metrics["iou"] == pytest.approx(0.5, abs=1e-15)


@both
@seeds
def test_region_and_the_rest_add_up_to_the_whole(seed, convention):
    pred, true = mattes(seed)
    band = transition_band(true, 5)
    whole, inside, outside = (matting_metrics(pred, true, region, convention) for region in (None, band, ~band))
    for key in ("sad", "grad", "conn"):
        assert 0 < inside[key] < whole[key]
        assert inside[key] + outside[key] == pytest.approx(whole[key], rel=1e-12)
    assert inside["mse"] * band.sum() + outside["mse"] * (~band).sum() == pytest.approx(
        whole["mse"] * band.size, rel=1e-12
    )
    assert matting_metrics(pred, true, np.ones(true.shape, bool), convention) == whole


@both
def test_several_regions_at_once_are_the_same_as_one_by_one(convention):
    pred, true = mattes()
    regions = {"all": None, "band": transition_band(true, 5), "soft": (true > 0) & (true < 1)}
    each = {name: matting_metrics(pred, true, region, convention) for name, region in regions.items()}
    assert metrics_by_region(pred, true, regions, convention) == each
    assert len({metrics["sad"] for metrics in each.values()}) == 3


def test_transition_band_by_hand():
    # A 3-wide window holds both values at the two pixels beside the step, a 5-wide one at two more.
    step = np.array([[0.0, 0, 0, 0, 1, 1, 1, 1]])
    assert transition_band(step, 3).tolist() == [[False] * 3 + [True] * 2 + [False] * 3]
    assert transition_band(step, 5).tolist() == [[False] * 2 + [True] * 4 + [False] * 2]
    # A faint pixel counts in full, as a square, diagonals too.
    dot = np.zeros((5, 6))
    dot[2, 3] = 0.1
    expected = np.zeros((5, 6), bool)
    expected[1:4, 2:5] = True
    band = transition_band(dot, 3)
    assert band.dtype == bool
    assert np.array_equal(band, expected)


def test_transition_band_ends_at_the_border():
    assert not transition_band(np.ones((4, 4)), 15).any()
    assert not transition_band(np.zeros((4, 4)), 15).any()
    assert transition_band(np.eye(8)).all()  # 15 wide by default: seven pixels each way
    far = np.zeros((1, 20))
    far[0, 0] = 1
    assert transition_band(far).sum() == 8


@pytest.mark.parametrize("width", [0, -3, 4, 2.5, 3.0, "3", None])
def test_transition_band_refuses_other_widths(width):
    with pytest.raises(ValueError, match="odd positive"):
        transition_band(np.eye(4), width)


def square(top, left, size, shape=(10, 10)):
    alpha = np.zeros(shape)
    alpha[top : top + size, left : left + size] = 1
    return alpha


def test_boundary_iou_by_hand():
    # The outer rings of two 4 × 4 squares, 12 pixels each, one a column further right. Both have the inner three
    # columns of the upper and the lower row: 6 of 12 + 12 − 6.
    pred, true = square(3, 4, 4), square(3, 3, 4)
    assert boundary_iou(pred, true, 1) == pytest.approx(6 / 18, abs=1e-15)
    # Two pixels from outside is all of them: 12 of 16 + 16 − 12, as without boundaries.
    assert boundary_iou(pred, true, 2) == matting_metrics(pred, true)["iou"] == pytest.approx(12 / 20, abs=1e-15)
    # Masks begin at a half.
    assert boundary_iou(pred * 0.5, true, 1) == pytest.approx(6 / 18, abs=1e-15)
    assert boundary_iou(pred * 0.49, true, 1) == 0.0


def test_boundary_iou_counts_the_border_as_outside():
    # Full 5 × 5: its ring of 16 and that of the 3 × 3 within it, 8, have no pixel in common; 2 wide, they are 24 of 25
    # and all 9, of which they share the 8 but not the centre: 8 of 25.
    full, inner = np.ones((5, 5)), square(1, 1, 3, (5, 5))
    assert boundary_iou(full, inner, 1) == 0.0
    assert boundary_iou(full, inner, 2) == pytest.approx(8 / 25, abs=1e-15)


def test_boundary_iou_of_nothing():
    assert boundary_iou(np.zeros((3, 4)), np.full((3, 4), 0.49)) == 1.0
    assert boundary_iou(np.zeros((3, 4)), np.ones((3, 4))) == 0.0


def test_boundary_iou_is_two_per_cent_of_the_diagonal_wide():
    for height, width, expected in ((1200, 1600, 40), (78, 104, 3)):  # 2 % are 40 and 2.6
        pred, true = (square(height // 5, left, height // 2, (height, width)) for left in (20, 18))
        assert boundary_iou(pred, true) == boundary_iou(pred, true, expected)
        assert len({boundary_iou(pred, true, expected + more) for more in (-1, 0, 1)}) == 3
    small = square(3, 4, 4), square(3, 3, 4)  # .28 pixels
    assert boundary_iou(*small) == boundary_iou(*small, 1)


@seeds
def test_boundary_iou_by_looking_at_every_window(seed):
    def boundary(matte, width):
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(matte >= 0.5, width), (2 * width + 1,) * 2)
        return (matte >= 0.5) & ~windows.all((2, 3))

    pred, true = mattes(seed)
    for width in (1, 3):
        first, second = boundary(pred, width), boundary(true, width)
        assert boundary_iou(pred, true, width) == pytest.approx((first & second).sum() / (first | second).sum())


@pytest.mark.parametrize("width", [0, -1, 1.5, 2.0, "3"])
def test_boundary_iou_refuses_other_widths(width):
    with pytest.raises(ValueError, match="positive whole number"):
        boundary_iou(GOOD, GOOD, width)


def test_unknown_region():
    trimap = np.array([[0, 1, 128], [254, 255, 0]], np.uint8)
    unknown = unknown_region(trimap)
    assert unknown.dtype == bool
    assert unknown.tolist() == [[False, True, True], [True, False, False]]
    for wrong, message in ((trimap / 255, r"float64 \(2, 3\)"), (trimap[None], r"uint8 \(1, 2, 3\)")):
        with pytest.raises(ValueError, match=message):
            unknown_region(wrong)


def test_mean_metrics():
    assert mean_metrics([{"sad": 1.0, "iou": 0.5}, {"sad": 4.0, "iou": 1.0}]) == {"sad": 2.5, "iou": 0.75}
    assert math.isnan(mean_metrics([{"sad": 1.0}, {"sad": math.nan}])["sad"])
    with pytest.raises(ValueError, match="empty"):
        mean_metrics([])
    with pytest.raises(ValueError, match=r"metrics\[1\] has \['mad'\]"):
        mean_metrics([{"sad": 1.0}, {"mad": 1.0}])


GOOD = np.full((2, 3), 0.5)


@pytest.mark.parametrize(
    ("pred", "true", "message"),
    [
        (np.zeros((3, 2)), GOOD, r"pred is \(3, 2\) but true is \(2, 3\)"),
        (GOOD[None], GOOD, r"pred has shape \(1, 2, 3\)"),
        (GOOD, np.zeros((0, 3)), r"true has shape \(0, 3\)"),
        (GOOD * 510, GOOD, r"pred runs from 255.0 to 255.0: .*divide by 255"),
        (GOOD, GOOD - 1, r"true runs from -0.5"),
        (GOOD, np.array([[0, 1, np.nan]]), "true holds 1 NaN"),
        (GOOD, GOOD * np.inf, "true runs from inf"),
    ],
)
def test_bad_mattes_are_named(pred, true, message):
    for measure in (matting_metrics, boundary_iou):
        with pytest.raises(ValueError, match=message):
            measure(pred, true)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (np.zeros((2, 3), bool), "region has no pixels"),
        (np.ones((3, 2), bool), r"region is bool \(3, 2\)"),
        (np.ones((2, 3), np.uint8), "region is uint8"),
    ],
)
def test_bad_regions_are_named(region, message):
    with pytest.raises(ValueError, match=message):
        matting_metrics(GOOD, GOOD, region)
