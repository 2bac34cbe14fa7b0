"""What a ground-truth file means, decided by its mode, its palette and its values. All commands read it by this module.

An odd property of a file becomes a `Remark`. Training, `prepare`, `check` and `metrics` show the same remarks.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.files.grey import grey_values, has_colours, has_grey_palette, is_lossy
from helpers.files.photos import open_picture

READINGS = ("classes", "grey", "opacity")
"""What the values of a ground truth are: class ids, of which all but 0 are the person (EasyPortrait); grey values, 0 to
255 or 0 to 1, soft or hard; or the alpha channel of a transparent picture (AISegment, cutouts)."""

CLASSES = ("BACKGROUND", "PERSON", "SKIN", "LEFT_BROW", "RIGHT_BROW", "LEFT_EYE", "RIGHT_EYE", "LIPS", "TEETH")
"""EasyPortrait's class names (table 1 of the report); the position is the pixel value in an annotation PNG."""

UNSURE = 255
"""The value of pixels without a sure class in many class masks, such as those along the border."""

MOST_IDS = 20
"""The largest class id in a mask of another data set, such as PASCAL VOC's, beside which 255 is `UNSURE`."""

FEW_IDS, BORDER = 3, 9
"""The most classes, and the width in pixels of a border of `UNSURE`, in such a mask; VOC's borders are 5 wide."""

UNKNOWN, UNKNOWN_EXACT = 0.02, 0.005
"""The least share of a trimap's pixels that is unknown: at any value, and at 127 or 128 with nothing else between."""

NEAR = 8
"""How far from 0 or 255 compression and resizing may take the background or the person of a trimap."""

ONE_VALUE = 0.75
"""The least share of a trimap's unknown pixels that have nearly one value; the others lie at its edges."""

FLAT = 0.2
"""The least share of pixels between 0 and 255 in a drawing of classes, most of them of a few values."""

LEAST_BACKGROUND = 0.05
"""The least share of background in a ground truth that looks inverted; a close-up may have less."""


class Remark(StrEnum):
    """What can be odd about a ground truth that is readable."""

    FAINT = "ground truths that reach at most half"
    TRIMAP = "ground truths that look like trimaps"
    INVERTED = "ground truths that look inverted"
    NO_BACKGROUND = "ground truths without background"
    ZERO_ONE = "ground truths with 0 and 1 only"
    FEW_VALUES = "ground truths of a few grey values"
    NOT_CLASSES = "annotations read as grey values"
    GREY_IDS = "annotations that show greys, read as class ids"
    UNSURE = "annotations with unsure pixels"


class GroundTruth(NamedTuple):
    """A ground truth: its alpha (H, W) uint8, and [(kind, line that names the file)] of what is odd about it."""

    alpha: NDArray[np.uint8]
    remarks: list[tuple[str, str]]


def read_ground_truth(path: Path, reading: str) -> GroundTruth:
    """Read a ground-truth file.

    Parameters
    ----------
    path : Path
        The file.
    reading : str
        One of `READINGS`: what the layout says of it.

    Returns
    -------
    GroundTruth
        The alpha, turned by EXIF, and the remarks.

    Raises
    ------
    ValueError
        Naming the file: it is unreadable, holds colours, is a class mask where grey values are expected, or has no
        alpha channel.
    FileNotFoundError
        There is no such file.

    Notes
    -----
    "opacity": the alpha channel.

    "classes": values from 0 to 8, as the file holds them, are class ids, all but 0 are the person. 255 beside them
    marks unsure pixels, which become person or background like the nearest sure pixel. Everything else cannot be class
    ids and is read as "grey": files whose compression changes values, as JPEG's does; palettes of greys, unless there
    are nine at most and the first is black; other values. Other values in a palette of colours are refused.

    "grey": alpha from 0 to 255, with a palette of greys as it is shown. A file with no value but 0 and 1 is a mask of 0
    and 1. Class ids with unsure pixels are refused.
    """
    remarks: list[tuple[str, str]] = []
    if reading == "opacity":
        alpha = np.array(open_transparent(path).getchannel("A"))
    elif reading == "classes":
        alpha, remarks = _from_classes(path)
    else:
        alpha, remarks = _from_grey(path)
    odd = [*_remarks(alpha), *(_remarks_on_values(alpha) if reading != "opacity" else [])]  # a shadow has one opacity
    return GroundTruth(alpha, remarks + [(kind, f"{path}: {text}") for kind, text in odd])


def _remarks(alpha: NDArray[np.uint8]) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of what is odd about an alpha (H, W) as a picture of a person."""
    if alpha.min() >= 128:
        yield Remark.NO_BACKGROUND, f"at least {alpha.min()} of 255"
    elif 0 < alpha.max() <= 128:
        yield Remark.FAINT, f"at most {alpha.max()} of 255"
    frame = (alpha[0], alpha[: len(alpha) // 2, 0], alpha[: len(alpha) // 2, -1])
    if all((side >= 128).all() for side in frame) and (alpha < 128).mean() >= LEAST_BACKGROUND:
        yield Remark.INVERTED, "person along the upper edge and both sides of the upper half; 255 must be the person"


def _remarks_on_values(alpha: NDArray[np.uint8]) -> Iterator[tuple[str, str]]:
    """Yield (kind, text) of values of an alpha (H, W) that those of a matte are not."""
    counts = _counts(alpha)
    middle = counts[NEAR + 1 : -NEAR - 1]
    inside, has_ends = middle.sum() / alpha.size, counts[: NEAR + 1].any() and counts[-NEAR - 1 :].any()
    unknown = counts[4 * NEAR : -4 * NEAR]  # further inside than compression takes the values of a mask
    alike = np.convolve(unknown, np.ones(2 * NEAR + 1)).max()  # the commonest value, and those next to it
    is_exact = counts[127] + counts[128] == counts[1:255].sum()
    least = UNKNOWN_EXACT if is_exact else UNKNOWN
    if has_ends and inside >= least and alike >= ONE_VALUE * middle.sum():
        yield Remark.TRIMAP, f"{inside:.0%} of the pixels between 0 and 255, nearly all at one value; give the matte"
    elif alpha.max() > 128 and inside >= FLAT and np.sort(middle)[-3:].sum() >= 0.95 * middle.sum():
        yield Remark.FEW_VALUES, f"{inside:.0%} of the pixels between 0 and 255, at three values or fewer"


def _counts(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How many pixels (H, W) have each value: (256,)."""
    return cv2.calcHist([values], [0], None, [256], [0, 256]).ravel().astype(int)


def open_transparent(path: Path) -> Image.Image:
    """The picture in a file as RGBA. Raises ValueError for one that cannot be transparent."""
    picture = open_picture(path)
    if not picture.has_transparency_data:
        raise ValueError(f"{path}: has no alpha channel to take the ground truth from; save it as RGBA PNG")
    return picture.convert("RGBA")


def summary(remarks: Iterable[tuple[str, str]], of: str = "") -> list[str]:
    """A line for each kind of remark: the number of files, `of` how many, and the line of the first file."""
    kinds: dict[str, list[str]] = {}
    for kind, text in remarks:
        kinds.setdefault(kind, []).append(text)
    return [f"{kind}: {len(texts)}{of} ({texts[0]}{', …' if len(texts) > 1 else ''})" for kind, texts in kinds.items()]


def _from_grey(path: Path) -> tuple[NDArray[np.uint8], list[tuple[str, str]]]:
    picture = open_picture(path)
    values = grey_values(picture, path)
    if values.max() == 1:
        return values * np.uint8(255), [(Remark.ZERO_ONE, f"{path}: read as a mask in which 1 is the person")]
    if has_colours(picture):
        raise ValueError(
            f"{path}: {_COLOURS}; save it as grey PNG with 255 where the person is. If every class but 0 is the "
            "person, write classes in the column reading of a manifest.csv"
        )
    if not is_lossy(picture, path) and _are_ids_and_borders(values):
        most = values[values < UNSURE].max()
        way_out = ", or write classes in the column reading of a manifest.csv" if most < len(CLASSES) else ""
        raise ValueError(
            f"{path}: class ids up to {most}, beside which 255 marks unsure pixels, and no matte; save it as grey PNG "
            f"with 255 where the person is{way_out}"
        )
    return values, []


def _are_ids_and_borders(values: NDArray[np.uint8]) -> bool:
    """Whether values are 0, at most `FEW_IDS` class ids, and 255 along borders alone, as in PASCAL VOC's masks.

    A faint matte that somebody painted 255 into has more values below, or a person of 255 that is no thin line.
    """
    counts = _counts(values)
    ids, unsure = counts[1 : MOST_IDS + 1], counts[UNSURE]
    few = 0 < np.count_nonzero(ids) <= FEW_IDS and counts[0] and unsure and 4 * ids.sum() >= unsure
    if not few or counts[MOST_IDS + 1 : UNSURE].any():
        return False
    inside = cv2.erode((values == UNSURE).astype(np.uint8), np.ones((BORDER, BORDER), np.uint8))
    return bool(4 * np.count_nonzero(inside) <= unsure)


def _from_classes(path: Path) -> tuple[NDArray[np.uint8], list[tuple[str, str]]]:
    picture = open_picture(path)
    values = _ids(picture) if picture.mode == "P" else grey_values(picture, path)
    spread = picture.info.get("spread", 1)
    if values.max() < len(CLASSES) * spread:
        values = values // np.uint8(spread)  # ids in a PNG of 2 or 4 bits
    is_exact, classes = not is_lossy(picture, path), len(CLASSES)
    if is_exact and values.max() < classes:
        alpha = np.asarray(cv2.threshold(values, 0, 255, cv2.THRESH_BINARY)[1], np.uint8)
        shows_greys = spread > 1 or has_grey_palette(picture)
        shown = np.unique(np.asarray(picture.convert("L"))) if shows_greys else np.array([0])
        if len(shown) < 3 or shown.max() < 250:
            return alpha, []
        text = f"{path}: every id but 0 is the person; for a matte, write grey in the column reading of a manifest.csv"
        return alpha, [(Remark.GREY_IDS, text)]
    counts = _counts(values)
    inside, between, unsure = counts[1:classes].sum(), counts[classes:UNSURE].sum(), counts[UNSURE]
    if not inside and not between:
        return values, []  # 0 and 255: both readings give the same person
    if is_exact and not between and 4 * inside >= unsure:  # else 255 is the person and the rest is noise
        text = f"{path}: {unsure} pixels are 255; each is read like the nearest pixel with a class id"
        return _nearest(values), [(Remark.UNSURE, text)]
    if picture.mode == "P" and not has_grey_palette(picture):
        raise ValueError(
            f"{path}: {_COLOURS}, and its values up to {values.max()} are no class ids, which are 0 to {classes - 1}; "
            "save it as grey PNG with 255 where the person is"
        )
    reason = f"class ids are 0 to {classes - 1}" if is_exact else f"a {picture.format} may have changed class ids"
    return values, [(Remark.NOT_CLASSES, f"{path}: values up to {values.max()}, but {reason}")]


_COLOURS = "has a palette of colours, as class masks do, and is no matte"


def _ids(picture: Image.Image) -> NDArray[np.uint8]:
    """The palette's indices of a picture in mode P; the grey values instead where its palette makes it a grey one."""
    indices = np.array(picture)
    first_is_black = not any((picture.getpalette() or [0])[:3])
    if has_grey_palette(picture) and not (first_is_black and indices.max() < len(CLASSES)):
        return np.array(picture.convert("L"))
    return indices


def _nearest(ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Alpha (H, W) of class ids; unsure pixels are read like the nearest sure one, as background if tied."""
    person = (ids > 0) & (ids != UNSURE)
    to_person, to_background = (
        cv2.distanceTransform((~side).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        for side in (person, ids == 0)
    )
    return np.where(to_person < to_background, 255, 0).astype(np.uint8)
