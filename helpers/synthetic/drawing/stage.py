"""The sheet on which backgrounds are drawn: shapes in unit coordinates, anti-aliased, in a scene's own colours."""

from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from helpers.synthetic.drawing import palette
from helpers.synthetic.drawing.noise import fractal


class Stage:
    """A background that is being drawn: (0, 0) is the upper left corner, (1, 1) the lower right one."""

    def __init__(self, size: int, colours: NDArray, rng: Generator) -> None:
        """`colours` (N, 3) in [0, 1] are tones of the person, some of which the background takes."""
        self.size, self.rng, self.colours = size, rng, colours
        self.factor = 2 if size <= 512 else 1
        self.sheet: NDArray = np.full((size * self.factor, size * self.factor, 3), 128, np.uint8)

    def colour(self, dark: float = 0.0, bright: float = 1.0) -> NDArray:
        """A colour (3,) with values in [dark, bright]: mostly muted, in one of five cases a colour of the person."""
        rng = self.rng
        if rng.random() < 0.2:
            base = self.colours[rng.integers(len(self.colours))] * rng.uniform(0.8, 1.25)
        elif rng.random() < 0.15:
            base = palette.vivid(rng)
        else:
            base = rng.uniform(0.05, 1) + rng.normal(0, 0.06, 3)
        return np.clip(dark + (bright - dark) * np.clip(base, 0, 1), 0, 1)

    def polygon(self, points: ArrayLike, colour: ArrayLike) -> None:
        """A filled polygon (N, 2)."""
        cv2.fillPoly(self.sheet, [self._fixed(points)], self._bytes(colour), cv2.LINE_8, 4)

    def rectangle(self, left: float, top: float, right: float, bottom: float, colour: ArrayLike) -> None:
        """A filled rectangle."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)

    def line(self, points: ArrayLike, width: float, colour: ArrayLike) -> None:
        """A polyline (N, 2), `width` of the picture wide."""
        thickness = max(1, round(width * self.sheet.shape[0]))
        cv2.polylines(self.sheet, [self._fixed(points)], False, self._bytes(colour), thickness, cv2.LINE_8, 4)

    def disc(self, centre: ArrayLike, radii: ArrayLike, colour: ArrayLike, angle: float = 0.0) -> None:
        """A filled ellipse; `angle` in degrees."""
        middle, axes = self._fixed([centre])[0], np.maximum(self._fixed([radii])[0], 16)
        cv2.ellipse(
            self.sheet, middle.tolist(), axes.tolist(), float(angle), 0, 360, self._bytes(colour), -1, cv2.LINE_8, 4
        )

    def fade(
        self, first: ArrayLike, second: ArrayLike, top: float = 0.0, bottom: float = 1.0, sideways: bool = False
    ) -> None:
        """Rows `top` to `bottom` run from colour `first` to colour `second`, downwards or sideways."""
        side = self.sheet.shape[0]
        start, stop = (int(np.clip(value, 0, 1) * side) for value in (top, bottom))
        if stop <= start:
            return
        share = np.linspace(0, 1, side if sideways else stop - start, dtype=np.float32)[:, None]
        ramp = (np.asarray(first) + (np.asarray(second) - first) * share) * 255
        self.sheet[start:stop] = np.clip(ramp if sideways else ramp[:, None], 0, 255).astype(np.uint8)

    def mottle(self, strength: float, cells: float = 8, octaves: int = 4) -> None:
        """Uneven light and dirt over all that is drawn so far."""
        field = fractal(self.rng, (self.size, self.size), cells, octaves)
        field = cv2.resize(field, self.sheet.shape[:2])[..., None]
        self.sheet = np.clip(self.sheet * (1 + np.float32(strength) * field), 0, 255).astype(np.uint8)

    def paste(self, picture: NDArray, corners: ArrayLike) -> None:
        """Stretch `picture` (h, w, 3) uint8 over the quadrilateral `corners` (4, 2), clockwise from the upper left."""
        height, width = picture.shape[:2]
        source = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
        target = np.asarray(corners, np.float32) * self.sheet.shape[0]
        transform = cv2.getPerspectiveTransform(source, target)
        cv2.warpPerspective(
            picture, transform, self.sheet.shape[:2], self.sheet, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT
        )

    def finish(self) -> NDArray:
        """The background (3, size, size) float32 in [0, 1]."""
        small = self.sheet
        if self.factor > 1:
            small = cv2.resize(self.sheet, (self.size, self.size), interpolation=cv2.INTER_AREA)
        return np.ascontiguousarray(small.transpose(2, 0, 1)).astype(np.float32) / 255

    def _fixed(self, points: Any) -> NDArray:
        return np.rint(np.clip(np.asarray(points, np.float64), -4, 5) * self.sheet.shape[0] * 16).astype(np.int32)

    @staticmethod
    def _bytes(colour: ArrayLike) -> tuple[float, ...]:
        return tuple(float(value) for value in np.clip(np.asarray(colour) * 255, 0, 255))
