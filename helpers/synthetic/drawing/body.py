"""The body: its measures, how it stands, and outlines of torso, neck and legs.

Body coordinates: origin in the pit of the neck, one unit half the head's height, x to the right of the picture, y down.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing.canvas import spline
from helpers.synthetic.drawing.identity import Identity

HEAD_ABOVE = 1.52
"""The head's centre lies this far above the pit of the neck."""


@dataclass(frozen=True)
class Body:
    """Half-widths and heights in head units, with the turn of the torso in radians (positive: towards the right)."""

    neck: float
    shoulder: float
    slope: float
    chest: float
    waist: float
    hip: float
    bust: float
    yaw: float

    def sideways(self, side: float, x: Any) -> Any:
        """Picture x of points `x` ≥ 0 from the middle, on `side` (-1 or 1) of the turned torso."""
        # a turned torso shows its depth, and its front comes forward
        return side * x * (np.cos(self.yaw) + 0.28 * abs(np.sin(self.yaw))) + 0.2 * np.sin(self.yaw)

    @property
    def middle(self) -> float:
        """Picture x of the breastbone: it moves sideways as the torso turns."""
        return float(0.55 * np.sin(self.yaw) * self.chest)

    def outline(self, ease: float = 0.0, looseness: float = 0.0, hem: float = 5.2, flare: float = 0.0) -> NDArray:
        """Closed outline (N, 2) of the torso, or of a garment `ease` head units thick.

        `looseness` in [0, 1] lets the sides hang straight; `hem` is the y where it ends, `flare` widens it there.
        """
        waist = self.waist + looseness * max(self.chest - self.waist, 0) + ease
        hip = max(self.hip, self.hip * (1 - looseness) + looseness * (self.chest + 0.1)) + ease
        points = [
            (self.neck * 0.95, -0.95),
            (self.neck, -0.5),
            (self.neck * 1.35 + ease * 0.3, -0.22 - ease * 0.3),
            (0.55 * self.shoulder, 0.0 + 0.35 * self.slope - ease * 0.6),
            (0.85 * self.shoulder + ease * 0.4, 0.12 + 0.8 * self.slope - ease),
            (self.shoulder - 0.03 + ease * 0.9, 0.42 + self.slope),
            (self.chest + 0.22 + ease, 1.0 + self.slope),
            (self.chest + ease, 1.6),
            (waist, 2.9),
            (hip, 4.2),
            (hip + flare, hem),
        ]
        curve = spline([point for point in points if point[1] <= hem], 6)
        right = np.stack([self.sideways(1, curve[:, 0]), curve[:, 1]], 1)
        left = np.stack([self.sideways(-1, curve[:, 0]), curve[:, 1]], 1)
        return np.concatenate([right, left[::-1]]).astype(np.float32)

    def shoulder_joint(self, side: float) -> NDArray:
        """Where the upper arm starts, (2,)."""
        return np.array([self.sideways(side, self.shoulder - 0.38), 0.52 + self.slope], np.float32)


def random_body(rng: Generator, identity: Identity) -> Body:
    """A body that suits the person, in a stance that suits the picture."""
    fem, build = identity.femininity, identity.build
    return Body(
        neck=(0.53 - 0.11 * fem) * build**0.6,
        shoulder=(1.98 - 0.34 * fem) * build**0.5,
        slope=float(rng.uniform(0.1, 0.38)),
        chest=(1.40 - 0.2 * fem) * build**0.8,
        waist=(1.16 - 0.24 * fem) * build**1.3,
        hip=(1.20 + 0.08 * fem) * build,
        bust=fem * float(rng.uniform(0.1, 0.35)),
        yaw=float(np.clip(rng.normal(0, 0.35), -0.9, 0.9)),
    )


def bust_relief(body: Body, u: NDArray, v: NDArray, scale: float) -> NDArray:
    """Relief (h, w) in pixels of chest and breasts at body positions u, v."""
    relief: Any = 0
    for side in (-1, 1):
        x = body.middle * 0.7 + side * 0.55
        relief = relief + np.exp(-(((u - x) / 0.48) ** 2) - ((v - 1.65) / 0.5) ** 2)
    return np.float32(scale * (0.08 + body.bust)) * relief
