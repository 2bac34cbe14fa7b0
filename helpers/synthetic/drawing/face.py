"""The face painted flat, as seen straight from the front; `person` wraps it around the solid head.

Left and right are the person's own: the left eye lies at x > 0, on the right of an unmirrored frontal picture.
"""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from helpers.datasets.layouts import CLASSES
from helpers.synthetic.drawing.canvas import Canvas, View, ellipse, fill, spline, step, stroke
from helpers.synthetic.drawing.identity import Identity
from helpers.synthetic.drawing.noise import fractal

PERSON, SKIN, LEFT_BROW, RIGHT_BROW = map(CLASSES.index, ("PERSON", "SKIN", "LEFT_BROW", "RIGHT_BROW"))
LEFT_EYE, RIGHT_EYE, LIPS, TEETH = map(CLASSES.index, ("LEFT_EYE", "RIGHT_EYE", "LIPS", "TEETH"))
REACH = 1.2
"""The flat face shows head coordinates from -REACH to REACH."""


@dataclass(frozen=True)
class Expression:
    """What the face does: `lids` 0 closed to 1 wide, `gaze` (x, y), `mouth` 0 closed to 1 open, `smile` -0.3 to 1."""

    lids: float
    gaze: tuple
    mouth: float
    smile: float
    makeup: float


def random_expression(rng: Generator, femininity: float) -> Expression:
    """Mostly calm, often smiling, sometimes with teeth, seldom with closed eyes."""
    lids = 0.0 if rng.random() < 0.04 else rng.uniform(0.55, 1)
    mouth = rng.uniform(0.3, 1) if rng.random() < 0.35 else 0.0
    makeup = rng.random() if rng.random() < 0.65 * femininity else 0.0
    return Expression(
        float(lids),
        (float(rng.normal(0, 0.25)), float(rng.normal(0, 0.15))),
        float(mouth),
        float(rng.uniform(-0.25, 1)),
        float(makeup),
    )


def paint_face(identity: Identity, expression: Expression, scale: float, rng: Generator) -> tuple[Canvas, View]:
    """The flat face as a `Canvas` whose colour is albedo; `scale` is pixels per head unit of the final picture.

    Everything is opaque; labels are face classes, SKIN where there is no feature. Returns (canvas, view).
    """
    size = int(np.clip(2 * REACH * scale, 56, 640))
    view = View(size, (size / 2, size / 2), size / (2 * REACH))
    canvas = Canvas(size)
    painter = _Painter(canvas, view, identity, expression, rng)
    painter.skin()
    for side in (-1, 1):
        painter.eye(side)
        painter.brow(side)
    painter.nose()
    painter.mouth()
    return canvas, view


class _Painter:
    def __init__(self, canvas: Canvas, view: View, identity: Identity, expression: Expression, rng: Generator) -> None:
        self.canvas, self.view, self.identity, self.expression, self.rng = canvas, view, identity, expression, rng
        self.box = view.box([(-REACH, -REACH), (REACH, REACH)])
        self.x, self.y = view.coordinates(self.box)

    def blob(self, centre: tuple[float, float], radii: tuple[float, float], colour: ArrayLike, strength: float) -> None:
        """A soft spot of `colour`."""
        u, v = (self.x - centre[0]) / radii[0], (self.y - centre[1]) / radii[1]
        self.canvas.colour += (
            np.float32(strength)
            * np.exp(-u * u - v * v)
            * (np.asarray(colour, np.float32)[:, None, None] - self.canvas.colour)
        )

    def shape(self, outline: ArrayLike, colour: ArrayLike, strength: float = 1.0, label: int | NDArray = SKIN) -> None:
        """A filled outline."""
        box = self.view.box(outline)
        self.canvas.paint(box, fill(self.view, box, outline) * np.float32(strength), colour, label)

    def line(
        self, points: ArrayLike, width: float, colour: ArrayLike, strength: float, label: int | NDArray = SKIN
    ) -> None:
        """A drawn curve: wrinkles, lashes."""
        box = self.view.box(points, 0.05)
        cover = stroke(self.view, box, [spline(points)], width) * np.float32(strength)
        if label == SKIN:  # a faint line changes the colour, not the class
            label = self.canvas.labels[box.slices].copy()
        self.canvas.paint(box, cover, colour, label)

    def skin(self) -> None:
        skin, rng, shape = self.identity.skin, self.rng, self.x.shape
        mottle = 1 + 0.045 * fractal(rng, shape, 6, 4)
        self.canvas.paint(self.box, np.ones(shape, np.float32), skin[:, None, None] * mottle, SKIN)
        rosy = skin * np.array([1.04, 0.82, 0.80], np.float32)
        blush = rng.uniform(0.1, 0.45) + 0.3 * self.expression.makeup
        for side in (-1, 1):
            self.blob((side * 0.4, 0.25), (0.22, 0.18), rosy, blush)
            self.blob((side * 0.29, -0.02), (0.2, 0.13), skin * 0.68, 0.5)  # the socket lies in shade
            self.line(
                [(side * 0.17, 0.3), (side * 0.3, 0.42), (side * 0.34, 0.55)],
                0.015,
                skin * 0.7,
                0.15 + 0.5 * self.identity.age,
            )
        spots = fractal(rng, shape, 70, 1)
        amount = np.float32(self.identity.freckles * 0.5) * step(spots - 0.75, 0.3)
        amount *= step(0.5 - np.abs(self.y - 0.1), 0.4)
        self.canvas.colour += amount * ((skin * 0.72)[:, None, None] - self.canvas.colour)
        if self.identity.age > 0.45:
            for k in range(3):
                y = -0.5 + 0.09 * k
                self.line([(-0.3, y), (0, y - 0.03), (0.3, y)], 0.012, skin * 0.75, self.identity.age * 0.5)

    def eye(self, side: float) -> None:
        x, y, half = side * 0.29, 0.0, 0.135
        label = LEFT_EYE if side > 0 else RIGHT_EYE
        lids = self.expression.lids * (1 - 0.25 * max(self.expression.smile, 0))
        up, down = 0.012 + 0.06 * lids, 0.012 + 0.03 * lids
        inner, outer = x - side * half, x + side * half
        upper = spline([(inner, y + 0.015), (x - side * 0.04, y - up), (x + side * 0.06, y - up), (outer, y)])
        lower = spline([(outer, y), (x + side * 0.04, y + down), (x - side * 0.06, y + down), (inner, y + 0.015)])
        outline = np.concatenate([upper, lower])
        skin = self.identity.skin
        if self.expression.makeup > 0.4:
            self.blob(
                (x, y - 0.07), (0.17, 0.06), skin * np.array([0.6, 0.45, 0.5], np.float32), self.expression.makeup * 0.6
            )
        box = self.view.box(outline)
        open_eye = fill(self.view, box, outline) * np.float32(min(1, self.expression.lids * 4))
        self.canvas.paint(box, open_eye, np.array([0.86, 0.84, 0.82], np.float32) * (0.75 + 0.25 * skin.mean()), label)
        iris = (x + self.expression.gaze[0] * 0.1, y - 0.008 + self.expression.gaze[1] * 0.04)
        for radius, colour in ((0.062, self.identity.eyes * 0.6), (0.052, self.identity.eyes), (0.026, (0.02,) * 3)):
            self.canvas.paint(box, open_eye * fill(self.view, box, ellipse(iris, (radius, radius))), colour, label)
        glint = ellipse((iris[0] - 0.02, iris[1] - 0.022), (0.014, 0.014))
        self.canvas.paint(box, open_eye * fill(self.view, box, glint), (0.95, 0.95, 0.95), label)
        lash = self.identity.hair * 0.3 + np.float32(0.02)
        self.line(upper[::4], 0.02 + 0.014 * self.expression.makeup + 0.006 * self.identity.femininity, lash, 0.85)
        self.line(lower[::4], 0.010, skin * 0.5, 0.5)
        self.line(upper[::4] - np.array([0, 0.045], np.float32), 0.012, skin * 0.62, 0.6)

    def brow(self, side: float) -> None:
        thick = 0.030 * self.identity.brow * (1.15 - 0.4 * self.identity.femininity)
        raise_ = self.rng.normal(0, 0.012)
        middle = spline([(side * 0.12, -0.165), (side * 0.3, -0.215 + raise_), (side * 0.46, -0.165 + raise_)], 8)
        taper = np.linspace(1.15, 0.35, len(middle))[:, None] * np.array([0, thick], np.float32)
        outline = np.concatenate([middle - taper, (middle + taper)[::-1]])
        colour = self.identity.hair * 0.62 + 0.12 * self.identity.skin * self.identity.hair
        box = self.view.box(outline)
        hairs = 0.82 + 0.3 * fractal(self.rng, box.shape, (6, 30), 1)
        self.canvas.paint(
            box, np.clip(fill(self.view, box, outline) * hairs, 0, 1), colour, LEFT_BROW if side > 0 else RIGHT_BROW
        )

    def nose(self) -> None:
        skin = self.identity.skin
        self.blob((0, 0.35), (0.16, 0.05), skin * 0.6, 0.45)
        for side in (-1, 1):
            x = side * 0.075 * self.identity.head.nose_width
            self.shape(ellipse((x, 0.325), (0.036, 0.016), side * 0.3), skin * 0.3, 0.75)
            self.line([(side * 0.14, 0.24), (side * 0.165, 0.3), (side * 0.13, 0.34)], 0.016, skin * 0.68, 0.4)
        self.blob((0.0, 0.2), (0.07, 0.08), np.minimum(skin * np.array([1.08, 0.98, 0.97], np.float32), 1), 0.4)

    def mouth(self) -> None:
        expression, skin = self.expression, self.identity.skin
        half = 0.2 + 0.045 * max(expression.smile, 0)
        corner = 0.53 - 0.045 * expression.smile
        gap = 0.11 * expression.mouth
        top, bottom = 0.535 - 0.35 * gap, 0.535 + 0.65 * gap
        full = 0.05 * self.identity.lips
        natural = skin * np.array([0.86, 0.58, 0.58], np.float32)
        paint = natural + np.float32(expression.makeup) * (np.array([0.68, 0.12, 0.2], np.float32) - natural)
        upper_edge = spline(
            [
                (-half, corner),
                (-0.06, top - full * 0.95),
                (0, top - full * 0.7),
                (0.06, top - full * 0.95),
                (half, corner),
            ]
        )
        lower_edge = spline([(half, corner), (0.1, bottom + full * 1.1), (-0.1, bottom + full * 1.1), (-half, corner)])
        self.shape(np.concatenate([upper_edge, lower_edge]), paint, 0.95, LIPS)
        self.blob((0, bottom + full * 0.5), (0.1, 0.02), np.minimum(paint * 1.25, 1), 0.5)
        inner_top = spline([(-half * 0.88, corner), (0, top), (half * 0.88, corner)])
        inner_bottom = spline([(half * 0.88, corner), (0, bottom), (-half * 0.88, corner)])
        inner = np.concatenate([inner_top, inner_bottom])
        if gap > 0.02:
            self.shape(inner, (0.13, 0.04, 0.04), 1, LIPS)
            box = self.view.box(inner)
            band = fill(self.view, box, np.concatenate([inner_top, inner_top[::-1] + np.array([0, 0.065], np.float32)]))
            self.canvas.paint(box, band * fill(self.view, box, inner), np.array([0.88, 0.85, 0.80], np.float32), TEETH)
        else:
            parting = [(-half * 0.95, corner), (0, top + 0.006), (half * 0.95, corner)]
            self.line(parting, 0.016, paint * 0.45, 0.85, LIPS)
        self.blob((0, bottom + full * 1.1 + 0.05), (0.13, 0.03), skin * 0.7, 0.5)
