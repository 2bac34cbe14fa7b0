"""The matting errors against values worked out by hand, and the gradient against a plain convolution."""

import math

import numpy as np
import pytest

from helpers.metrics import gradient_magnitude, matting_metrics, mean_metrics, transition_band

ERRORS = ("sad", "mse", "mad", "grad", "conn")


def mattes(seed=0, shape=(23, 31)):
    """Two different smooth mattes that reach 0 and 1: soft discs, the second one shifted and with noise inside."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    true = np.clip((9 - np.hypot(y - 11, x - 14)) / 4, 0, 1)
    pred = np.clip((9 - np.hypot(y - 12, x - 16)) / 5, 0, 1) * np.random.default_rng(seed).uniform(0.7, 1, shape)
    return pred, true


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


def test_gradient_of_a_step_by_hand():
    # Columns 0 | 1, replicated outwards. s_k = exp(−k²/3.92) and k·s_k for k = 1…4:
    #   s = .774837 .360448 .100668 .016880     k·s = .774837 .720895 .302005 .067520
    # Both columns see one half of the derivative and all of the smoothing:
    #   Σ_{k>0} k·s = 1.865257,  Σ s = 3.505665,  ‖s‖² = 2.481428,  ‖k·s‖² = 2.431658
    #   squared magnitude = 1.865257² · 3.505665² / (2.481428 · 2.431658) = 7.0862 for each of the four pixels.
    step = np.array([[0.0, 1], [0, 1]])
    assert gradient_magnitude(step) ** 2 == pytest.approx(np.full((2, 2), 7.0862), rel=1e-5)
    assert matting_metrics(np.zeros((2, 2)), step)["grad"] == pytest.approx(4 * 7.0862e-3, rel=1e-5)
    assert gradient_magnitude(step.T) == pytest.approx(gradient_magnitude(step).T, rel=1e-12)


def test_gradient_equals_a_direct_convolution():
    pred, true = mattes()
    kernel = np.array(
        [[x * math.exp(-(x * x + y * y) / (2 * 1.4**2)) for x in range(-4, 5)] for y in range(-4, 5)]
    )
    kernel /= math.sqrt((kernel**2).sum())

    def magnitude(alpha):
        padded, result = np.pad(alpha, 4, mode="edge"), np.empty_like(alpha)
        for i, j in np.ndindex(alpha.shape):
            window = padded[i : i + 9, j : j + 9]
            result[i, j] = math.hypot((window * kernel).sum(), (window * kernel.T).sum())
        return result

    assert gradient_magnitude(true) == pytest.approx(magnitude(true), abs=1e-12)
    expected = ((magnitude(pred) - magnitude(true)) ** 2).sum() / 1000
    assert expected > 1e-3
    assert matting_metrics(pred, true)["grad"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("pred", "true", "expected"),
    [
        # Island: the gap (pixel 3) and the island (pixel 4) leave the body at .1, so their level is 0.
        # φ(true) = 0 for both; φ(pred) = 1 in the gap and 1 − .8 = .2 on the island: 1 + .2.
        ([[1, 1, 1, 0, 0.8]], [[1, 1, 1, 1, 1]], 1.2),
        # Bridge: pixel 3 reaches .8 in both and leaves at .9; φ(true) = 1 − .2, φ(pred) = 1. Pixel 4 is then cut off
        # from the body at .9, level .8: φ = .8 in both.
        ([[1, 1, 1, 0.8, 1]], [[1, 1, 1, 1, 1]], 0.2),
        # Level .9: true rises .1 above it, less than .15, which is no error.
        ([[1, 1, 1, 0.9, 1]], [[1, 1, 1, 1, 1]], 0.0),
        # An island that is not there: level 0, φ(true) = 1, φ(pred) = 1 − .8.
        ([[1, 1, 1, 0, 0.8]], [[1, 1, 1, 0, 0]], 0.8),
        # Neighbours by a corner are apart: level 0, φ(true) = 0, φ(pred) = .1. The four zeros count 1 each.
        ([[1, 1, 0], [1, 1, 0], [0, 0, 0.9]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]], 4.1),
        # Nothing in common: level 0 everywhere, |φ| = 1 wherever either has a one.
        ([[1, 0, 0]], [[0, 0, 1]], 2.0),
    ],
    ids=["island", "bridge", "tolerance", "invented island", "corner", "disjoint"],
)
def test_connectivity_by_hand(pred, true, expected):
    metrics = matting_metrics(np.array(pred, float), np.array(true, float))
    assert metrics["conn"] * 1000 == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tenths", range(1, 11))
def test_connectivity_level_is_reached_exactly(tenths, dtype):
    # pred = k/10 under true = 1 has level k/10, so φ(true) = k/10 while 1 − k/10 ≥ .15, and φ(pred) = 1.
    pred, true = np.array([[1, 1, tenths / 10]], dtype), np.ones((1, 3), dtype)
    expected = 1 - tenths / 10 if tenths < 9 else 0.0
    assert matting_metrics(pred, true)["conn"] * 1000 == pytest.approx(expected, abs=1e-6)


def test_a_matte_has_no_error_against_itself():
    pred, _ = mattes()
    metrics = matting_metrics(pred, pred)
    assert {key: metrics[key] for key in ERRORS} == dict.fromkeys(ERRORS, 0.0)
    assert metrics["iou"] == 1.0


def test_symmetric():
    pred, true = mattes()
    forth, back = matting_metrics(pred, true), matting_metrics(true, pred)
    assert all(forth[key] > 0 for key in ERRORS)
    assert forth == pytest.approx(back, rel=1e-12)


def test_half_the_alpha_is_half_the_error():
    _, alpha = mattes()
    nothing = np.zeros_like(alpha)
    whole, half = matting_metrics(alpha, nothing), matting_metrics(alpha / 2, nothing)
    for key, factor in {"sad": 0.5, "mad": 0.5, "mse": 0.25, "grad": 0.25}.items():
        assert half[key] == pytest.approx(factor * whole[key], rel=1e-12)


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


def test_region_and_the_rest_add_up_to_the_whole():
    pred, true = mattes()
    band = transition_band(true, 5)
    whole, inside, outside = (matting_metrics(pred, true, region) for region in (None, band, ~band))
    for key in ("sad", "grad", "conn"):
        assert 0 < inside[key] < whole[key]
        assert inside[key] + outside[key] == pytest.approx(whole[key], rel=1e-12)
    assert inside["mse"] * band.sum() + outside["mse"] * (~band).sum() == pytest.approx(
        whole["mse"] * band.size, rel=1e-12
    )
    assert matting_metrics(pred, true, np.ones(true.shape, bool)) == whole


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
    with pytest.raises(ValueError, match=message):
        matting_metrics(pred, true)


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
