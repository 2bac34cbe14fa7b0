"""A portrait and its truth: where the two files are, how the truth is meant, and reading them.

Light on purpose (no torch): worker processes and the portrait generator import it.
"""

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from helpers.files.photos import REDUCTIONS, open_picture, read_grey, read_reduced

READINGS = ("classes", "grey", "opacity")
"""How a truth file is meant: class ids of which every one but 0 is the person (EasyPortrait); grey values, 0 to 255 or
0 to 1, soft or hard; or the alpha channel of a transparent picture (AISegment, cutouts)."""


class Pair(NamedTuple):
    """One portrait.

    Attributes:
        image: the photo's file. truth: the file that holds its alpha.
        reading: how the truth is meant, one of `READINGS`.
        category: what the manifest calls its kind, such as `p3m`.
        rough: whether the truth is a rough mask, whose edge counts for nothing, instead of a refined one.
    """

    image: Path
    truth: Path
    reading: str = "classes"
    category: str = ""
    rough: bool = False

    @property
    def is_cutout(self):
        """Whether photo and truth are one transparent picture, which needs a background to be put on."""
        return self.image == self.truth and self.reading == "opacity"


def read_alpha(pair):
    """The truth of a pair as (H, W) uint8 alpha; errors name the file, as in `helpers.files.photos`."""
    if pair.reading == "opacity":
        return np.array(open_transparent(pair.truth).getchannel("A"))
    truth = read_grey(pair.truth)
    if pair.reading == "classes":
        return cv2.threshold(truth, 0, 255, cv2.THRESH_BINARY)[1]
    return truth * np.uint8(255) if truth.max() <= 1 else truth


def open_transparent(path):
    """The picture in a file as RGBA `PIL.Image`. Raises ValueError for one that can't be transparent."""
    picture = open_picture(path)
    if not picture.has_transparency_data:
        raise ValueError(f"{path}: has no alpha channel to take the truth from; save it as RGBA PNG")
    return picture.convert("RGBA")


def read_pair(pair, least=None):
    """Photo (H, W, 3) uint8 RGB and alpha (H, W) uint8 of a pair.

    With `least`, a JPEG is decoded at a half, a quarter or an eighth of its size if its shorter side still has at least
    that many pixels then, which costs a fraction of the time; the alpha is brought to the same size by area averages.
    Raises ValueError naming the file that is unreadable, or both files if their sizes differ.
    """
    (image, (height, width)), alpha = read_reduced(pair.image, least), read_alpha(pair)
    if (height, width) != alpha.shape:
        raise ValueError(
            f"{pair.truth}: {alpha.shape[1]}×{alpha.shape[0]} pixels, but its photo {pair.image} has {width}×{height} "
            "(after EXIF rotation); replace or remove the pair"
        )
    return image, alpha if image.shape[:2] == alpha.shape else _reduced(alpha, image.shape[:2])


def _reduced(alpha, size):
    """An alpha (H, W) averaged down to the `size` (h, w) that a JPEG's decoder gave its photo.

    The decoder rounds up: a side of 417 at a quarter is 105, the last of which stands for one pixel and its copies.
    """
    (height, width), (rows, columns) = alpha.shape, size
    scale = next(scale for scale in REDUCTIONS if -(-height // scale) == rows and -(-width // scale) == columns)
    below, beside = rows * scale - height, columns * scale - width
    if below or beside:
        alpha = cv2.copyMakeBorder(alpha, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    return cv2.resize(alpha, (columns, rows), interpolation=cv2.INTER_AREA)
