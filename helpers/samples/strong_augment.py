"""Augmentation for portraits from anywhere: framed from selfie to far figure, tilted, blurred faces, any light.

The report's augmentation (`helpers.augment`) moves a portrait little: enough where training and use see the same kind
of picture. Weights that are to be used on everybody's photos need more.
"""

import math
from typing import Any

import albumentations as A
import cv2
import numpy as np
from albumentations.augmentations.crops.transforms import BaseCrop
from numpy.typing import NDArray

from helpers.augment import crop_group, geometric_group, least_side, resize_to, training_transform, visual_group
from helpers.samples.walls import draw_wall

TILT = 20
"""Degrees by which a portrait is turned at most."""

CLOSEST = 0.3
"""Side of the smallest crop, as a share of the photo's shorter side: of a half figure, little more than the head."""

SMALLEST = 0.1
"""Height of a person in the widest framing, as a share of the picture's."""

REFLECTED = 1.5
"""How much larger than the photo's longer side a picture may be whose border is the photo reflected."""


def strong_transform(size: int, wide: float = 0.3) -> A.Compose:
    """The report's training pipeline, and before it another framing, after it another camera; as `training_transform`.

    Turned with probability .4, framed anew with .7 (from further away in the share `wide` of these), grey with .05,
    another exposure with .3, a blurred face with .1 and compressed as JPEG with .2.
    """
    turn = A.Rotate(limit=TILT, border_mode=cv2.BORDER_REFLECT_101, mask_interpolation=cv2.INTER_LINEAR, p=0.4)
    camera = [
        A.ToGray(p=0.05),
        A.RandomBrightnessContrast(brightness_limit=(-0.25, 0.3), contrast_limit=(-0.3, 0.3), p=0.3),
        FaceBlur(p=0.1),
        A.ImageCompression(quality_range=(30, 90), p=0.2),
    ]
    framing = A.OneOf([PortraitCrop(p=1 - wide), WideFraming(p=wide)], p=0.7)
    before = [turn, framing, *crop_group(), *geometric_group()]
    return A.Compose([*before, *resize_to(size), *visual_group(), *camera])


def strong_least_side(size: int) -> int:
    """Pixels that a photo's shorter side needs, so that the smallest crop still has `size`."""
    return math.ceil(size / CLOSEST)


PIPELINES = {"report": (training_transform, least_side), "strong": (strong_transform, strong_least_side)}
"""By the configuration's `augmentation`: the training pipeline for a size, and the pixels that photos need for it."""


class PortraitCrop(BaseCrop):
    """A crop around the head, which is where the person begins from above: selfie, bust, half figure, off the centre.

    Its longer side is from `CLOSEST` to 1 of the photo's shorter one (small ones as often as large ones, by ratio), its
    shorter side at least three quarters of that. Where nobody is, it lies anywhere.
    """

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        height, width = params["shape"][:2]
        longer = min(height, width) * CLOSEST ** self.py_random.random()
        sides = [longer, longer * self.py_random.uniform(0.75, 1)]
        self.py_random.shuffle(sides)
        tall, wide = (max(1, round(side)) for side in sides)
        top, middle, _ = head_of(data["mask"]) or (
            self.py_random.uniform(0, height),
            self.py_random.uniform(0, width),
            0,
        )
        y = top - self.py_random.uniform(-0.1, 0.35) * tall  # the head may be cut a little
        x = middle - self.py_random.uniform(0.2, 0.8) * wide
        y, x = min(max(round(y), 0), height - tall), min(max(round(x), 0), width - wide)
        return {"crop_coords": (x, y, x + wide, y + tall)}


class WideFraming(A.DualTransform):
    """The whole photo as a part of a square picture, as if seen from further away.

    The picture's side is from 1 times the photo's longer side up to where the person's height is `SMALLEST` of it,
    small pictures as often as large ones, by ratio. Around the photo are its own reflection, its last rows and columns
    blurred, or a plain wall, with alpha 0 in the latter two. A side where the photo cuts the person stays at the edge;
    a photo that cuts somebody on opposite sides stays as it is.
    """

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        height, width = data["image"].shape[:2]
        person = data["mask"] > 127
        edges = person[0], person[-1], person[:, 0], person[:, -1]
        above, below, left, right = (edge.mean() > 0.05 for edge in edges)
        if above and below or left and right:
            return {"size": (height, width), "border": (0, 0, 0, 0), "kind": "reflected", "wall": None}
        rows, side = np.flatnonzero(person.any(1)), max(height, width)
        share = (rows[-1] + 1 - rows[0]) / side if len(rows) else 1
        ratio = max(1, share / SMALLEST) ** self.py_random.random()
        reflected = ratio <= REFLECTED and self.py_random.random() < 0.3
        kind = "reflected" if reflected else self.py_random.choice(["blurred", "wall"])
        tall, wide = (max(1, round(length / ratio)) for length in (height, width))
        top = 0 if above else side - tall if below else self.py_random.randint(0, side - tall)
        beside = 0 if left else side - wide if right else self.py_random.randint(0, side - wide)
        wall = draw_wall((side, side), self.random_generator) if kind == "wall" else None
        border = (top, side - tall - top, beside, side - wide - beside)
        return {"size": (tall, wide), "border": border, "kind": kind, "wall": wall}

    def apply(
        self,
        img: NDArray,
        size: tuple[int, int],
        border: tuple[int, int, int, int],
        kind: str,
        wall: Any,
        **params: Any,
    ) -> NDArray:
        """The picture (S, S, 3) uint8 around the photo (H, W, 3)."""
        small = cv2.resize(img, size[::-1], interpolation=cv2.INTER_AREA)
        if kind == "reflected":
            return cv2.copyMakeBorder(small, *border, cv2.BORDER_REFLECT)
        top, left = border[0], border[2]
        if kind == "blurred":
            wide = cv2.copyMakeBorder(small, *border, cv2.BORDER_REPLICATE)
            wall = cv2.GaussianBlur(wide, (0, 0), max(1, len(wide) / 30))
        wall[top : top + size[0], left : left + size[1]] = small
        return wall

    def apply_to_mask(
        self,
        mask: NDArray,
        size: tuple[int, int],
        border: tuple[int, int, int, int],
        kind: str,
        wall: Any,
        **params: Any,
    ) -> NDArray:
        """The alpha (S, S) uint8 of that picture."""
        small = cv2.resize(mask, size[::-1], interpolation=cv2.INTER_AREA)
        if kind == "reflected":
            return cv2.copyMakeBorder(small, *border, cv2.BORDER_REFLECT)
        return cv2.copyMakeBorder(small, *border, cv2.BORDER_CONSTANT, value=0)


class FaceBlur(A.ImageOnlyTransform):
    """Blurs an ellipse about where the face is, as published portraits often are for privacy; the alpha stays."""

    @property
    def targets_as_params(self) -> list[str]:
        return ["mask"]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        head = head_of(data["mask"])
        if head is None:
            return {"ellipse": None}
        top, middle, across = head
        radius = across * self.py_random.uniform(0.3, 0.5)
        centre = (middle, top + radius * self.py_random.uniform(1.2, 1.8))
        return {"ellipse": (centre, radius, radius * self.py_random.uniform(0.15, 0.5))}

    def apply(self, img: NDArray, ellipse: tuple | None, **params: Any) -> NDArray:
        """The picture (H, W, 3) uint8, blurred in `ellipse`: centre (x, y), half its width, blur σ, in pixels."""
        if ellipse is None or ellipse[1] < 1:
            return img
        (x, y), radius, sigma = ellipse
        inside: NDArray = np.zeros(img.shape[:2], np.float32)
        cv2.ellipse(inside, (round(x), round(y)), (round(radius), round(1.3 * radius)), 0, 0, 360, 1, -1)
        inside = cv2.GaussianBlur(inside, (0, 0), 1)
        return cv2.blendLinear(cv2.GaussianBlur(img, (0, 0), sigma), img, inside, 1 - inside)


def head_of(mask: NDArray) -> tuple[int, float, int] | None:
    """Where the head of the person in an alpha (H, W) uint8 is about: its top, its middle and its width in pixels.

    Told from the topmost rows: of a mask that begins with a raised hand, that is the hand. None if nobody is there.
    """
    person = mask > 127
    rows = np.flatnonzero(person.any(1))
    if not len(rows):
        return None
    top = rows[0]
    reach = max(1, (rows[-1] + 1 - top) // 5)
    columns = np.flatnonzero(person[top : top + reach].any(0))
    return top, columns.mean(), len(columns)
