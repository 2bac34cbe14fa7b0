"""Pictures without colours: the values in a mask, trimap or annotation, and whether its file kept them exactly."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY = 4
"""The largest difference of red, green and blue in a palette's grey: some programs round the values."""


def grey_values(picture: Image.Image, path: str | Path) -> NDArray[np.uint8]:
    """The values of a PIL picture without colours, as (H, W) uint8; `path` is for the message.

    With a palette they are its grey values if all colours in use are grey, otherwise the indices, such as class ids.
    Raises ValueError for a picture in colour, or with transparent parts; for one with a palette of colours see
    `has_colours`.
    """
    found = f"mode {picture.mode}"
    if picture.mode == "1" or has_grey_palette(picture):
        if picture.mode == "1" or not _is_transparent(picture):
            return np.array(picture.convert("L"))
        found = "a palette with transparent entries"
    elif picture.mode in ("RGB", "LA", "RGBA") and _is_grey(picture):
        return np.array(picture.getchannel(0))
    elif picture.mode in ("L", "P"):
        return np.array(picture)
    raise ValueError(f"{path}: a mask must be one channel of 8 bits, found {found}; save it as grey PNG of 8 bits")


def has_colours(picture: Image.Image) -> bool:
    """Whether a PIL picture has a palette of colours, and uses more of it than the entries 0 and 1."""
    return picture.mode == "P" and not has_grey_palette(picture) and np.asarray(picture).max() > 1


def has_grey_palette(picture: Image.Image) -> bool:
    """Whether a PIL picture has a palette and uses only greys of it."""
    if picture.mode != "P":
        return False
    palette = np.array(picture.getpalette() or [], int).reshape(-1, 3)
    used = [index for index, count in enumerate(picture.histogram()[:256]) if count]
    return max(used) < len(palette) and bool((np.ptp(palette[used], axis=1) <= GREY).all())


def is_lossy(picture: Image.Image, path: Path | str) -> bool:
    """Whether the compression of a file, opened as this PIL picture, may have changed its values."""
    if picture.format == "WEBP":
        return b"VP8L" not in Path(path).read_bytes()
    if picture.format == "TIFF":
        return picture.info.get("compression") in ("jpeg", "tiff_jpeg", "webp")
    return picture.format not in ("PNG", "BMP", "GIF", "PPM")


def _is_transparent(picture):
    """Whether a picture with a palette uses an entry of it that is not opaque."""
    return picture.has_transparency_data and picture.convert("RGBA").getchannel("A").getextrema()[0] < 255


def _is_grey(picture):
    """Whether the colour channels of a picture are the same and nothing in it is transparent."""
    *colours, last = picture.split()
    if picture.mode.endswith("A") and last.getextrema() != (255, 255):
        return False
    colours += [last] * (not picture.mode.endswith("A"))
    return all(np.array_equal(colours[0], other) for other in colours[1:])
