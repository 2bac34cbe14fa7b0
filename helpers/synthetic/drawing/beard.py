"""Beards: where they grow, their shade on the skin, and their strands."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing import strands
from helpers.synthetic.drawing.canvas import Canvas, View, step
from helpers.synthetic.drawing.head import surface_at
from helpers.synthetic.drawing.identity import Identity


def beard_area(x: NDArray, y: NDArray, kind: str) -> NDArray:
    """How densely, in [0, 1], a beard of `kind` (see `identity.BEARDS`) grows at face positions x, y of equal shape."""
    side = np.abs(x)
    moustache = step(0.23 - side, 0.08) * step(0.045 - np.abs(y - 0.435 - 0.25 * side**2), 0.05)
    chin = step(0.22 - side, 0.1) * step(y - 0.62, 0.06)
    lips = step(1 - (x / 0.27) ** 2 - ((y - 0.535) / 0.085) ** 2, 0.4)
    cheek = step(y - np.maximum(0.44 - 2.2 * np.maximum(side - 0.24, 0) ** 1.3, -0.1), 0.12)
    if kind == "moustache":
        return moustache
    if kind == "goatee":
        return np.maximum(moustache, chin)
    return np.maximum(moustache, cheek) * (1 - lips)


def shade_skin(canvas: Canvas, view: View, identity: Identity, rng: Generator) -> None:
    """Darken the flat face where the beard grows."""
    box = view.box([(-2, -2), (2, 2)])
    x, y = view.coordinates(box)
    strength = {"stubble": 0.38, "moustache": 0.6, "goatee": 0.6, "short": 0.7, "full": 0.75}[identity.beard]
    grain = rng.random((300, 300), np.float32)
    rows = np.linspace(0, 299, x.shape[0]).astype(int)
    grain = grain[np.ix_(rows, rows)]
    amount = beard_area(x, y, identity.beard) * np.float32(strength) * (0.7 + 0.5 * grain)
    canvas.colour += np.clip(amount, 0, 1) * ((identity.hair * 0.55)[:, None, None] - canvas.colour)


def beard_strands(identity: Identity, rng: Generator) -> tuple[NDArray, NDArray] | None:
    """Strands (N, points, 3) in head coordinates with their locks (N,), or None for stubble and clean-shaven faces."""
    if identity.beard in ("none", "stubble"):
        return None
    x, y = rng.uniform(-0.66, 0.66, 2200), rng.uniform(0.0, 1.0, 2200)
    grows = beard_area(x, y, identity.beard) > rng.random(2200)
    roots, normal = surface_at(identity.head, x[grows].astype(np.float32), y[grows].astype(np.float32))
    reach = {"moustache": 0.12, "goatee": 0.18, "short": 0.09, "full": rng.uniform(0.18, 0.6)}[identity.beard]
    lower = np.clip((roots[:, 1] - 0.3) / 0.5, 0.35, 1)
    length = (reach * lower * rng.uniform(0.6, 1.15, len(roots))).astype(np.float32)
    sideways = np.sign(roots[:, :1]) * np.array([[0.35, 0, 0]], np.float32)
    heading = strands.unit(
        0.6 * normal + np.array([0, 0.9, 0], np.float32) + sideways + rng.normal(0, 0.25, roots.shape)
    )
    solid = strands.Solid(*(part[1:5] for part in identity.head.ellipsoids()))
    layer = np.full(len(roots), 0.01, np.float32)
    paths = strands.fall(roots, heading, length, np.array([0, 1, 0], np.float32), solid, layer, 1.5)
    return strands.clump(paths, rng, 60, 0.35, 0.02 * identity.curl + 0.005, 1.2, 0.5)
