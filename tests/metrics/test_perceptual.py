"""Gradient and connectivity in both conventions: values worked out by hand, and the published procedures retold."""

import math

import numpy as np
import pytest
from skimage.measure import label, regionprops
from support import mattes

from helpers.metrics.errors import matting_metrics
from helpers.metrics.perceptual import CONVENTIONS, connectivity, gradient_magnitude

# ------------------------------------------------------------------------------------------------------------- gradient


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


def test_gradient_of_a_step_by_hand_p3m():
    # Columns 0 | 1, mirrored outwards: … 1 0 0 1 [0 1] 1 0 0 1 1 … The left column's neighbours at +k and −k differ by
    # 1, 0, −1, 0, 1, 0 for k = 1…6. s as above, s_5 = .001699, s_6 = .000103, Σ s = 3.509270:
    #   magnitude = (s_1 − 3 s_3 + 5 s_5) / (1.96 · 3.509270) = .481329 / 6.878169 = .069979, in the right one as well.
    step = np.array([[0.0, 1], [0, 1]])
    assert gradient_magnitude(step, "p3m") == pytest.approx(np.full((2, 2), 0.069979), rel=1e-5)
    error = matting_metrics(np.zeros((2, 2)), step, convention="p3m")["grad"]
    assert error == pytest.approx(4 * 0.069979**2 / 10, rel=3e-5)
    assert gradient_magnitude(step.T, "p3m") == pytest.approx(gradient_magnitude(step, "p3m").T, rel=1e-12)


def test_gradient_of_one_pixel_by_hand():
    # The responses to one pixel are the two kernels. "dim": of norm 1 each, so 1 + 1, over 1000.
    # "p3m": Σ s² = 2.481436 and Σ (k·s)² = 2.431808 over −6…6, Σ s = 3.509270:
    #   2 · 2.481436 · 2.431808 / (1.4⁴ · 3.509270⁴) = .0207148, over 10.
    pixel = np.zeros((15, 17))
    pixel[7, 8] = 1
    nothing = np.zeros_like(pixel)
    assert matting_metrics(pixel, nothing)["grad"] == pytest.approx(2e-3, rel=1e-12)
    assert matting_metrics(pixel, nothing, convention="p3m")["grad"] == pytest.approx(0.00207148, rel=1e-5)
    assert matting_metrics(pixel / 2, nothing)["grad"] == pytest.approx(0.5e-3, rel=1e-12)


def test_gradient_of_a_slope_is_its_rise_in_p3m():
    # Smoothing leaves a straight line as it is. scipy's sampled derivative of 1 per pixel is
    # Σ k² s_k / (1.96 · Σ s) = 2 (.774837 + 1.441792 + .906012 + .270080 + .042483 + .003696) / 6.878169 = .999945.
    slope = np.tile(np.linspace(0, 1, 41), (20, 1))  # .025 a pixel
    assert gradient_magnitude(slope, "p3m")[:, 6:-6] == pytest.approx(0.025 * 0.999945, rel=1e-5)


def test_gradient_equals_a_direct_convolution():
    pred, true = mattes()
    kernel = np.array([[x * math.exp(-(x * x + y * y) / (2 * 1.4**2)) for x in range(-4, 5)] for y in range(-4, 5)])
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


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (6, 7), (40, 33)])
def test_p3m_gradient_is_scipys(shape):
    filters = pytest.importorskip("scipy.ndimage")
    alpha = np.random.default_rng(shape[1]).random(shape)
    parts = [filters.gaussian_filter(alpha, sigma=1.4, order=order) for order in ([1, 0], [0, 1])]
    assert gradient_magnitude(alpha, "p3m") == pytest.approx(np.hypot(*parts), abs=1e-14)


# --------------------------------------------------------------------------------------------------------- connectivity


@pytest.mark.parametrize(
    ("pred", "true", "dim", "p3m"),
    [
        # Island: the gap (pixel 3) and the island (pixel 4) leave the body at .1, so their level is 0.
        # φ(true) = 0 for both; φ(pred) = 1 in the gap and 1 − .8 = .2 on the island: 1 + .2.
        ([[1, 1, 1, 0, 0.8]], [[1, 1, 1, 1, 1]], 1.2, 1.2),
        # Bridge: pixel 3 reaches .8 in both and leaves at .9; φ(true) = 1 − .2, φ(pred) = 1. Pixel 4 is then cut off
        # from the body at .9, level .8: φ = .8 in both.
        ([[1, 1, 1, 0.8, 1]], [[1, 1, 1, 1, 1]], 0.2, 0.2),
        # Level .9: true rises .1 above it, less than .15, which is no error.
        ([[1, 1, 1, 0.9, 1]], [[1, 1, 1, 1, 1]], 0.0, 0.0),
        # An island that is not there: level 0, φ(true) = 1, φ(pred) = 1 − .8.
        ([[1, 1, 1, 0, 0.8]], [[1, 1, 1, 0, 0]], 0.8, 0.8),
        # Neighbours by a corner are apart: level 0, φ(true) = 0, φ(pred) = .1. The four zeros count 1 each.
        ([[1, 1, 0], [1, 1, 0], [0, 0, 0.9]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]], 4.1, 4.1),
        # Nothing in common: level 0 everywhere, |φ| = 1 wherever either has a one. "p3m" passes all thresholds over,
        # so the level is 1 everywhere, which nothing rises above.
        ([[1, 0, 0]], [[0, 0, 1]], 2.0, 0.0),
        # A faint body: pixels 2 and 3 leave at .1, φ(true) = 0, φ(pred) = 1 and .5: 1 + .5. No pixel reaches .6 in
        # both: in "dim" pixels 0 and 1 have the level .5, φ(true) = .5, φ(pred) = 1: .5 + .5; in "p3m" the level 1.
        ([[0.5, 0.5, 0, 0.5]], [[1, 1, 1, 1]], 2.5, 1.5),
    ],
    ids=["island", "bridge", "tolerance", "invented island", "corner", "disjoint", "faint"],
)
def test_connectivity_by_hand(pred, true, dim, p3m):
    for convention, expected in (("dim", dim), ("p3m", p3m)):
        metrics = matting_metrics(np.array(pred, float), np.array(true, float), convention=convention)
        assert metrics["conn"] * 1000 == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tenths", range(1, 11))
def test_connectivity_level_is_reached_exactly(tenths, dtype, convention):
    # pred = k/10 under true = 1 has level k/10, so φ(true) = k/10 while 1 − k/10 ≥ .15, and φ(pred) = 1.
    pred, true = np.array([[1, 1, tenths / 10]], dtype), np.ones((1, 3), dtype)
    expected = 1 - tenths / 10 if tenths < 9 else 0.0
    assert matting_metrics(pred, true, convention=convention)["conn"] * 1000 == pytest.approx(expected, abs=1e-6)


def published_connectivity(pred, true, passes_over):
    """The published loop over the thresholds, with scikit-image's components: a map of |φ(pred) − φ(true)|."""
    level = np.full(true.shape, -1.0)
    for k in range(1, 11):
        regions = regionprops(label((pred >= k / 10) & (true >= k / 10), connectivity=1))
        if not regions and passes_over:
            continue
        body = np.zeros(true.shape, bool)
        if regions:
            body[tuple(max(regions, key=lambda region: region.area).coords.T)] = True
        level[(level == -1) & ~body] = (k - 1) / 10
    level[level == -1] = 1
    phi = [1 - (alpha - level) * (alpha - level >= 0.15) for alpha in (pred, true)]
    return np.abs(phi[0] - phi[1])


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("top", [1, 0.55])
def test_connectivity_is_the_published_loop(convention, top):
    for seed in range(5):
        pred, true = (matte * top for matte in mattes(seed))
        expected = published_connectivity(pred, true, passes_over=convention == "p3m")
        assert expected.sum() > 1
        assert np.abs(np.subtract(*connectivity(pred, true, convention))) == pytest.approx(expected, abs=1e-12)


def test_conventions_differ_only_where_no_pixel_reaches_a_threshold():
    pred, true = mattes()
    pred[9:12, 13:16] = 1  # where true is 1, too: a main body up to the last threshold
    assert np.array_equal(connectivity(pred, true), connectivity(pred, true, "p3m"))
    pred *= 0.5
    assert not np.array_equal(connectivity(pred, true), connectivity(pred, true, "p3m"))


def test_unknown_conventions_are_named():
    alpha = np.eye(3)
    for call in (lambda: gradient_magnitude(alpha, "DIM"), lambda: connectivity(alpha, alpha, "DIM"),
                 lambda: matting_metrics(alpha, alpha, convention="DIM")):  # fmt: skip
        with pytest.raises(ValueError, match="unknown convention 'DIM'; known are dim, p3m"):
            call()
