"""One light for a whole picture: direction, colour, ambient and rim; and the relief it falls on."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing.canvas import soften


@dataclass(frozen=True)
class Light:
    """Light of a scene. Axes: x right, y down, z towards the camera; colours are gains, shape (3,)."""

    direction: NDArray
    """Unit vector (3,) pointing from the person to the light."""
    key: NDArray
    ambient: NDArray
    wrap: float
    """From 0, hard light, to 1, soft light that also reaches half of the far side."""
    rim: float
    rim_direction: NDArray

    def shade(self, albedo: NDArray, normal: NDArray, gloss: float = 0.0, shininess: float = 18.0) -> NDArray:
        """Colour (3, h, w) of a surface with `albedo` (3, h, w) or (3,), and unit `normal` (3, h, w)."""
        albedo = np.asarray(albedo, np.float32)
        if albedo.ndim == 1:
            albedo = albedo[:, None, None]
        gain = self.gain(normal)
        half = self.direction + np.array([0, 0, 1], np.float32)
        half /= np.linalg.norm(half)
        colour = albedo * gain
        if gloss > 0:
            shine = cv2.pow(np.clip(_dot(half, normal), 0, 1), shininess)
            colour += np.float32(gloss) * shine * self.key[:, None, None]
        return colour

    def gain(self, normal: NDArray) -> NDArray:
        """How much light (3, h, w) falls on unit `normal` (3, h, w)."""
        lambert = (_dot(self.direction, normal) + self.wrap) / (1 + self.wrap)
        gain = self.key[:, None, None] * np.clip(lambert, 0, None)
        gain += self.ambient[:, None, None] * (0.85 - 0.15 * normal[1])
        if self.rim > 0:
            edge = (1 - np.clip(normal[2], 0, 1)) ** 2 * np.clip(_dot(self.rim_direction, normal), 0, 1)
            gain += self.rim * edge
        return gain

    def shadow_offset(self, distance: float) -> tuple[float, float]:
        """Where something `distance` in front of a surface throws its shadow: (x, y), same unit as `distance`."""
        slope = -self.direction[:2] / max(float(self.direction[2]), 0.5)
        return float(slope[0] * distance), float(slope[1] * distance)

    @property
    def hardness(self) -> float:
        """Strength of cast shadows in [0, 1]. Strong direct light and little ambient light throw dark shadows."""
        key, ambient = float(self.key.mean()), float(self.ambient.mean())
        return float(np.clip(key / (key + ambient) * (1.1 - 0.5 * self.wrap), 0.1, 0.85))


def _dot(vector: NDArray, field: NDArray) -> NDArray:
    return vector[0] * field[0] + vector[1] * field[1] + vector[2] * field[2]


def random_light(rng: Generator) -> Light:
    """Daylight, window, lamp or flash, from any side."""
    side, height = rng.normal(0, 0.7), rng.uniform(-1.0, 0.15)
    direction = np.array([side, height, rng.uniform(0.25, 1.1)], np.float32)
    direction /= np.linalg.norm(direction)
    contrast = rng.beta(2, 2.2)
    warm = rng.normal(0, 0.06)
    tint = np.array([1 + warm, 1, 1 - warm], np.float32)
    cool = rng.normal(-0.03, 0.05)
    level = rng.uniform(0.92, 1.12)
    key = level * (0.35 + 0.75 * contrast) * tint
    ambient = level * (0.75 - 0.6 * contrast) * np.array([1 + cool, 1, 1 - cool], np.float32)
    back = np.array([rng.choice([-1, 1]) * rng.uniform(0.5, 1), rng.uniform(-0.8, 0.1), 0.1], np.float32)
    rim = float(rng.uniform(0.3, 1.6)) if rng.random() < 0.4 else 0.0
    return Light(
        direction,
        key.astype(np.float32),
        ambient.astype(np.float32),
        float(rng.uniform(0.05, 0.7)),
        rim,
        back / np.linalg.norm(back),
    )


def normals(height: NDArray) -> NDArray:
    """Unit normals (3, h, w) of a relief `height` (h, w) given in pixels."""
    height = np.ascontiguousarray(height, np.float32)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    length = 1 / np.sqrt(slope_x * slope_x + slope_y * slope_y + 1)
    return np.stack([-slope_x * length, -slope_y * length, length])


def inflate(coverage: NDArray, radius: float) -> NDArray:
    """Relief (h, w) in pixels of an inflated flat shape: round within `radius` pixels of its edge, flat beyond."""
    inside = cv2.copyMakeBorder((coverage > 0.5).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
    rest = 1 - np.clip(distance / radius, 0, 1)
    return soften(np.float32(radius) * np.sqrt(1 - rest * rest), radius * 0.12)
