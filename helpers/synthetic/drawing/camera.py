"""What a camera does to a finished composite: exposure, colour cast, contrast, vignette and noise."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing.canvas import soften


def photograph(image: NDArray, rng: Generator) -> NDArray:
    """The photo (H, W, 3) uint8 that a camera takes of `image` (3, H, W) float32 in [0, 1].

    Nothing moves and nothing is blurred, so the alpha of the image is also the alpha of the photo.
    """
    size = image.shape[1]
    tone, grain = rng.spawn(2)
    cast = 1 + tone.normal(0, 0.055, 3) * (tone.random() < 0.8)
    exposure = np.exp2(tone.normal(0.2, 0.26))
    gamma = np.exp(tone.normal(-0.05, 0.13))
    lift, contrast, saturation = tone.uniform(0, 0.06), tone.normal(0, 0.22), np.exp(tone.normal(0, 0.22))
    vignette = max(0.0, tone.normal(-0.05, 0.25))
    strength, coarse = tone.exponential(0.012), tone.random() < 0.4
    image = image * np.asarray(cast * exposure, np.float32)[:, None, None]
    grey = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    image = np.clip(grey + np.float32(saturation) * (image - grey), 0, 1.3)
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    image *= 1 - np.float32(vignette * 0.5) * np.minimum(axis[:, None] ** 2 + axis**2, 1.6)
    image = np.clip(image, 0, None)
    image = np.where(image > 0.85, 0.85 + 0.15 * np.tanh((image - 0.85) / 0.15), image)  # highlights are compressed
    image = cv2.pow(image, gamma) * np.float32(1 - lift) + np.float32(lift)
    image += np.float32(contrast) * image * (1 - image) * (2 * image - 1)
    noise: NDArray = grain.standard_normal(image.shape[1:], np.float32)
    chroma = grain.standard_normal((3, max(2, size // 2), max(2, size // 2)), np.float32)
    chroma = np.stack([cv2.resize(plane, (size, size), interpolation=cv2.INTER_LINEAR) for plane in chroma])
    if coarse:
        noise = 1.8 * soften(noise, 0.7)
    image += np.float32(min(strength, 0.07)) * (0.9 * noise + 0.45 * chroma)
    return np.ascontiguousarray(np.clip(image * 255 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0))
