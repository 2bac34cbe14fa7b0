"""What is written of a photo that is cut out: the cutout, on a background or beside the photo, its alpha, a trimap."""

from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageOps

from helpers.cutout.foreground import checkerboard, over
from helpers.files.colour_profiles import in_colours_of
from helpers.files.photos import to_rgb

INVISIBLE = "transparent everywhere, so that there is nothing to see; save it without transparency"

KINDS = ("cutout", "mask", "trimap", "side-by-side")

SURE = 0.05
"""How far from 0 and 1 an alpha may be to count as background or person in a trimap."""

UNKNOWN = 0.01
"""How far the unknown band of a trimap reaches into what is sure on both sides, as a part of the longer side."""

_BLURRED_AT, _BLUR = 512, 12  # pixels of the longer side that a background is blurred at; the Gaussian's deviation


class Look(NamedTuple):
    """What to write of each photo.

    Attributes:
        kind: one of `KINDS`.
        background: of cutouts, alone or beside the photo: None is transparent, "blur" the photo's own, blurred; or a
            colour (`"white"`, `"#rrggbb"`), or a `PIL.Image`, which is cropped to the photo's shape. Both keep their
            colours, whatever the photo's profile; what is transparent in a picture becomes white.
    """

    kind: str = "cutout"
    background: str | Image.Image | None = None


def render(matter, photo, look):
    """The picture to write of a photo, an RGB or RGBA `PIL.Image`, which a `Matter` cuts out.

    RGBA or, on a background, RGB; L for masks and trimaps; RGB and twice as wide for photo and cutout side by side, on
    a checkerboard where transparent. Its `info` is the photo's: what its numbers mean, and its resolution. Where a
    cutout's alpha is 0, so are its colours: nothing of the old background is left in the file.
    Raises ValueError for a photo that is transparent everywhere.
    """
    if is_invisible(photo):
        raise ValueError(f"the photo is {INVISIBLE}")
    if look.kind in ("mask", "trimap"):
        alpha = matter.alpha(photo)
        shown = Image.fromarray(trimap_of(alpha) if look.kind == "trimap" else (alpha * 255).round().astype(np.uint8))
    else:
        cutout = _without_hidden_colours(matter.cutout(photo))
        cutout.info = dict(photo.info)
        return _shown(photo, cutout, look)
    shown.info = dict(photo.info)
    return shown


def is_invisible(photo):
    """Whether a photo is transparent everywhere, so that nothing of it may be shown."""
    return photo.mode == "RGBA" and photo.getchannel("A").getextrema()[1] == 0


def trimap_of(alpha):
    """The trimap (H, W) uint8 of an alpha (H, W) in [0, 1]: 0 background, 255 person, 128 unknown.

    Unknown is where the alpha is further than `SURE` from 0 and 1, and what lies around it or around a hard edge.
    """
    reach = max(round(UNKNOWN * max(alpha.shape)), 1)
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    person, background = (cv2.erode(sure.astype(np.uint8), square) for sure in (alpha >= 1 - SURE, alpha <= SURE))
    trimap = np.full(alpha.shape, 128, np.uint8)
    trimap[person > 0], trimap[background > 0] = 255, 0
    return trimap


def blurred_background(photo, cutout):
    """What a photo shows beside the person, blurred: an RGB `PIL.Image` of the photo's size.

    Averages of a pixel's neighbourhood in which the person, cut out in `cutout`, counts nothing, nor what is
    transparent in the photo: so nobody is surrounded by a glow of themselves.
    """
    opacity = photo.getchannel("A") if photo.mode == "RGBA" else Image.new("L", photo.size, 255)
    seen = cv2.subtract(np.asarray(opacity), np.asarray(cutout.getchannel("A")))
    colours = cv2.multiply(to_rgb(photo), cv2.merge([seen] * 3), scale=1 / 255)
    scale = min(_BLURRED_AT / max(photo.size), 1)
    size = tuple(max(round(side * scale), 1) for side in photo.size)
    colours, seen = (cv2.resize(array, size, interpolation=cv2.INTER_AREA) for array in (colours, seen))
    colours, seen = colours.astype(np.float32), seen[..., None] / np.float32(255)
    mean = colours.mean((0, 1)) / max(seen.mean(), 1e-6)  # where no background is near
    colours, seen = (cv2.GaussianBlur(array, (0, 0), _BLUR * max(size) / _BLURRED_AT) for array in (colours, seen))
    blurred = (colours + 0.001 * mean) / (seen[..., None] + 0.001)
    shown = Image.fromarray(cv2.resize(blurred.clip(0, 255).round().astype(np.uint8), photo.size))
    shown.info = dict(photo.info)  # the same colours
    return shown


def _without_hidden_colours(cutout):
    """An RGBA cutout with all channels 0 where its alpha is: it compresses better, too."""
    pixels = np.asarray(cutout)
    return Image.fromarray(cv2.copyTo(pixels, cv2.extractChannel(pixels, 3)))


def _shown(photo, cutout, look):
    """The cutout on its background and, if it is to be, beside its photo."""
    board = checkerboard(photo.size) if look.kind == "side-by-side" else None
    background = look.background or board
    if background == "blur":
        background = blurred_background(photo, cutout)
    elif isinstance(background, Image.Image):
        background = ImageOps.fit(background, photo.size)
    shown = over(cutout, background) if background else cutout
    if board is None:
        return shown
    both = Image.new("RGB", (2 * photo.width, photo.height))
    whole = over(photo, board) if photo.mode == "RGBA" else in_colours_of(photo, shown) or photo
    both.paste(whole)
    both.paste(shown, (photo.width, 0))
    both.info = shown.info
    return both
