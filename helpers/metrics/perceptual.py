"""Gradient and connectivity of alpha mattes, which the perceptual errors compare, in both published conventions.

Rhemann et al., "A perceptually motivated online benchmark for image matting" (CVPR 2009), define the errors but not
every detail of computing them. "dim" is the evaluation code that came with Deep Image Matting (Xu et al. 2017), "p3m"
that of P3M-Net (Li et al. 2021) and GFM (Li et al. 2022) for whole images. Figures of the two conventions
cannot be compared.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

GRADIENT_SCALE = {"dim": 1000, "p3m": 10}
"""What each convention divides the summed gradient error by. All other sums are divided by 1000 in both."""

CONVENTIONS = tuple(GRADIENT_SCALE)

SIGMA = 1.4
"""Width in pixels of the Gaussian whose derivatives measure the gradient error."""

LEVELS = [k / 10 for k in range(11)]
"""Thresholds 0, 0.1 … 1 of the connectivity error."""

TOLERANCE = 0.15
"""θ: how far alpha may rise above its connected level before the connectivity error counts it."""


def gradient_magnitude(alpha: NDArray[np.float64], convention: str = "dim") -> NDArray[np.float64]:
    """Length of the Gaussian-derivative gradient (σ = 1.4) of `alpha`, (H, W) float64.

    "dim": the 9 × 9 kernel has unit L2 norm, and the border is replicated.
    "p3m": the derivative in units of alpha per pixel, as by `scipy.ndimage.gaussian_filter` with its defaults: 13 × 13
    pixels, and the border is mirrored.
    Raises ValueError for another convention.
    """
    if _known(convention) == "dim":
        x = np.arange(-4.0, 5.0)  # ±4: the Gaussian falls below 0.01 at 3.6 pixels, where that code cuts it off
        smooth = np.exp(-(x**2) / (2 * SIGMA**2))
        derive = x * smooth
        smooth, derive = smooth / np.linalg.norm(smooth), derive / np.linalg.norm(derive)
        border = cv2.BORDER_REPLICATE
    else:
        x = np.arange(-6.0, 7.0)  # ±6: scipy cuts it off at 4σ, rounded
        smooth = np.exp(-(x**2) / (2 * SIGMA**2))
        smooth /= smooth.sum()
        derive = x / SIGMA**2 * smooth
        border = cv2.BORDER_REFLECT
    across = cv2.sepFilter2D(alpha, cv2.CV_64F, derive, smooth, borderType=border)
    down = cv2.sepFilter2D(alpha, cv2.CV_64F, smooth, derive, borderType=border)
    return np.hypot(across, down)


def connectivity(pred: NDArray[np.float64], true: NDArray[np.float64], convention: str = "dim") -> NDArray[np.float64]:
    """φ of both mattes, each (H, W): 1 where alpha is connected with the main body, less where it is not.

    At each threshold the body is the largest 4-connected component of the pixels that reach it in both mattes. A
    pixel's level is the last threshold before it leaves the body, and φ = 1 − d·[d ≥ 0.15] with d = alpha − level.
    Where no pixel reaches a threshold in both mattes, "dim" lets all remaining pixels leave the body. "p3m" skips
    that threshold, so the remaining pixels have level 1 and no error. Raises ValueError for another convention.
    """
    stops = _known(convention) == "p3m"
    level = np.ones(true.shape)
    inside = np.ones(true.shape, bool)
    both = np.minimum(pred, true).astype(np.float32)  # a float32 matte's 0.7 reaches 0.7, though it is less in float64
    for below, threshold in zip(LEVELS, LEVELS[1:]):
        reached = both >= np.float32(threshold)
        if stops and not reached.any():
            break  # no pixel reaches the higher ones either
        leaves = inside & ~_largest_component(reached)
        level[leaves] = below
        inside &= ~leaves
    rise = np.stack([pred, true]) - level
    return 1 - rise * (rise >= TOLERANCE)


def _known(convention: str) -> str:
    if convention not in CONVENTIONS:
        raise ValueError(f"unknown convention {convention!r}; known are {', '.join(CONVENTIONS)}")
    return convention


def _largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest 4-connected component of a boolean mask, as a mask; all False if there is none."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]  # label 0 is everything else
    return labels == 1 + np.argmax(areas) if len(areas) else np.zeros_like(mask)
