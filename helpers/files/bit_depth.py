"""Pictures of more than 8 bits, converted to 8. The file, or its numbers, decide which number is white."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile

FEWER_BITS = (255, 1023, 4095)
"""The largest numbers of 8, 10 and 12 bits: what a file of 16 bits holds if all its numbers are below 1/16 of white."""

_AS_8_BITS = "save it in 8 bits"

FRACTIONS = ((0, 1.05, 1), (16, 268, 255), (4096, 68812, 65535))
"""(least, most, white): if nearly all floats are at most `most`, which is 1.05 times white, and some are above `least`,
white is `white`."""

PER_CENT = 95, 101
"""Floats of which the largest lie here may count per cent, as the L of L*a*b* does, or be those of a dark photo."""


def in_8_bits(picture: Image.Image) -> Image.Image:
    """A grey picture of 16 or 32 bits, of whole numbers or of fractions, in mode "L"; any other as it is.

    White is `info["white"]` if the file names it. Otherwise whole numbers have 16 bits, or 8, 10 or 12 bits if all of
    them are so small that they would be black in 16 bits. Fractions run from 0 to 1, 255 or 65535; one in a hundred may
    lie above, as highlights do. NaN becomes 0. With `info["negative"]`, 0 is white.
    Raises ValueError for other numbers, such as negative ones.
    """
    if not (picture.mode.startswith("I") or picture.mode == "F"):
        return picture
    values = np.asarray(picture)
    white = _white_of_fractions(values) if picture.mode == "F" else _white(values, picture.info.get("white"))
    with np.errstate(over="ignore"):
        scaled = np.nan_to_num(values.astype(np.float32) * np.float32(255 / white), nan=0)
    grey = scaled.clip(0, 255).round().astype(np.uint8)
    shown = Image.fromarray(~grey if picture.info.get("negative") else grey)
    hidden = picture.info.get("transparency")
    if isinstance(hidden, int):
        shown.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
    return shown


def _white(values: NDArray[Any], stated: int | None) -> int:
    least, most = int(values.min(initial=0)), int(values.max(initial=0))
    if least < 0 or most > max(stated or 0, 65535):
        raise ValueError(f"its numbers run from {least} to {most}: signed, or of more than 16 bits; save it in 8 or 16 "
                         "bits")  # fmt: skip
    if not stated and FEWER_BITS[-1] < most < 2**14:
        raise ValueError(f"its largest number is {most} and white is 65535: it may hold 14 bits; {_AS_8_BITS}")
    return stated or next((white for white in FEWER_BITS if most <= white), 65535)


def _white_of_fractions(values: NDArray[Any]) -> int:
    numbers = values[np.isfinite(values)]
    low, high = np.percentile(numbers, (1, 99)) if numbers.size else (0, 0)
    for least, most, white in FRACTIONS:
        if least <= max(high, 0) <= most and low >= -0.1 * white and not PER_CENT[0] < high < PER_CENT[1]:
            return white
    raise ValueError(f"its floats run from about {low:.3g} to {high:.3g}; white must be 1, 255 or 65535; save it in 8 "
                     "or 16 bits")  # fmt: skip


def has_16_bits(picture: ImageFile) -> bool:
    """Whether an open colour file, not yet decoded, has 16 bits per colour, of which Pillow gives the upper 8."""
    return any(";16" in str(tile.args) for tile in picture.tile) and picture.mode in ("RGB", "RGBA", "LA")


def check_upper_bits(picture: Image.Image) -> None:
    """Raise ValueError for a picture that `has_16_bits`, decoded, if its colours use 14 bits of them or fewer."""
    colours = picture.getbands()[: 1 if picture.mode == "LA" else 3]
    if max(np.asarray(picture.getchannel(name)).max() for name in colours) < 64:
        raise ValueError(f"no colour in its 16 bits reaches 1/4 of white: it may hold 12 or 14 bits; {_AS_8_BITS}")
