"""Enlarges the network's small alpha to the photo's own size, so that its edges follow the photo's edges."""

import cv2
import numpy as np
from numpy.typing import NDArray

from helpers.cutout.tiles import covered, enlarged, tiles

RADIUS = 2
"""Radius of a window, in pixels of the small alpha: the distance by which a network with 320 pixels misses an edge."""

EPSILON = 1e-4
"""Variance of a colour in [0, 1]. A smaller variance counts as texture, not as an edge."""

PLAIN = 0.02
"""Alphas this close to 0 or 1 (five grey levels) are the network's noise; far from any edge they become 0 or 1."""

_FULL = 1 + 1e-6  # clipped to 1 at the end: exactly 1, however interpolation rounds


def refine(rough: NDArray, small: NDArray, photo: NDArray) -> NDArray:
    """The alpha (H, W) float32 in [0, 1] of a photo (H, W, 3) uint8 from its `rough` alpha (h, w) in [0, 1].

    `small` (h, w, 3) uint8 is the photo at the size that the network saw. The fast guided filter (He and Sun, "Fast
    Guided Filter", 2015; He, Sun and Tang, "Guided Image Filtering", TPAMI 2013, section 3.5 for colours): in every
    window of the small photo the alpha is fitted as a linear function of the colour, and the functions are enlarged and
    applied to the large photo. Each pixel takes the function of the window around it; averaged over all windows that it
    lies in, as in the paper, edges blur and the errors grow. Far from any edge, alphas stay as they are, but those
    within `PLAIN` of 0 or 1 become 0 or 1. Alphas are never stretched to fill [0, 1]. A photo that is smaller than its
    rough alpha is not refined.
    """
    height, width = photo.shape[:2]
    lines, soft = _lines(np.asarray(rough, np.float32), small)
    if height <= rough.shape[0] or width <= rough.shape[1]:
        settled = np.where(soft, rough, lines[3]).astype(np.float32)
        return cv2.resize(settled, (width, height), interpolation=cv2.INTER_AREA).clip(0, 1)
    alpha = np.empty((height, width), np.float32)
    for rows, columns in tiles(height, width):
        near = covered(rows, height, rough.shape[0]), covered(columns, width, rough.shape[1])
        if soft[near].any():
            part = enlarged(lines, (height, width), rows, columns)
            tile = part[3]
            for channel in range(3):
                tile += part[channel] * photo[rows, columns, channel]
        elif np.ptp(lines[3][near]) == 0:
            tile = lines[3][near][0, 0]
        else:
            tile = enlarged(lines[3], (height, width), rows, columns)
        alpha[rows, columns] = np.clip(tile, 0, 1)
    return alpha


def _lines(rough, small):
    """(4, h, w) float32: alpha = the first three · (R, G, B) in 0–255 + the fourth; and where it depends on colours."""
    square = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    most, least = cv2.dilate(rough, square), cv2.erode(rough, square)
    soft = most - least >= PLAIN
    lines = np.zeros((4, *rough.shape), np.float32)
    lines[3] = rough
    lines[3][most < PLAIN] = 0
    lines[3][least > 1 - PLAIN] = _FULL
    if soft.any():
        slope, offset = _fit(rough.astype(np.float64), small / 255.0, soft)
        lines[:3, soft] = slope.T / 255
        lines[3, soft] = offset
    return lines, soft


def _fit(alpha, colour, where):
    """Slopes (n, 3) and offsets (n,) of alpha against colour in the windows around the n pixels of `where`."""

    def mean(x):  # float64: variances are small differences of large numbers
        return cv2.blur(x, (2 * RADIUS + 1, 2 * RADIUS + 1))

    mean_alpha, mean_colour = mean(alpha)[where], mean(colour)[where]
    covariance = mean(colour * alpha[..., None])[where] - mean_colour * mean_alpha[:, None]
    variance = mean_colour[:, :, None] * -mean_colour[:, None] + EPSILON * np.eye(3)
    for i in range(3):
        variance[:, i] += mean(colour * colour[..., i : i + 1])[where]
    slope = np.linalg.solve(variance, covariance[..., None])[..., 0]
    return slope, mean_alpha - (slope * mean_colour).sum(1)
