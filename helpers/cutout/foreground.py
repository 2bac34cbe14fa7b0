"""The person's own colours, without the background that shines through hair; and the person on another background."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from helpers.cutout.tiles import enlarged, tiles
from helpers.files.colour_profiles import in_colour, in_colours_of, in_srgb

REDUCED = 2**19
"""Pixels of the picture in which colours are estimated from coarse to fine; finer than that, only near soft edges."""

PASSES = 2
"""Passes over each level."""

NEAR = 4
"""Pixels around soft ones that get the estimated colour, too: other programs mix them when they resize."""

EPSILON = 1e-3
"""Weight of the coarser level's colour. It decides where a window holds no foreground, or no background."""


def foreground_colours(photo: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Estimate the person's own colours: what each pixel would be without the background shining through.

    With the photo's colours instead, hair on a new background keeps a rim of the old background.

    Parameters
    ----------
    photo : (H, W, 3) uint8 array
        RGB.
    alpha : (H, W) float32 array
        The person's share of each pixel, in [0, 1].

    Returns
    -------
    (H, W, 3) uint8 array
        RGB. Where the alpha is 0 or 1 and no soft edge is near, these are the photo's colours.

    Notes
    -----
    The colours are estimated from coarse to fine, as in Germer et al., "Fast Multi-Level Foreground Estimation", ICPR
    2020. On each level they are estimated by blur fusion (Forte, "Approximate Fast Foreground Colour Estimation", ICIP
    2021) in windows of 3 × 3 pixels; here the background is corrected like the foreground. Memory beyond the result is
    bounded, whatever the photo's size.
    """
    size = alpha.shape
    colours = photo.copy()
    between = cv2.inRange(alpha, 0.5 / 255, 1 - 0.5 / 255)  # neither 0 nor 1 in 8 bits
    if not between.any():
        return colours
    soft = cv2.dilate(between, np.ones((2 * NEAR + 1, 2 * NEAR + 1), np.uint8)) > 0
    fore, back = (np.stack(planes) for planes in _coarse_to_fine(photo, alpha))
    for rows, columns in tiles(*size):
        there = soft[rows, columns]
        if there.any():
            wide = _widened(rows, size[0]), _widened(columns, size[1])
            layers = (list(enlarged(planes, size, *wide)) for planes in (fore, back))
            estimate, _ = _fuse(_planes(photo[wide]), alpha[wide], *layers)
            inner = tuple(slice(part.start - w.start, part.stop - w.start) for part, w in zip((rows, columns), wide))
            tile = np.dstack([cv2.convertScaleAbs(plane[inner], alpha=255) for plane in estimate])
            colours[rows, columns][there] = tile[there]
    return colours


def _widened(part: slice, length: int) -> slice:
    """A slice with the pixels on both sides that the passes look at."""
    return slice(max(part.start - PASSES, 0), min(part.stop + PASSES, length))


def _planes(photo):
    return [photo[..., channel].astype(np.float32) / 255 for channel in range(3)]


def _coarse_to_fine(photo, alpha):
    """Colours of foreground and background, three planes each, of the photo at about `REDUCED` pixels."""
    height, width = alpha.shape
    scale = min(1, (REDUCED / alpha.size) ** 0.5)
    sizes = [(max(round(width * scale), 1), max(round(height * scale), 1))]
    planes = _planes(cv2.resize(photo, sizes[0], interpolation=cv2.INTER_AREA))
    alpha = cv2.resize(alpha, sizes[0], interpolation=cv2.INTER_AREA).astype(np.float32)
    while max(sizes[-1]) > 1:
        sizes.append(tuple((side + 1) // 2 for side in sizes[-1]))
    fore, back = (
        [np.full((1, 1), (plane * weight).sum() / (weight.sum() + EPSILON), np.float32) for plane in planes]
        for weight in (alpha, 1 - alpha)
    )
    for size in reversed(sizes):
        level, weight = ([cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in y] for y in (planes, [alpha]))
        fore, back = ([cv2.resize(plane, size) for plane in planes] for planes in (fore, back))
        fore, back = _fuse(level, weight[0], fore, back)
    return fore, back


def _fuse(photo, alpha, fore, back):
    """Better colours of foreground and background; all planes are (h, w) float32 in [0, 1], three for a picture.

    Each colour becomes the mean of its neighbours, weighted by how much of it they show. Then the difference between
    the photo and the composite of both is shared out between them.
    """

    def mean(x):
        return cv2.blur(x, (3, 3))

    shown = alpha, 1 - alpha
    weights = [mean(each) + EPSILON for each in shown]
    for _ in range(PASSES):
        for channel in range(3):
            layers = fore[channel], back[channel]
            smooth = [
                (mean(layer * part) + EPSILON * layer) / weight for layer, part, weight in zip(layers, shown, weights)
            ]
            missing = photo[channel] - shown[0] * smooth[0] - shown[1] * smooth[1]
            fore[channel], back[channel] = (np.clip(layer + part * missing, 0, 1) for layer, part in zip(smooth, shown))
    return fore, back


def checkerboard(size: tuple[int, int]) -> Image.Image:
    """The light squares that mean transparency in picture editors, as an RGB picture of `size` (width, height)."""
    side = max(max(size) // 64, 4)
    across, down = (np.arange(pixels) // side for pixels in size)
    grey = np.where((across[None] + down[:, None]) % 2, 255, 204).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def over(cutout: Image.Image, background: str | Image.Image) -> Image.Image:
    """Put a cutout on another background.

    Parameters
    ----------
    cutout : PIL.Image
        RGBA with straight alpha, as `Matter.cutout` returns it.
    background : str or PIL.Image
        A colour (`"white"`, `"#rrggbb"`), or a picture, which is resized to the cutout's size. Transparent parts of the
        picture become white. It keeps its own colours if it and the cutout have different colour profiles.

    Returns
    -------
    PIL.Image
        RGB, of the cutout's size, with the cutout's colour profile and resolution in `info`.

    Raises
    ------
    ValueError
        For an unknown colour, and if one of the two has HDR colours (PQ, HLG) and the other has not.

    Examples
    --------
    >>> from PIL import Image
    >>> half = Image.new("RGBA", (2, 1), (200, 0, 0, 255))
    >>> half.putpixel((1, 0), (0, 0, 0, 0))
    >>> shown = over(half, "#0000ff")
    >>> shown.getpixel((0, 0)), shown.getpixel((1, 0))
    ((200, 0, 0), (0, 0, 255))
    """
    if isinstance(background, str):
        background = Image.new("RGB", (1, 1), ImageColor.getrgb(background))
    background = opaque(background)
    matched = in_colours_of(background, cutout)
    if matched is None:  # a profile that only leads away from the photo's colours
        cutout = in_srgb(cutout)
        matched = in_colours_of(background, cutout) or background
    matched = matched.resize(cutout.size, Image.Resampling.LANCZOS)
    shown = Image.alpha_composite(matched.convert("RGBA"), cutout).convert("RGB")
    shown.info = dict(cutout.info)
    return shown


def opaque(picture: Image.Image) -> Image.Image:
    """A picture of any mode as RGB, on white where it is transparent; its `info` says what its numbers mean."""
    shown, meaning = in_colour(picture)
    if shown.mode == "RGBA":
        shown = Image.alpha_composite(Image.new("RGBA", shown.size, "white"), shown)  # white in any profile
    shown = shown.convert("RGB")  # a copy
    shown.info = dict[Any, Any](meaning)
    return shown
