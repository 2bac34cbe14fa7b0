"""Augmentation by albumentations: the report's three groups, and the resizing that ends every pipeline."""

import os

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # importing it must not reach for the network

import albumentations as A  # noqa: E402
import cv2  # noqa: E402

cv2.setNumThreads(0)  # loader processes side by side are faster than OpenCV's own threads fighting torch's


def crop_group():
    """Cut 2 to 20 % off each side, sides independent, with probability .5 (report, section 3.1)."""
    return [A.CropAndPad(percent=(-0.20, -0.02), keep_size=False, sample_independently=True, p=0.5)]


def geometric_group():
    """Mirror left and right with probability .5."""
    return [A.HorizontalFlip(p=0.5)]


def visual_group():
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
        [A.Blur(p=1), A.GaussianBlur(sigma_limit=(0.8, 1.4), p=1), A.GlassBlur(p=1), A.MedianBlur(p=1),
         A.MotionBlur(p=1)],
        p=0.2,
    )  # fmt: skip
    return [colour, tone, noise, blur]


def resize_to(size):
    """Photo and alpha to size × size. Area averages on the way down, so an alpha pixel is the share it covers.

    The alpha is not thresholded afterwards: its values between 0 and 1 are what the network learns.
    """
    return [A.Resize(size, size, interpolation=cv2.INTER_LINEAR, mask_interpolation=cv2.INTER_LINEAR,
                     area_for_downscale="image_mask")]  # fmt: skip


def training_transform(size):
    """The report's training pipeline; takes `image=`, `mask=` uint8 arrays of any one size.

    Colours change after resizing, not before as in the report: the same transforms on a twentieth of the pixels.
    Normalisation is not part of it: it runs on the device (`helpers.u2net.normalise`).
    """
    return A.Compose([*crop_group(), *geometric_group(), *resize_to(size), *visual_group()])


def validation_transform(size):
    """Resizing only, as for a photo that is to be cut out."""
    return A.Compose(resize_to(size))
