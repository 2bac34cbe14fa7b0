"""Matting errors as the literature counts them, on the whole image or on a region such as the transition band.

The four matting errors are those of Rhemann et al., "A perceptually motivated online benchmark for image matting"
(CVPR 2009). Publications scale them in more than one way, so print region and resolution beside every number.
"""

from numbers import Integral

import cv2
import numpy as np

SIGMA = 1.4
"""Width in pixels of the Gaussian whose derivatives measure the gradient error."""

LEVELS = [k / 10 for k in range(11)]
"""Thresholds 0, 0.1 … 1 of the connectivity error."""

TOLERANCE = 0.15
"""θ: how far alpha may rise above its connected level before the connectivity error counts it."""


def matting_metrics(pred, true, region=None):
    """Errors of the alpha matte `pred` against `true`, both (H, W) in [0, 1]; returns a dict of six floats.

    `sad`   Σ|d| / 1000, with d = pred − true
    `mse`   mean of d²
    `mad`   mean of |d|
    `grad`  Σ (difference of the gradient magnitudes)² / 1000, see `gradient_magnitude`
    `conn`  Σ |φ(pred) − φ(true)| / 1000, see `connectivity`
    `iou`   of the pixels ≥ 0.5; 1.0 if neither matte has any

    `region`, a boolean (H, W) mask, says which pixels count: sums run over it and means divide by its size. Gradients
    and connected components are always those of the whole image. Alphas are taken as they are, never stretched to
    their own minimum and maximum.

    P3M-Net's and GFM's evaluation of the whole image counts sad, mse and mad the same way. Two of their figures differ:
    their gradient keeps the derivative's own scale and divides by 10, which comes out a few per cent higher than ours;
    and their connectivity skips the thresholds that no pixel reaches in both mattes.

    Raises ValueError for other shapes, NaN, values outside [0, 1] or a region without pixels.
    """
    pred, true = _matte(pred, "pred"), _matte(true, "true")
    if pred.shape != true.shape:
        raise ValueError(f"pred is {pred.shape} but true is {true.shape}: resize pred to the true matte's size")
    region = _region(region, true.shape)

    error = np.abs(pred - true)[region]
    gradient_error = (gradient_magnitude(pred) - gradient_magnitude(true))[region]
    connectivity_error = np.subtract(*connectivity(pred, true))[region]
    pred_on, true_on = pred[region] >= 0.5, true[region] >= 0.5
    union = np.count_nonzero(pred_on | true_on)
    return {
        "sad": float(error.sum() / 1000),
        "mse": float(np.mean(error**2)),
        "mad": float(error.mean()),
        "grad": float(np.sum(gradient_error**2) / 1000),
        "conn": float(np.abs(connectivity_error).sum() / 1000),
        "iou": float(np.count_nonzero(pred_on & true_on) / union) if union else 1.0,
    }


def transition_band(true, width=15):
    """Pixels (bool, (H, W)) within `width` // 2 of a change in the matte `true`, (H, W) in [0, 1].

    The report's m_d: dilation and erosion with a `width` × `width` square differ there. Beyond the image's border there
    is nothing to differ from, so a constant matte has an empty band, on which `matting_metrics` refuses to measure.
    Raises ValueError unless `width` is odd and positive.
    """
    if not isinstance(width, Integral) or width < 1 or width % 2 == 0:
        raise ValueError(f"width is {width!r}: give an odd positive whole number, so that the square has a centre")
    true, square = _matte(true, "true"), np.ones((width, width), np.uint8)
    return cv2.dilate(true, square) > cv2.erode(true, square)


def mean_metrics(metrics):
    """Mean of each key over a list of `matting_metrics` results, every image weighing the same; a NaN stays a NaN."""
    if not metrics:
        raise ValueError("there are no metrics to average: the list is empty; evaluate at least one image")
    keys = metrics[0].keys()
    for index, one in enumerate(metrics):
        if one.keys() != keys:
            raise ValueError(f"metrics[{index}] has {sorted(one)}, not {sorted(keys)}: average one kind at a time")
    return {key: float(np.mean([one[key] for one in metrics])) for key in keys}


def gradient_magnitude(alpha):
    """Length of the Gaussian-derivative gradient (σ = 1.4) of `alpha`, (H, W) float64; the border is replicated.

    The 9 × 9 kernel has unit L2 norm, as in the evaluation code that came with Deep Image Matting (Xu et al. 2017).
    """
    x = np.arange(-4.0, 5.0)  # ±4: the Gaussian falls below 0.01 at 3.6 pixels, where that code cuts it off
    smooth = np.exp(-(x**2) / (2 * SIGMA**2))
    derive = x * smooth
    smooth, derive = smooth / np.linalg.norm(smooth), derive / np.linalg.norm(derive)
    across = cv2.sepFilter2D(alpha, cv2.CV_64F, derive, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(alpha, cv2.CV_64F, smooth, derive, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)


def connectivity(pred, true):
    """φ of both mattes, each (H, W): 1 where alpha hangs together with the main body, less where it floats above it.

    At each threshold the body is the largest 4-connected component of the pixels that reach it in both mattes. A
    pixel's level is the last threshold before it leaves the body, and φ = 1 − d·[d ≥ 0.15] with d = alpha − level.
    """
    level = np.ones(true.shape)
    inside = np.ones(true.shape, bool)
    both = np.minimum(pred, true).astype(np.float32)  # a float32 matte's 0.7 reaches 0.7, though it is less in float64
    for below, threshold in zip(LEVELS, LEVELS[1:]):
        leaves = inside & ~_largest_component(both >= np.float32(threshold))
        level[leaves] = below
        inside &= ~leaves
    rise = np.stack([pred, true]) - level
    return 1 - rise * (rise >= TOLERANCE)


def _largest_component(mask):
    """The largest 4-connected component of a boolean mask, as a mask; all False if there is none."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]  # label 0 is everything else
    return labels == 1 + np.argmax(areas) if len(areas) else np.zeros_like(mask)


def _matte(values, name):
    """`values` as a float64 matte, or a ValueError that names what is wrong with it."""
    matte = np.asarray(values, dtype=np.float64)
    if matte.ndim != 2 or matte.size == 0:
        raise ValueError(f"{name} has shape {matte.shape}: pass one matte of shape (H, W), without batch or channel")
    low, high = matte.min(), matte.max()  # NaN if any value is
    if not (low >= 0 and high <= 1):
        if np.isnan(low):
            raise ValueError(f"{name} holds {np.count_nonzero(np.isnan(matte))} NaN: find where they come from first")
        raise ValueError(f"{name} runs from {low} to {high}: pass alpha in [0, 1] (divide by 255, or clip overshoot)")
    return matte


def _region(region, shape):
    """`region` as a boolean mask of `shape` with at least one pixel; everything if it is None."""
    if region is None:
        return np.ones(shape, bool)
    region = np.asarray(region)
    if region.dtype != bool or region.shape != shape:
        raise ValueError(f"region is {region.dtype} {region.shape}: pass a boolean mask of the mattes' shape {shape}")
    if not region.any():
        raise ValueError("region has no pixels, so there is nothing to measure: choose a wider one or skip this image")
    return region
