"""A canvas of premultiplied colour, alpha and class ids, and the views that place scale-free shapes on it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

PIXELS_ACROSS = 1024
"""Polygons are rasterised on about this many sub-pixels across the frame, whatever the size of the picture."""


@dataclass(frozen=True)
class Box:
    """A rectangle of pixels, never empty: rows `top:bottom`, columns `left:right`."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """The pair of slices that cuts this box out of an (H, W) array."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class View:
    """Places local coordinates (x right, y down) in a picture of `size` × `size` pixels.

    `scale` is pixels per local unit, `angle` the clockwise turn in radians, `origin` the pixel position of (0, 0).
    """

    size: int
    origin: tuple
    scale: float
    angle: float = 0.0

    def to_pixels(self, points: ArrayLike) -> NDArray:
        """Local points (..., 2) → pixel positions (..., 2), float32; pixel i covers [i, i + 1)."""
        cos, sin = np.cos(self.angle) * self.scale, np.sin(self.angle) * self.scale
        points = np.asarray(points, np.float32)
        x, y = points[..., 0], points[..., 1]
        return np.stack([self.origin[0] + x * cos - y * sin, self.origin[1] + x * sin + y * cos], -1).astype(np.float32)

    def moved(self, point: ArrayLike, turn: float = 0.0, zoom: float = 1.0) -> "View":
        """The view whose origin lies at this view's local `point`, turned by `turn` radians and scaled by `zoom`."""
        return replace(
            self, origin=tuple(map(float, self.to_pixels(point))), scale=self.scale * zoom, angle=self.angle + turn
        )

    def box(self, points: ArrayLike, margin: float = 0.05) -> Box:
        """The part of the picture that holds local `points` (N, 2) with `margin` (local units) around them.

        A shape outside the picture gets a box of one row or column at the border, so callers need no special case.
        """
        pixels = self.to_pixels(points).reshape(-1, 2)
        reach = margin * self.scale + 1
        low = np.floor(pixels.min(0) - reach)
        high = np.ceil(pixels.max(0) + reach)
        left, top = np.clip(low, 0, self.size - 1).astype(int).tolist()
        right, bottom = np.clip(high, 1, self.size).astype(int).tolist()
        return Box(top, max(bottom, top + 1), left, max(right, left + 1))

    def coordinates(self, box: Box) -> tuple[NDArray, NDArray]:
        """Local coordinates (x, y) of the pixel centres in `box`, each (h, w) float32."""
        columns = np.arange(box.left, box.right, dtype=np.float32) + np.float32(0.5 - self.origin[0])
        rows = (np.arange(box.top, box.bottom, dtype=np.float32) + np.float32(0.5 - self.origin[1]))[:, None]
        cos, sin = np.float32(np.cos(self.angle) / self.scale), np.float32(np.sin(self.angle) / self.scale)
        return columns * cos + rows * sin, rows * cos - columns * sin


class Canvas:
    """Layers painted so far: `colour` (3, H, W) premultiplied, `alpha` (H, W), `labels` (H, W) uint8 class ids."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.colour = np.zeros((3, size, size), np.float32)
        self.alpha = np.zeros((size, size), np.float32)
        self.labels = np.zeros((size, size), np.uint8)

    def paint(self, box: Box, coverage: NDArray, colour: ArrayLike, label: int | NDArray = 1) -> None:
        """Lay `colour`, (3,) or (3, h, w) in [0, 1], over `box` with `coverage` (h, w) in [0, 1].

        `label` is a class id or an (h, w) array of ids; pixels covered by at least a half take it.
        """
        rows, columns = box.slices
        colour = np.asarray(colour, np.float32)
        if colour.ndim == 1:
            colour = colour[:, None, None]
        keep = 1 - coverage
        layer = self.colour[:, rows, columns]
        layer *= keep
        layer += coverage * colour
        alpha = self.alpha[rows, columns]
        alpha *= keep
        alpha += coverage
        np.copyto(self.labels[rows, columns], np.asarray(label, np.uint8), where=coverage >= 0.5)

    def shadow(self, box: Box, coverage: NDArray, offset: tuple[float, float], blur: float, strength: float) -> None:
        """Darken what is painted as if `coverage` (h, w) in `box` hung above it.

        `offset` (x, y) and `blur` are pixels, `strength` in [0, 1]. Alpha stays: a shadow hides nothing.
        """
        reach = int(np.ceil(max(abs(offset[0]), abs(offset[1])) + 2 * blur)) + 1
        wide = Box(
            max(box.top - reach, 0),
            min(box.bottom + reach, self.size),
            max(box.left - reach, 0),
            min(box.right + reach, self.size),
        )
        shift = np.array([[1, 0, box.left - wide.left + offset[0]], [0, 1, box.top - wide.top + offset[1]]], np.float32)
        height, width = wide.shape
        dark = cv2.warpAffine(np.ascontiguousarray(coverage, np.float32), shift, (width, height))
        dark = soften(dark, blur)
        rows, columns = wide.slices
        self.colour[:, rows, columns] *= 1 - strength * dark


def soften(image: NDArray, sigma: float) -> NDArray:
    """Gaussian blur with `sigma` in pixels; small sigmas leave the image as it is."""
    return cv2.GaussianBlur(image, (0, 0), float(sigma)) if sigma > 0.25 else image


def oversampling(size: int) -> int:
    """Sub-pixels per pixel and axis for a picture of `size` pixels."""
    return int(np.clip(round(PIXELS_ACROSS / size), 2, 10))


def fill(view: View, box: Box, *polygons: ArrayLike) -> NDArray:
    """Anti-aliased coverage (h, w) in [0, 1] of the union of closed `polygons`, each (N, 2) in local units."""
    factor = oversampling(view.size)
    mask = np.zeros((box.shape[0] * factor, box.shape[1] * factor), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(mask, [_sub_pixels(view, box, polygon, factor)], 255, cv2.LINE_8, 4)
    return _reduce(mask, box)


def stroke(view: View, box: Box, lines: Iterable[ArrayLike], width: float, closed: bool = False) -> NDArray:
    """Anti-aliased coverage (h, w) in [0, 1] of polylines, each (N, 2), drawn `width` wide, all in local units.

    Widths below a sub-pixel are drawn one sub-pixel wide and fainter in proportion.
    """
    factor = oversampling(view.size)
    mask = np.zeros((box.shape[0] * factor, box.shape[1] * factor), np.uint8)
    thickness = width * view.scale * factor
    points = [_sub_pixels(view, box, line, factor) for line in lines]
    cv2.polylines(mask, points, closed, 255, max(1, round(thickness)), cv2.LINE_8, 4)
    return _reduce(mask, box) * np.float32(min(1, max(thickness, 0.2)))


def _sub_pixels(view: View, box: Box, points: ArrayLike, factor: int) -> NDArray:
    pixels = (view.to_pixels(points) - np.array([box.left, box.top], np.float32)) * factor - 0.5
    return np.clip(np.rint(pixels * 16), -(2**24), 2**24).astype(np.int32)


def _reduce(mask: NDArray, box: Box) -> NDArray:
    small = cv2.resize(mask, box.shape[::-1], interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) * np.float32(1 / 255)


def spline(points: ArrayLike, steps: int = 8, closed: bool = False) -> NDArray:
    """A Catmull-Rom curve through `points` (N, 2) or (N, 3), `steps` samples a piece; float32."""
    points = np.asarray(points, np.float32)
    if closed:
        points = np.concatenate([points[-1:], points, points[:2]])
    else:
        points = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    t = np.linspace(0, 1, steps, endpoint=False, dtype=np.float32)[:, None]
    weights = 0.5 * np.concatenate(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1
    )
    pieces = np.stack([points[:-3], points[1:-2], points[2:-1], points[3:]], 1)
    curve = np.einsum("sk,pkd->psd", weights, pieces).reshape(-1, points.shape[1])
    return curve if closed else np.concatenate([curve, points[-2:-1]])


def ellipse(
    centre: tuple[float, float] | NDArray, radii: tuple[float, float] | NDArray, angle: float = 0.0, steps: int = 40
) -> NDArray:
    """Outline (steps, 2) of an ellipse; `angle` in radians."""
    t = np.linspace(0, 2 * np.pi, steps, endpoint=False)
    x, y = np.cos(t) * radii[0], np.sin(t) * radii[1]
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([centre[0] + x * cos - y * sin, centre[1] + x * sin + y * cos], 1).astype(np.float32)


def step(value: NDArray, width: float) -> NDArray:
    """Smooth 0 → 1 ramp of `value` (any array) centred on 0 and `width` wide."""
    t = np.clip(value / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)
