"""The picture to write for a photo: its cutout, on a background or beside the photo, its alpha, or a trimap."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from helpers.cutout.foreground import checkerboard, over
from helpers.cutout.matter import Matter
from helpers.files.colour_profiles import in_colours_of
from helpers.files.photos import to_rgb

INVISIBLE = "transparent everywhere, so that there is nothing to see; save it without transparency"

KINDS = ("cutout", "mask", "trimap", "side-by-side")

SURE = 0.05
"""The largest distance of an alpha from 0 or 1 that counts as background or person in a trimap."""

UNKNOWN = 0.01
"""Width of the unknown band of a trimap on both sides of an edge, as a part of the photo's longer side."""

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


def render(matter: Matter, photo: Image.Image, look: Look) -> Image.Image:
    """The picture to write for a photo, an RGB or RGBA `PIL.Image`.

    It is RGBA, or RGB on a background; L for masks and trimaps; for photo and cutout side by side it is RGB and twice
    as wide, with a checkerboard where nothing is. Its `info` is the photo's: what its numbers mean, and its resolution.
    Where a cutout's alpha is 0, its colours are 0 too: nothing of the old background is left in the file.
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


def is_invisible(photo: Image.Image) -> bool:
    """Whether a photo is transparent everywhere, so that nothing of it may be shown."""
    return photo.mode == "RGBA" and photo.getchannel("A").getextrema()[1] == 0


def trimap_of(alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The trimap (H, W) uint8 of an alpha (H, W) in [0, 1]: 0 background, 255 person, 128 unknown.

    Unknown is where the alpha is further than `SURE` from 0 and 1, and the pixels around it and around hard edges.
    """
    reach = max(round(UNKNOWN * max(alpha.shape)), 1)
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    person, background = (cv2.erode(sure.astype(np.uint8), square) for sure in (alpha >= 1 - SURE, alpha <= SURE))
    trimap = np.full(alpha.shape, 128, np.uint8)
    trimap[person > 0], trimap[background > 0] = 255, 0
    return trimap


def blurred_background(photo: Image.Image, cutout: Image.Image) -> Image.Image:
    """The photo's background, blurred, without the person: an RGB `PIL.Image` of the photo's size.

    Each pixel is the mean of its neighbourhood. The person, given by the alpha of `cutout`, has no weight in it, and
    transparent parts of the photo have none: otherwise a glow of the person would surround them.
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


def _without_hidden_colours(cutout: Image.Image) -> Image.Image:
    """An RGBA cutout with all channels 0 where its alpha is: it compresses better, too."""
    pixels = np.asarray(cutout)
    return Image.fromarray(cv2.copyTo(pixels, cv2.extractChannel(pixels, 3)))


def _shown(photo: Image.Image, cutout: Image.Image, look: Look) -> Image.Image:
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
