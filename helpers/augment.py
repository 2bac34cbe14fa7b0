"""Augmentation by albumentations: the report's three groups, and the resizing that ends every pipeline."""

import math
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_CUT, LARGEST_CUT = 0.02, 0.20
"""Shares of a photo's side that the crop takes off each end."""


def least_side(size: int) -> int:
    """Pixels that a photo's shorter side needs, so that what the largest crop leaves of it still has `size`."""
    return math.ceil(size / (1 - 2 * LARGEST_CUT))


def crop_group() -> list[A.BasicTransform]:
    """Cut 2 to 20 % off each side, sides independent, with probability .5 (report, section 3.1)."""
    cuts = (-LARGEST_CUT, -LEAST_CUT)
    return [A.CropAndPad(percent=cuts, keep_size=False, sample_independently=True, p=0.5)]


def geometric_group() -> list[A.BasicTransform]:
    """Mirror left and right with probability .5."""
    return [A.HorizontalFlip(p=0.5)]


def visual_group() -> list[A.OneOf]:
    """Colour, tone, noise and blur: one of each kind, with probability .3, .3, .2 and .2.

    Ranges are albumentations' own before version 2, which the report used: version 2's default Gaussian noise has a
    standard deviation of 51 to 112 grey values instead of 3 to 7, and its colour jitter turns the hue all the way.
    """
    colour = A.OneOf([A.ChannelShuffle(p=1), A.RGBShift(p=1), A.HueSaturationValue(p=1)], p=0.3)
    tone = A.OneOf(
        [A.ColorJitter(hue=(-0.2, 0.2), p=1), A.CLAHE(p=1), A.RandomBrightnessContrast(p=1), A.RandomGamma(p=1)], p=0.3
    )
    noise = A.OneOf([A.GaussNoise(std_range=(0.0124, 0.0277), p=1), A.ISONoise(p=1)], p=0.2)
    blur = A.OneOf(
        [A.Blur(p=1), A.GaussianBlur(sigma_limit=(0.8, 1.4), p=1), GlassBlur(p=1), A.MedianBlur(p=1),
         A.MotionBlur(p=1)],
        p=0.2,
    )  # fmt: skip
    return [colour, tone, noise, blur]


def resize_to(size: int) -> list[A.BasicTransform]:
    """Photo and alpha to size × size. Area averages on the way down, so an alpha pixel is the share it covers.

    The alpha is not thresholded afterwards: its values between 0 and 1 are what the network learns.
    """
    return [Shrink(size, size, interpolation=cv2.INTER_LINEAR, mask_interpolation=cv2.INTER_LINEAR,
                   area_for_downscale="image_mask")]  # fmt: skip


def training_transform(size: int) -> A.Compose:
    """The report's training pipeline; takes `image=`, `mask=` uint8 arrays of any one size.

    Colours change after resizing, not before as in the report: the same transforms on a twentieth of the pixels.
    Normalisation is not part of it: it runs on the device (`helpers.u2net.normalise`).
    """
    return A.Compose([*crop_group(), *geometric_group(), *resize_to(size), *visual_group()])


def validation_transform(size: int) -> A.Compose:
    """Resizing only, as for a photo that is to be cut out."""
    return A.Compose(resize_to(size))


class Shrink(A.Resize):
    """`A.Resize` in less than half of the time: area averages in two steps.

    OpenCV averages areas fast for whole ratios only. So a picture of 1.5 to 4 times the size is brought to twice the
    size linearly, which passes over no pixel, and then to the means of 2 × 2.
    """

    def apply(self, img: NDArray, **params: Any) -> NDArray:
        return super().apply(self._to_twice(img), **params)

    def apply_to_mask(self, mask: NDArray, **params: Any) -> NDArray:
        return super().apply_to_mask(self._to_twice(mask), **params)

    def _to_twice(self, array: NDArray) -> NDArray:
        if all(1.5 * size <= side <= 4 * size for side, size in zip(array.shape, (self.height, self.width))):
            return cv2.resize(array, (2 * self.width, 2 * self.height), interpolation=cv2.INTER_LINEAR)
        return array


class GlassBlur(A.GlassBlur):
    """`A.GlassBlur`, the same pictures in a fifth of the time: whole pixels change places, not their three values."""

    def apply(self, img: NDArray, dxy: NDArray, **params: Any) -> NDArray:
        """The picture (H, W, 3), uint8, with pixels swapped by `dxy` (swaps, iterations, 2) and blurred."""
        height, width = img.shape[:2]
        rows, columns = (np.arange(side - self.max_delta, self.max_delta, -1) for side in (height, width))
        here = (rows * width + columns[:, None]).ravel()
        blurred = cv2.GaussianBlur(img, (0, 0), self.sigma)
        pixels = cv2.cvtColor(blurred, cv2.COLOR_RGB2RGBA).view(np.uint32).ravel()
        for down, right in dxy.transpose(1, 2, 0):
            there = here + down * width + right
            pixels[here], pixels[there] = pixels[there], pixels[here]
        swapped = cv2.cvtColor(pixels.view(np.uint8).reshape(height, width, 4), cv2.COLOR_RGBA2RGB)
        return cv2.GaussianBlur(swapped, (0, 0), self.sigma)
