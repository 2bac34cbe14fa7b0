"""Colours people, their hair and their clothes have; RGB in [0, 1]."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

SKIN = np.array(
    [
        [0.97, 0.84, 0.77],
        [0.93, 0.76, 0.66],
        [0.87, 0.67, 0.54],
        [0.76, 0.55, 0.41],
        [0.62, 0.43, 0.31],
        [0.46, 0.30, 0.21],
        [0.33, 0.21, 0.15],
        [0.22, 0.14, 0.11],
    ],
    np.float32,
)
"""From very fair to very dark; tones in between are interpolated."""

HAIR = np.array(
    [
        [0.05, 0.045, 0.045],
        [0.10, 0.07, 0.055],
        [0.18, 0.11, 0.075],
        [0.30, 0.19, 0.115],
        [0.45, 0.31, 0.19],
        [0.66, 0.52, 0.33],
        [0.82, 0.71, 0.51],
        [0.50, 0.23, 0.11],
        [0.62, 0.31, 0.14],
        [0.55, 0.55, 0.55],
        [0.80, 0.80, 0.79],
    ],
    np.float32,
)
HAIR_SHARE = np.array([16, 16, 16, 12, 8, 8, 6, 4, 4, 5, 5], np.float64) / 100

CLOTH = np.array(
    [
        [0.06, 0.06, 0.07],
        [0.13, 0.13, 0.15],
        [0.27, 0.28, 0.30],
        [0.48, 0.49, 0.51],
        [0.72, 0.72, 0.72],
        [0.93, 0.93, 0.92],
        [0.90, 0.86, 0.78],
        [0.10, 0.14, 0.27],
        [0.20, 0.31, 0.52],
        [0.45, 0.58, 0.72],
        [0.45, 0.33, 0.22],
        [0.70, 0.56, 0.38],
        [0.36, 0.10, 0.13],
        [0.72, 0.13, 0.14],
        [0.88, 0.55, 0.57],
        [0.20, 0.30, 0.20],
        [0.40, 0.42, 0.26],
        [0.85, 0.68, 0.18],
        [0.83, 0.42, 0.15],
        [0.42, 0.25, 0.45],
    ],
    np.float32,
)


def skin_tone(rng: Generator) -> NDArray:
    """A skin colour (3,): from fair to dark, with a rosy, golden or olive undertone."""
    place = rng.beta(1.0, 1.25) * (len(SKIN) - 1)
    base = np.array([np.interp(place, np.arange(len(SKIN)), SKIN[:, channel]) for channel in range(3)])
    undertone = rng.normal(0, 0.018) * np.array([1, -0.4, -0.9]) + rng.normal(0, 0.012) * np.array([-0.6, 0.8, -0.4])
    return np.clip(base * rng.uniform(0.95, 1.04) + undertone, 0.05, 0.99).astype(np.float32)


def hair_colour(rng: Generator) -> NDArray:
    """A hair colour (3,): natural in more than nine of ten cases, else dyed."""
    if rng.random() < 0.06:
        return np.clip(vivid(rng) * rng.uniform(0.5, 1), 0.04, 0.95).astype(np.float32)
    base = HAIR[rng.choice(len(HAIR), p=HAIR_SHARE)]
    return np.clip(base * rng.uniform(0.8, 1.2) + rng.normal(0, 0.012, 3), 0.03, 0.95).astype(np.float32)


def cloth_colour(rng: Generator) -> NDArray:
    """A colour (3,) of a garment: mostly muted, often black or white, sometimes any colour."""
    if rng.random() < 0.15:
        return vivid(rng)
    base = CLOTH[rng.choice(len(CLOTH), p=_cloth_share())]
    return np.clip(base * rng.uniform(0.8, 1.15) + rng.normal(0, 0.02, 3), 0.02, 0.98).astype(np.float32)


def vivid(rng: Generator) -> NDArray:
    """Any saturated colour (3,)."""
    hue = rng.uniform(0, 6)
    pure = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    saturation, value = rng.uniform(0.3, 0.95), rng.uniform(0.25, 0.98)
    return (value * (1 - saturation + saturation * pure)).astype(np.float32)


def _cloth_share() -> NDArray:
    share = np.ones(len(CLOTH))
    share[:6] = 2.2
    share[7:10] = 1.6
    return share / share.sum()
