"""Smooth random fields that look alike at every picture size."""

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray


def fractal(rng: Generator, shape: tuple[int, int], cells: Any = 4, octaves: int = 4, gain: float = 0.55) -> NDArray:
    """Random field (h, w) in about [-1, 1]; `cells` is one number or (down, across) of the coarsest octave.

    The lattice is drawn first and then enlarged, so the same generator gives the same field at other sizes.
    """
    down, across = (cells, cells) if np.isscalar(cells) else cells
    total = np.zeros(shape, np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        lattice = rng.random((max(2, round(down * 2**octave)), max(2, round(across * 2**octave))), np.float32)
        # finer than a pixel: a camera records the mean
        too_fine = lattice.shape[0] > shape[0] or lattice.shape[1] > shape[1]
        method = cv2.INTER_AREA if too_fine else cv2.INTER_CUBIC
        total += np.float32(amplitude) * (cv2.resize(lattice, shape[::-1], interpolation=method) * 2 - 1)
        amplitude *= gain
    return total


def blend(low: ArrayLike, high: ArrayLike, amount: NDArray) -> NDArray:
    """Colours between `low` and `high` (3,) by `amount` (h, w) in [0, 1] → (3, h, w)."""
    low, high = np.asarray(low, np.float32)[:, None, None], np.asarray(high, np.float32)[:, None, None]
    return low + (high - low) * amount
