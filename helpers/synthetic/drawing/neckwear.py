"""Collars, high necks, scarves, ties, necklaces, hoods and bag straps, which lie on the garments."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing import palette
from helpers.synthetic.drawing.body import Body
from helpers.synthetic.drawing.canvas import Canvas, View, ellipse, fill, spline, stroke
from helpers.synthetic.drawing.fabric import Fabric, random_fabric
from helpers.synthetic.drawing.light import Light, inflate, normals
from helpers.synthetic.drawing.outfit import Garment, Outfit


def paint_collar(canvas: Canvas, view: View, body: Body, garment: Garment, light: Light, rng: Generator) -> None:
    """The collar of a shirt or the tube of a high neck."""
    middle, neck = body.middle, body.neck
    if garment.neckline == "high":
        top = -rng.uniform(0.55, 0.85)
        tube = np.array(
            [
                (-neck * 1.12, top),
                (0, top + 0.12),
                (neck * 1.12, top),
                (neck * 1.25, -0.1),
                (0, 0.18),
                (-neck * 1.25, -0.1),
            ],
            np.float32,
        )
        _paint_cloth(canvas, view, [spline(tube, 5, closed=True)], garment.fabric, light, rng, neck)
    if garment.neckline == "collar":
        level = float(light.key.mean() * 0.6 + light.ambient.mean())
        length = rng.uniform(0.3, 0.6)
        for side in (-1, 1):
            edge = body.sideways(side, neck * 1.12)
            wing = np.array(
                [
                    (edge, -0.62),
                    (edge + side * 0.18, -0.32),
                    (middle + side * (0.25 + length * 0.6), length),
                    (middle, garment.depth),
                    (edge * 0.55 + middle * 0.45, -0.1),
                ],
                np.float32,
            )
            box = view.box(wing)
            cover = fill(view, box, wing)
            canvas.shadow(box, cover, light.shadow_offset(0.05 * view.scale), 0.04 * view.scale, 0.5)
            gain = level * (1.05 + 0.2 * side * float(light.direction[0]))
            canvas.paint(box, cover, np.clip(garment.fabric.first * gain, 0, 1))


def paint_extras(canvas: Canvas, view: View, body: Body, outfit: Outfit, light: Light, rng: Generator) -> None:
    """Paint what else the person wears or carries; most persons have nothing more."""
    level = float(light.key.mean() * 0.6 + light.ambient.mean())
    low_neck = outfit.top.neckline in ("v", "scoop", "boat", "straps", "off", "crew")
    if low_neck and rng.random() < 0.2:
        _necklace(canvas, view, body, level, rng)
    if outfit.top.neckline == "collar" and rng.random() < 0.25:
        _tie(canvas, view, body, outfit.top.depth, light, rng)
    if rng.random() < 0.12:
        _hood_down(canvas, view, body, (outfit.outer or outfit.top).fabric, light, rng)
    if rng.random() < 0.13:
        _scarf(canvas, view, body, light, rng)
    if rng.random() < 0.14:
        _bag_strap(canvas, view, body, level, light, rng)


def _paint_cloth(
    canvas: Canvas, view: View, outlines: list[NDArray], fabric: Fabric, light: Light, rng: Generator, roundness: float
) -> None:
    box = view.box(np.concatenate(outlines))
    u, v = view.coordinates(box)
    cover = fill(view, box, *outlines)
    relief = inflate(cover, roundness * view.scale) + fabric.relief(u.shape, view.scale, rng)
    canvas.shadow(box, cover, light.shadow_offset(0.1 * view.scale), 0.08 * view.scale, 0.6 * light.hardness)
    canvas.paint(box, cover, light.shade(fabric.albedo(u, v, rng), normals(relief), fabric.gloss))


def _necklace(canvas: Canvas, view: View, body: Body, level: float, rng: Generator) -> None:
    depth = rng.uniform(0.2, 1.3)
    middle, half = body.middle, body.neck * 1.15
    chain = spline(
        [
            (body.sideways(-1, half), -0.35),
            (middle - half * 0.6, depth * 0.5),
            (middle, depth),
            (middle + half * 0.6, depth * 0.5),
            (body.sideways(1, half), -0.35),
        ]
    )
    box = view.box(chain, 0.2)
    gold = np.array([0.8, 0.65, 0.3], np.float32) if rng.random() < 0.6 else palette.vivid(rng)
    cover = stroke(view, box, [chain], rng.uniform(0.02, 0.09))
    cover = np.maximum(cover, fill(view, box, ellipse((middle, depth), (0.08, 0.1), steps=16)))
    canvas.paint(box, cover * canvas.alpha[box.slices], np.clip(gold * level, 0, 1))


def _tie(canvas: Canvas, view: View, body: Body, depth: float, light: Light, rng: Generator) -> None:
    x, end = body.middle, rng.uniform(3.2, 4.2)
    outline = np.array(
        [
            (x - 0.14, depth - 0.25),
            (x + 0.14, depth - 0.25),
            (x + 0.09, depth + 0.02),
            (x + 0.26, end - 0.3),
            (x, end),
            (x - 0.26, end - 0.3),
            (x - 0.09, depth + 0.02),
        ],
        np.float32,
    )
    _paint_cloth(canvas, view, [outline], random_fabric(rng), light, rng, 0.15)


def _hood_down(canvas: Canvas, view: View, body: Body, fabric: Fabric, light: Light, rng: Generator) -> None:
    for side in (-1, 1):
        edge = body.neck * 1.05
        lobe = spline(
            [
                (body.sideways(side, edge), -0.62),
                (body.sideways(side, edge + 0.45), -0.45),
                (body.sideways(side, edge + 0.75), 0.0),
                (body.middle + side * 0.3, 0.6),
                (body.middle, 0.55),
                (body.sideways(side, edge * 0.8), 0.0),
            ],
            6,
            closed=True,
        )
        _paint_cloth(canvas, view, [lobe], fabric, light, rng, 0.3)


def _scarf(canvas: Canvas, view: View, body: Body, light: Light, rng: Generator) -> None:
    fabric, middle, wide = random_fabric(rng), body.middle * 0.6, body.neck * rng.uniform(1.6, 2.3)
    if rng.random() < 0.6:
        x, end = middle + rng.choice([-1, 1]) * rng.uniform(0.1, 0.4), rng.uniform(1.8, 3.8)
        tail = spline(
            [
                (x - 0.25, 0),
                (x - 0.35, end * 0.5),
                (x - 0.3, end),
                (x + 0.3, end),
                (x + 0.28, end * 0.5),
                (x + 0.25, 0),
            ],
            5,
            closed=True,
        )
        _paint_cloth(canvas, view, [tail], fabric, light, rng, 0.3)
    for lift, grow in ((-0.45, 0.88), (-0.12, 1.0)):
        ring = ellipse((middle, lift), (wide * grow, 0.42), rng.normal(0, 0.12))
        _paint_cloth(canvas, view, [ring], fabric, light, rng, 0.4)


def _bag_strap(canvas: Canvas, view: View, body: Body, level: float, light: Light, rng: Generator) -> None:
    side = int(rng.choice([-1, 1]))
    across = rng.random() < 0.6
    start = (body.sideways(side, body.shoulder * 0.62), 0.0)
    end = (body.sideways(-side if across else side, body.hip * (1 if across else 1.2)), 4.3)
    middle = ((start[0] + end[0]) / 2 + 0.15 * side, 2.2)
    strap = spline([start, middle, end])
    box = view.box(strap, 0.2)
    colour = palette.cloth_colour(rng)
    cover = stroke(view, box, [strap], rng.uniform(0.1, 0.28)) * canvas.alpha[box.slices]
    canvas.shadow(box, cover, light.shadow_offset(0.06 * view.scale), 0.05 * view.scale, 0.5 * light.hardness)
    canvas.paint(box, cover, np.clip(colour * level, 0, 1))
    if rng.random() < 0.6:
        x, y = end
        bag = spline([(x - 0.7, y - 0.3), (x + 0.7, y - 0.3), (x + 0.8, y + 0.9), (x - 0.8, y + 0.9)], 5, closed=True)
        _paint_cloth(canvas, view, [bag], random_fabric(rng, smooth=True), light, rng, 0.25)
