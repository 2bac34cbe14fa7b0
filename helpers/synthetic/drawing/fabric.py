"""Cloth: its colours and patterns, and how it falls into folds."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing import palette
from helpers.synthetic.drawing.canvas import step
from helpers.synthetic.drawing.noise import blend, fractal

PATTERNS = ("plain", "melange", "stripes", "check", "dots", "floral", "denim", "camouflage", "knit", "print")
_SHARE = np.array([40, 12, 9, 8, 4, 6, 8, 3, 6, 4]) / 100


@dataclass(frozen=True)
class Fabric:
    """One cloth; colours (3,) in [0, 1], `pitch` the size of the pattern and `folds` the depth of folds, head units."""

    pattern: str
    first: NDArray
    second: NDArray
    pitch: float
    folds: float
    gloss: float
    turn: float

    def albedo(self, u: NDArray, v: NDArray, rng: Generator) -> NDArray:
        """Colour (3, h, w) at cloth positions u, v (h, w), head units."""
        pattern = self.pattern
        if pattern == "plain":
            return self.first[:, None, None] * (1 + 0.03 * fractal(rng, u.shape, 8, 2))
        if pattern in ("melange", "denim", "floral", "camouflage", "print"):
            return self._noisy(u, v, rng)
        cos, sin = np.cos(self.turn), np.sin(self.turn)
        a, b = (u * cos + v * sin) / self.pitch, (v * cos - u * sin) / self.pitch
        if pattern == "stripes":
            amount = step(np.sin(2 * np.pi * b) - 0.2, 0.5)
        elif pattern == "check":
            amount = 0.5 * step(np.sin(2 * np.pi * a), 0.4) + 0.5 * step(np.sin(2 * np.pi * b), 0.4)
        elif pattern == "dots":
            amount = step(0.25 - np.hypot(a % 1 - 0.5, b % 1 - 0.5), 0.12)
        else:  # knit
            amount = 0.5 + 0.35 * np.sin(2 * np.pi * (b * 3 + 0.3 * np.abs((a * 3) % 1 - 0.5)))
        return blend(self.first, self.second, amount)

    def _noisy(self, u: NDArray, v: NDArray, rng: Generator) -> NDArray:
        if self.pattern == "print":
            ink = step(0.5 - np.maximum(np.abs(u) / 0.6, np.abs(v - 1.5) / 0.5), 0.1)
            ink = ink * step(fractal(rng, u.shape, 7, 2), 0.3)
            return blend(self.first, self.second, ink)
        if self.pattern == "melange":
            return blend(self.first, self.second, np.clip(0.35 + 0.3 * fractal(rng, u.shape, 50, 2, 0.8), 0, 1))
        if self.pattern == "denim":
            worn = 0.9 + 0.12 * fractal(rng, u.shape, 4, 2) + 0.1 * fractal(rng, u.shape, (90, 60), 1)
            return np.array([0.20, 0.29, 0.44], np.float32)[:, None, None] * np.float32(0.6 + 2 * self.pitch) * worn
        cells = np.clip(4 / self.pitch, 4, 40)
        if self.pattern == "floral":
            base = blend(self.first, self.second, step(fractal(rng, u.shape, cells, 2) - 0.25, 0.25))
            leaf = step(fractal(rng, u.shape, cells, 2) - 0.5, 0.25)
            return base + leaf * (np.array([0.25, 0.4, 0.22], np.float32)[:, None, None] - base)
        camo = blend((0.34, 0.34, 0.22), (0.52, 0.47, 0.33), step(fractal(rng, u.shape, cells * 0.5, 2), 0.08))
        return camo * (1 - 0.65 * step(fractal(rng, u.shape, cells * 0.5, 2) - 0.35, 0.08))

    def relief(self, shape: tuple[int, int], scale: float, rng: Generator) -> NDArray:
        """Folds as a relief (h, w) in pixels; `scale` is pixels per head unit."""
        long_folds = fractal(rng, shape, (2.2, 6), 3, 0.4)
        creases = fractal(rng, shape, (5, 4), 2, 0.5)
        ridges = (1 - np.abs(long_folds)) ** 2 + 0.6 * (1 - np.abs(creases)) ** 3
        return np.float32(self.folds * scale) * ridges


def random_fabric(rng: Generator, smooth: bool = False) -> Fabric:
    """Any cloth; `smooth` leaves out patterns, as coats and trousers mostly do."""
    pattern = "plain" if smooth and rng.random() < 0.7 else str(rng.choice(PATTERNS, p=_SHARE))
    leather = rng.random() < 0.1
    return Fabric(
        pattern=pattern,
        first=palette.cloth_colour(rng),
        second=palette.cloth_colour(rng),
        pitch=float(np.exp(rng.uniform(np.log(0.1), np.log(0.5)))),
        folds=float(rng.uniform(0.02, 0.12)),
        gloss=float(rng.uniform(0.15, 0.4)) if leather else float(rng.uniform(0, 0.06)),
        turn=float(rng.choice([0, 0, np.pi / 2, rng.uniform(-0.8, 0.8)])),
    )
