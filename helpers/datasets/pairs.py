"""A portrait and its ground truth: where the two files are, what the ground truth means, and reading both.

This module imports no torch, because worker processes and the portrait generator import it.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from helpers.datasets.ground_truth import READINGS, read_ground_truth
from helpers.files.photos import REDUCTIONS, read_reduced

__all__ = ["READINGS", "Pair", "read_alpha", "read_pair", "read_remarked_pair"]


class Pair(NamedTuple):
    """One portrait.

    Attributes:
        image: the photo's file. truth: the file that holds its ground truth.
        reading: what the ground truth means, one of `READINGS`.
        category: the kind of picture, such as `p3m`, as the manifest calls it.
        rough: whether the ground truth is a rough mask, whose edge is ignored, and not a refined one.
    """

    image: Path
    truth: Path
    reading: str = "classes"
    category: str = ""
    rough: bool = False

    @property
    def is_cutout(self) -> bool:
        """Whether photo and ground truth are one transparent picture, which needs a background to be put on."""
        return self.image == self.truth and self.reading == "opacity"


def read_alpha(pair: Pair) -> NDArray[np.uint8]:
    """The ground truth of a pair as alpha (H, W) uint8; errors as in `read_ground_truth`."""
    return read_ground_truth(pair.truth, pair.reading).alpha


def read_pair(pair: Pair, least: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Photo (H, W, 3) uint8 RGB and alpha (H, W) uint8 of a pair.

    With `least`, a JPEG is decoded at a half, a quarter or an eighth of its size if its shorter side still has at least
    that many pixels then, which costs a fraction of the time; the alpha is brought to the same size by area averages.
    Raises ValueError naming the file that is unreadable, or both files if their sizes differ.
    """
    image, alpha, _ = read_remarked_pair(pair, least)
    return image, alpha


def read_remarked_pair(
    pair: Pair, least: int | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[tuple[str, str]]]:
    """As `read_pair`, and the `Remark`s on the ground truth."""
    (image, (height, width)), (alpha, remarks) = (
        read_reduced(pair.image, least),
        read_ground_truth(pair.truth, pair.reading),
    )
    if (height, width) != alpha.shape:
        raise ValueError(
            f"{pair.truth}: {alpha.shape[1]}×{alpha.shape[0]} pixels, but its photo {pair.image} has {width}×{height} "
            "(after EXIF rotation); replace or remove the pair"
        )
    return image, alpha if image.shape[:2] == alpha.shape else _reduced(alpha, image.shape[:2]), remarks


def _reduced(alpha: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """An alpha (H, W) averaged down to the `size` (h, w) that a JPEG's decoder gave its photo.

    The decoder rounds up: a side of 417 at a quarter is 105, the last of which stands for one pixel and its copies.
    """
    (height, width), (rows, columns) = alpha.shape, size
    scale = next(scale for scale in REDUCTIONS if -(-height // scale) == rows and -(-width // scale) == columns)
    below, beside = rows * scale - height, columns * scale - width
    if below or beside:
        alpha = np.asarray(cv2.copyMakeBorder(alpha, 0, below, 0, beside, cv2.BORDER_REPLICATE), np.uint8)
    return np.asarray(cv2.resize(alpha, (columns, rows), interpolation=cv2.INTER_AREA), np.uint8)
