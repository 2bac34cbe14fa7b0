"""Two real portraits, with outlines of the persons drawn by hand: a check on real photos.

Both photos are in the public domain and come with matplotlib and scikit-image. An outline is coarse, so the pixels
near it are ignored. It separates a person from a wall, but it does not measure hair.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from helpers.files.photos import read_photo, sample_portraits

UNKNOWN = 25
"""Width of the ignored band across an outline, in pixels of these photos (about 500 × 500)."""

OUTLINES = {
    "grace_hopper": [
        (13, 600), (18, 528), (25, 437), (41, 399), (61, 378), (102, 363), (168, 343), (197, 322), (203, 310),
        (190, 295), (161, 279), (165, 254), (157, 223), (154, 198), (146, 168), (152, 107), (175, 79), (195, 48),
        (218, 41), (234, 25), (259, 23), (292, 30), (325, 48), (350, 76), (367, 94), (373, 142), (368, 180),
        (376, 196), (370, 244), (362, 269), (355, 292), (335, 307), (335, 320), (366, 343), (416, 361), (472, 381),
        (493, 394), (512, 450), (512, 600),
    ],
    "astronaut": [
        (30, 512), (22, 430), (20, 390), (30, 320), (45, 280), (65, 245), (100, 220), (120, 200), (122, 170),
        (145, 150), (185, 147), (182, 131), (165, 117), (153, 85), (156, 60), (190, 35), (225, 17), (250, 17),
        (280, 32), (300, 65), (300, 100), (285, 127), (265, 145), (257, 175), (295, 210), (305, 235), (330, 255),
        (345, 280), (360, 330), (364, 350), (364, 512),
    ],
}  # fmt: skip
"""Corners (x, y) of the person's outline, by the stem of the photo's file."""

UNDECIDED = {"astronaut": (275, 335, 512, 512)}
"""An ignored rectangle (left, top, right, bottom): the helmet that she holds may be foreground or not."""


class OutlinedPortrait(NamedTuple):
    """A real photo and its ground truth, as far as it is known.

    Attributes:
        name: the stem of the photo's file.
        photo: (H, W, 3) uint8 RGB.
        true: (H, W) float32, 1 inside the outline and 0 outside.
        known: (H, W) bool, False near the outline and in the ignored rectangle.
    """

    name: str
    photo: NDArray[np.uint8]
    true: NDArray[np.float32]
    known: NDArray[np.bool_]


def outlined_portraits() -> list[OutlinedPortrait]:
    """The two portraits of `helpers.files.photos.sample_portraits`; raises OSError or ValueError if one is missing."""
    return [_outlined(path.stem, read_photo(path)) for path in sample_portraits()]


def _outlined(name, photo):
    inside = np.zeros(photo.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.array(OUTLINES[name])], 1)
    square = np.ones((UNKNOWN, UNKNOWN), np.uint8)
    known = cv2.dilate(inside, square) == cv2.erode(inside, square)
    if name in UNDECIDED:
        left, top, right, bottom = UNDECIDED[name]
        known[top:bottom, left:right] = False
    return OutlinedPortrait(name, photo, inside.astype(np.float32), known)
