"""A large picture tile by tile: memory is bounded, and tiles without work are passed over."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SIDE = 256
"""Pixels of a tile: its arrays stay in the processor's cache."""


def tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    """The `(rows, columns)` slices that cover a picture of that size, each without overlap and at most `SIDE` long."""
    for top in range(0, height, SIDE):
        for left in range(0, width, SIDE):
            yield slice(top, min(top + SIDE, height)), slice(left, min(left + SIDE, width))


def enlarged(low: NDArray[np.float32], size: tuple[int, int], rows: slice, columns: slice) -> NDArray[np.float32]:
    """The part [rows, columns] of maps `low`, (h, w) or (C, h, w) float32, enlarged to `size` = (height, width).

    Bilinear, with the pixel centres of `cv2.resize`. Only the part is computed, and tiles fit together without a seam.
    """
    top, down = _interpolation(rows, size[0], low.shape[-2])
    left, across = _interpolation(columns, size[1], low.shape[-1])
    low = low[..., top : top + down.shape[1], left : left + across.shape[1]]
    return np.asarray(down @ low @ across.T, np.float32)


def covered(part: slice, large: int, small: int) -> slice:
    """The slice of a small map's `small` rows that the rows `part` of the `large` picture are interpolated from."""
    first, matrix = _interpolation(part, large, small)
    return slice(first, first + matrix.shape[1])


def _interpolation(part: slice, large: int, small: int) -> tuple[int, NDArray[np.float32]]:
    """The first row that is needed, and the matrix (rows of the part, rows needed) of their weights."""
    place = ((np.arange(part.start, part.stop) + 0.5) * (small / large) - 0.5).clip(0, small - 1)
    before = place.astype(int)
    after = np.minimum(before + 1, small - 1)
    first, number = before[0], np.arange(len(place))
    matrix = np.zeros((len(place), after[-1] + 1 - first), np.float32)
    matrix[number, before - first] = 1 - (place - before)
    matrix[number, after - first] += (place - before).astype(np.float32)
    return first, matrix
