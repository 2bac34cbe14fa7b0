"""The head as a solid: a smooth union of ellipsoids, turned by yaw and pitch and seen by parallel rays.

Head coordinates: one unit is half the head's height, y runs from the crown (-1) down to the chin (+1), x to the right
of a frontal picture (the person's own left), z out of the face.
"""

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing.canvas import Box, View

BLEND = 0.045
"""How smoothly the ellipsoids join, in head units."""

EXTENT = np.array([1.35, 1.45], np.float32)
"""Half the width and height, in head units, of the window through which rays are sent."""


@dataclass(frozen=True)
class HeadShape:
    """Proportions of one person's head, each about 1."""

    width: float
    jaw: float
    chin: float
    cheek: float
    nose: float
    nose_width: float
    depth: float
    ears: float

    def ellipsoids(self) -> tuple[NDArray, NDArray]:
        """Centres (P, 3) and radii (P, 3); the first is the cranium, the last two are the ears."""
        w, n = self.width, self.nose
        parts = [
            ((0, -0.27, -0.14), (0.74 * w, 0.74, 0.88 * self.depth)),
            ((0, 0.12, 0.18), (0.64 * w, 0.80, 0.56)),
            ((0, 0.42, 0.10), (0.57 * w * self.jaw, 0.50, 0.52)),
            ((0, 0.80, 0.42), (0.25 * w * self.chin, 0.18, 0.22)),
            ((0, 0.52, 0.60), (0.27 * w, 0.19, 0.17)),
            ((0, -0.22, 0.55), (0.46 * w, 0.16, 0.16)),
            ((0.36 * w, 0.18, 0.47), (0.22 * self.cheek, 0.20, 0.20)),
            ((-0.36 * w, 0.18, 0.47), (0.22 * self.cheek, 0.20, 0.20)),
            ((0, 0.04, 0.72), (0.075 * self.nose_width, 0.26, 0.10 * n)),
            ((0, 0.24, 0.80), (0.105 * self.nose_width, 0.10, 0.16 * n)),
            ((0, 0.29, 0.72), (0.175 * self.nose_width, 0.065, 0.11)),
            ((0.73 * w, 0.08, -0.12), (0.085 * self.ears, 0.25, 0.15)),
            ((-0.73 * w, 0.08, -0.12), (0.085 * self.ears, 0.25, 0.15)),
        ]
        return np.array([centre for centre, _ in parts], np.float32), np.array(
            [radii for _, radii in parts], np.float32
        )


def random_head(rng: Generator, femininity: float) -> HeadShape:
    """A head shape; `femininity` in [0, 1] narrows jaw, chin and nose."""
    soft = 1 - 0.1 * femininity
    return HeadShape(
        width=rng.uniform(0.92, 1.06),
        jaw=rng.uniform(0.92, 1.10) * soft,
        chin=rng.uniform(0.8, 1.25) * soft,
        cheek=rng.uniform(0.8, 1.15),
        nose=rng.uniform(0.8, 1.25) * soft,
        nose_width=rng.uniform(0.85, 1.35) * soft,
        depth=rng.uniform(0.95, 1.06),
        ears=rng.uniform(0.7, 1.15),
    )


def turn(yaw: float, pitch: float) -> NDArray:
    """Rotation (3, 3) of head into view coordinates; positive `yaw` looks right, positive `pitch` down (radians)."""
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    return np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]], np.float32) @ np.array(
        [[1, 0, 0], [0, cp, sp], [0, -sp, cp]], np.float32
    )


class Surface(NamedTuple):
    """What the rays through the pixels of a box meet."""

    coverage: NDArray
    """(h, w) in [0, 1]."""
    points: NDArray
    """(3, h, w) head coordinates of the first hit, or of the nearest approach beside the head."""
    normal: NDArray
    """(3, h, w) unit vectors in picture axes."""


def head_surface(shape: HeadShape, rotation: NDArray, view: View, box: Box) -> Surface:
    """See a `HeadShape`, turned by `rotation` (3, 3), through `view` in the pixels of `box` → `Surface`."""
    rows = int(np.clip(view.scale, 56, 104))
    columns = int(rows * EXTENT[0] / EXTENT[1])
    y, x = np.meshgrid(
        np.linspace(-EXTENT[1], EXTENT[1], rows, dtype=np.float32),
        np.linspace(-EXTENT[0], EXTENT[0], columns, dtype=np.float32),
        indexing="ij",
    )
    gap, points, normal = _trace(shape, rotation, x.ravel(), y.ravel())
    fields = np.concatenate([gap[None], points, normal]).reshape(7, rows, columns)
    u, v = view.coordinates(box)
    map_x = (u / EXTENT[0] + 1) * np.float32((columns - 1) / 2)
    map_y = (v / EXTENT[1] + 1) * np.float32((rows - 1) / 2)
    gap, *rest = (cv2.remap(field, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE) for field in fields)
    outside = (np.abs(u) > EXTENT[0]) | (np.abs(v) > EXTENT[1])
    coverage = np.clip(0.5 - gap * np.float32(view.scale), 0, 1)
    coverage[outside] = 0
    return Surface(coverage, np.stack(rest[:3]), to_picture(np.stack(rest[3:]), view))


def to_picture(normal: NDArray, view: View) -> NDArray:
    """Normals (3, h, w) of view axes in picture axes: turned by the view's angle, and unit length again."""
    cos, sin = np.float32(np.cos(view.angle)), np.float32(np.sin(view.angle))
    turned = np.stack([normal[0] * cos - normal[1] * sin, normal[0] * sin + normal[1] * cos, normal[2]])
    return turned / (np.sqrt((turned * turned).sum(0)) + 1e-6)


def _trace(shape: HeadShape, rotation: NDArray, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Nearest signed distance (N,), hit points (3, N) and normals (3, N) of rays along -z through view (x, y)."""
    centres, radii = shape.ellipsoids()
    inverse = rotation.T
    base = inverse[:, :1] * x + inverse[:, 1:2] * y
    along = inverse[:, 2]
    # the distance to an ellipsoid is a(a - 1)/b with a = |p/r|, b = |p/r²|: two quadratics in the ray's z
    first, second = (_quadratics(base, along, centres, radii**power) for power in (1, 2))

    def distance(z: NDArray) -> tuple[NDArray, NDArray]:
        a = np.sqrt(np.maximum((first[0] * z + first[1]) * z + first[2], 1e-6))
        b = np.sqrt(np.maximum((second[0] * z + second[1]) * z + second[2], 1e-6))
        distances = a * (a - 1) / b
        nearest = distances.min(0)
        weight = np.exp((nearest - distances) * np.float32(1 / BLEND))
        total = weight.sum(0)
        return nearest - np.float32(BLEND) * np.log(total), weight / total

    z = np.full_like(x, 1.25)
    gap = np.full_like(x, 9)
    nearest_z = z
    for _ in range(9):
        here, _ = distance(z)
        nearest_z = np.where(here < gap, z, nearest_z)
        gap = np.minimum(gap, here)
        z = np.maximum(z - np.maximum(here * 0.95, 0), -1.3)
    points = base + along[:, None] * nearest_z
    _, weight = distance(nearest_z)
    normal = rotation @ _gradient(points, centres, radii, weight)
    for deeper in (0.06, 0.16, 0.32):  # rays that hit: the length inside the head gives the distance to the outline
        gap = np.minimum(gap, distance(nearest_z - np.float32(deeper))[0])
    return gap, points, normal


def _quadratics(base: NDArray, along: NDArray, centres: NDArray, scale: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Coefficients of |(p - centre) / scale|² over the ray parameter: (P, 1), (P, N), (P, N)."""
    inverse = 1 / scale
    step = (along * inverse)[:, :, None]
    start = (base[None] - centres[:, :, None]) * inverse[:, :, None]
    return (step * step).sum(1), 2 * (step * start).sum(1), (start * start).sum(1)


def _gradient(points: NDArray, centres: NDArray, radii: NDArray, weight: NDArray) -> NDArray:
    normals = (points[None] - centres[:, :, None]) / (radii * radii)[:, :, None]
    normals /= np.sqrt((normals * normals).sum(1, keepdims=True)) + 1e-6
    return np.einsum("pn,pkn->kn", weight, normals)


def surface_at(shape: HeadShape, x: NDArray, y: NDArray) -> tuple[NDArray, NDArray]:
    """Surface points (N, 3) and outward normals (N, 3) of the untilted head's front at positions x, y (N,)."""
    _, points, normal = _trace(shape, np.eye(3, dtype=np.float32), x, y)
    return points.T.copy(), normal.T.copy()
