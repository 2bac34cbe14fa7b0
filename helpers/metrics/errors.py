"""Matting errors as the literature counts them, on the whole image or on a region such as the transition band.

    python -m helpers.metrics PRED_DIR TRUE_DIR            # the table of a folder of mattes or cutouts
    python -m helpers.metrics PRED_DIR TRUE_DIR --csv FILE --region whole --region TRIMAP_DIR

Publications scale the errors in more than one way, so print region, convention and resolution beside every number.
"""

from collections.abc import Mapping, Sequence
from numbers import Integral

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from helpers.metrics.perceptual import GRADIENT_SCALE, connectivity, gradient_magnitude

BOUNDARY = 0.02
"""Width of the boundary that boundary IoU measures, as a share of the image's diagonal."""


def matting_metrics(
    pred: ArrayLike, true: ArrayLike, region: ArrayLike | None = None, convention: str = "dim"
) -> dict[str, float]:
    """Errors of a predicted alpha matte against the ground truth.

    Parameters
    ----------
    pred, true : array (H, W)
        The prediction and the ground truth, in [0, 1].
    region : boolean array (H, W), optional
        The pixels that count: sums run over them and means divide by their number. By default all pixels count.
        Gradients and connected components are always those of the whole image.
    convention : str
        The published code that `grad` and `conn` follow: "dim" (Deep Image Matting) or "p3m" (P3M-Net and GFM on whole
        images). The other figures are the same in both.

    Returns
    -------
    dict of str to float
        `sad`: Σ|d| / 1000, with d = pred − true. `mse`: mean of d². `mad`: mean of |d|. `grad`: Σ (difference of the
        gradient magnitudes)² / 1000, or / 10 with "p3m". `conn`: Σ |φ(pred) − φ(true)| / 1000. `iou`: of the pixels
        ≥ 0.5; 1.0 if neither matte has any.

    Raises
    ------
    ValueError
        The arrays differ in shape, hold NaN or values outside [0, 1], the region has no pixel, or the convention is
        unknown.

    Notes
    -----
    Rhemann et al., "A perceptually motivated online benchmark for image matting" (CVPR 2009), define gradient and
    connectivity error; `helpers.metrics.perceptual` has the details. Some publications stretch each matte to its own
    minimum and maximum first, which hides errors of contrast. Here alphas are taken as they are; for mattes that reach
    0 and 1 that is the same.

    Examples
    --------
    >>> true = np.zeros((4, 4))
    >>> true[:, 2:] = 1
    >>> pred = true.copy()
    >>> pred[0, 2] = 0.5
    >>> errors = matting_metrics(pred, true)
    >>> errors["sad"], errors["mse"], errors["mad"], errors["iou"]
    (0.0005, 0.015625, 0.03125, 1.0)
    """
    return metrics_by_region(pred, true, {"": region}, convention)[""]


def metrics_by_region(
    pred: ArrayLike, true: ArrayLike, regions: Mapping[str, ArrayLike | None], convention: str = "dim"
) -> dict[str, dict[str, float]]:
    """`matting_metrics` on several regions, {name: region}, at the cost of one; returns {name: dict of six floats}."""
    pred, true = _same_size(pred, true)
    masks = {name: _region(region, true.shape) for name, region in regions.items()}
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
        for name, region in masks.items()
    }


def boundary_iou(pred: ArrayLike, true: ArrayLike, width: int | None = None) -> float:
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


def alpha_errors(alpha: NDArray, true: NDArray) -> tuple[float, float, float]:
    """(IoU, MAD, MAD in the transition band) of an alpha against the ground truth, both (H, W) in [0, 1].

    The last is NaN if the ground truth has no edge. Faster than `matting_metrics`, which also computes gradients.
    """
    error, band = np.abs(alpha - true), transition_band(true)
    predicted, actual = alpha >= 0.5, true >= 0.5
    union = np.count_nonzero(predicted | actual)
    iou = np.count_nonzero(predicted & actual) / union if union else 1.0
    return iou, float(error.mean()), float(error[band].mean()) if band.any() else float("nan")


def transition_band(true: ArrayLike, width: int = 15) -> NDArray[np.bool_]:
    """The pixels near a change in a matte.

    Parameters
    ----------
    true : array_like
        The ground truth, (H, W) in [0, 1].
    width : int
        The side of the square in pixels, odd. The band contains all pixels within `width` // 2 of a change.

    Returns
    -------
    numpy.ndarray
        The band, (H, W) bool.

    Raises
    ------
    ValueError
        `width` is not an odd positive whole number, or `true` is no matte.

    Notes
    -----
    This is m_d of the report: dilation and erosion with a `width` × `width` square differ there. The image border
    is no change. A constant matte therefore has an empty band, and `matting_metrics` refuses to measure on it.
    """
    if not isinstance(width, Integral) or width < 1 or width % 2 == 0:
        raise ValueError(f"width is {width!r}: give an odd positive whole number, so that the square has a centre")
    matte, square = _matte(true, "true"), np.ones((width, width), np.uint8)
    return cv2.dilate(matte, square) > cv2.erode(matte, square)


def unknown_region(trimap: ArrayLike) -> NDArray[np.bool_]:
    """Pixels (bool, (H, W)) that a trimap, (H, W) uint8, leaves unknown: neither 0, background, nor 255, foreground.

    Raises ValueError for another shape or type.
    """
    trimap = np.asarray(trimap)
    if trimap.dtype != np.uint8 or trimap.ndim != 2:
        raise ValueError(
            f"trimap is {trimap.dtype} {trimap.shape}: pass (H, W) uint8, as `helpers.files.photos.read_grey`"
        )
    return (trimap != 0) & (trimap != 255)


def mean_metrics(metrics: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean of each key over a list of `matting_metrics` results; all images have the same weight, a NaN stays a NaN."""
    if not metrics:
        raise ValueError("there are no metrics to average: the list is empty; evaluate at least one image")
    keys = metrics[0].keys()
    for index, one in enumerate(metrics):
        if one.keys() != keys:
            raise ValueError(f"metrics[{index}] has {sorted(one)}, not {sorted(keys)}: average one kind at a time")
    return {key: float(np.mean([one[key] for one in metrics])) for key in keys}


def _same_size(pred: ArrayLike, true: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    pred, true = _matte(pred, "pred"), _matte(true, "true")
    if pred.shape != true.shape:
        raise ValueError(f"pred is {pred.shape} but true is {true.shape}: resize pred to the true matte's size")
    return pred, true


def _matte(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """`values` as a float64 matte; raises ValueError that names the fault."""
    matte = np.asarray(values, dtype=np.float64)
    if matte.ndim != 2 or matte.size == 0:
        raise ValueError(f"{name} has shape {matte.shape}: pass one matte of shape (H, W), without batch or channel")
    low, high = matte.min(), matte.max()  # NaN if any value is
    if not (low >= 0 and high <= 1):
        if np.isnan(low):
            raise ValueError(f"{name} holds {np.count_nonzero(np.isnan(matte))} NaN: find where they come from first")
        raise ValueError(f"{name} runs from {low} to {high}: pass alpha in [0, 1] (divide by 255, or clip overshoot)")
    return matte


def _region(region: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """`region` as a boolean mask of `shape` with at least one pixel; everything if it is None."""
    if region is None:
        return np.ones(shape, bool)
    region = np.asarray(region)
    if region.dtype != bool or region.shape != shape:
        raise ValueError(f"region is {region.dtype} {region.shape}: pass a boolean mask of the mattes' shape {shape}")
    if not region.any():
        raise ValueError("region has no pixels, so there is nothing to measure: choose a wider one or skip this image")
    return region


def _iou(pred: NDArray[np.bool_], true: NDArray[np.bool_]) -> float:
    """Intersection over union of two boolean masks; 1.0 if both are empty."""
    union = np.count_nonzero(pred | true)
    return float(np.count_nonzero(pred & true) / union) if union else 1.0


def _inner_boundary(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return mask & ~cv2.erode(framed, np.ones((3, 3), np.uint8), iterations=int(width))[1:-1, 1:-1].astype(bool)
