"""Matting errors as the literature counts them, on the whole image or on a region such as the transition band.

    python -m helpers.metrics PRED_DIR TRUE_DIR            # the table of a folder of mattes or cutouts
    python -m helpers.metrics PRED_DIR TRUE_DIR --csv FILE --region whole --region TRIMAP_DIR

Publications scale the errors in more than one way, so print region, convention and resolution beside every number.
"""

from numbers import Integral

import cv2
import numpy as np

from helpers.metrics.perceptual import GRADIENT_SCALE, connectivity, gradient_magnitude

BOUNDARY = 0.02
"""Width of the boundary that boundary IoU looks at, as a part of the image's diagonal."""


def matting_metrics(pred, true, region=None, convention="dim"):
    """Errors of the alpha matte `pred` against `true`, both (H, W) in [0, 1]; returns a dict of six floats.

    `sad`   Σ|d| / 1000, with d = pred − true
    `mse`   mean of d²
    `mad`   mean of |d|
    `grad`  Σ (difference of the gradient magnitudes)² / 1000, or / 10 by "p3m"
    `conn`  Σ |φ(pred) − φ(true)| / 1000
    `iou`   of the pixels ≥ 0.5; 1.0 if neither matte has any

    `region`, a boolean (H, W) mask, says which pixels count: sums run over it and means divide by its size. Gradients
    and connected components are always those of the whole image.

    `convention` is the published code whose `grad` and `conn` these are, see `helpers.metrics.perceptual`: "dim" (Deep
    Image Matting) or "p3m" (P3M-Net and GFM on whole images). All else is the same in both. A third family stretches
    each matte to its own minimum and maximum first, which hides errors of contrast. We take alphas as they are; for
    mattes that reach 0 and 1 that is the same.

    Raises ValueError for other shapes, NaN, values outside [0, 1], a region without pixels or an unknown convention.
    """
    return metrics_by_region(pred, true, {"": region}, convention)[""]


def metrics_by_region(pred, true, regions, convention="dim"):
    """`matting_metrics` on several regions, {name: region}, for the work of one; returns {name: dict of six floats}."""
    pred, true = _same_size(pred, true)
    regions = {name: _region(region, true.shape) for name, region in regions.items()}
    error = np.abs(pred - true)
    gradient_error = gradient_magnitude(pred, convention) - gradient_magnitude(true, convention)
    connectivity_error = np.abs(np.subtract(*connectivity(pred, true, convention)))
    return {
        name: {
            "sad": float(error[region].sum() / 1000),
            "mse": float(np.mean(error[region] ** 2)),
            "mad": float(error[region].mean()),
            "grad": float(np.sum(gradient_error[region] ** 2) / GRADIENT_SCALE[convention]),
            "conn": float(connectivity_error[region].sum() / 1000),
            "iou": _iou(pred[region] >= 0.5, true[region] >= 0.5),
        }
        for name, region in regions.items()
    }


def boundary_iou(pred, true, width=None):
    """IoU in [0, 1] of the inner boundaries of two mattes, both (H, W) in [0, 1]; 1.0 if neither has a pixel ≥ 0.5.

    Cheng et al., "Boundary IoU: Improving object-centric image segmentation evaluation" (CVPR 2021). Masks are the
    pixels ≥ 0.5, and a mask's boundary is what lies within `width` pixels (of a square's distance) of its outside;
    beyond the image's border is outside, too. `width` is 2 % of the diagonal, rounded and at least 1, unless given.
    Raises ValueError for a width that is not a positive whole number, else as `matting_metrics`.
    """
    pred, true = _same_size(pred, true)
    if width is None:
        width = max(round(BOUNDARY * float(np.hypot(*true.shape))), 1)
    elif not isinstance(width, Integral) or width < 1:
        raise ValueError(f"width is {width!r}: give a positive whole number of pixels, or None for 2 % of the diagonal")
    return _iou(_inner_boundary(pred >= 0.5, width), _inner_boundary(true >= 0.5, width))


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


def unknown_region(trimap):
    """Pixels (bool, (H, W)) that a trimap, (H, W) uint8, leaves unknown: neither 0, background, nor 255, foreground.

    Raises ValueError for another shape or type.
    """
    trimap = np.asarray(trimap)
    if trimap.dtype != np.uint8 or trimap.ndim != 2:
        raise ValueError(
            f"trimap is {trimap.dtype} {trimap.shape}: pass (H, W) uint8, as `helpers.files.photos.read_grey`"
        )
    return (trimap != 0) & (trimap != 255)


def mean_metrics(metrics):
    """Mean of each key over a list of `matting_metrics` results, every image weighing the same; a NaN stays a NaN."""
    if not metrics:
        raise ValueError("there are no metrics to average: the list is empty; evaluate at least one image")
    keys = metrics[0].keys()
    for index, one in enumerate(metrics):
        if one.keys() != keys:
            raise ValueError(f"metrics[{index}] has {sorted(one)}, not {sorted(keys)}: average one kind at a time")
    return {key: float(np.mean([one[key] for one in metrics])) for key in keys}


def _same_size(pred, true):
    pred, true = _matte(pred, "pred"), _matte(true, "true")
    if pred.shape != true.shape:
        raise ValueError(f"pred is {pred.shape} but true is {true.shape}: resize pred to the true matte's size")
    return pred, true


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


def _iou(pred, true):
    """Intersection over union of two boolean masks; 1.0 if both are empty."""
    union = np.count_nonzero(pred | true)
    return float(np.count_nonzero(pred & true) / union) if union else 1.0


def _inner_boundary(mask, width):
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return mask & ~cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=int(width))[1:-1, 1:-1].astype(bool)
