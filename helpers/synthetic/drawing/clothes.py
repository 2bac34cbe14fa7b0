"""Garments of the upper and lower body, painted over the torso. `outfit` says which ones are worn together."""

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from helpers.synthetic.drawing import palette, strands
from helpers.synthetic.drawing.body import Body, bust_relief
from helpers.synthetic.drawing.canvas import Box, Canvas, View, ellipse, fill, spline, stroke
from helpers.synthetic.drawing.fabric import Fabric
from helpers.synthetic.drawing.light import Light, inflate, normals
from helpers.synthetic.drawing.limbs import chain
from helpers.synthetic.drawing.outfit import Garment


def neck_hole(garment: Garment, body: Body) -> NDArray:
    """Outline (N, 2) of what the garment leaves open at neck and chest; empty for a high neck."""
    middle, neck, depth = body.middle, body.neck, garment.depth
    half = {
        "crew": 1.18,
        "v": 1.2,
        "scoop": 1.75,
        "boat": 2.5,
        "collar": 1.15,
        "open": 1.3,
        "high": 1.05,
        "straps": 6.0,
        "off": 6.0,
    }[garment.neckline] * neck
    top = -0.5 if garment.neckline == "high" else -0.28
    sides = body.sideways(-1, np.float32(half)), body.sideways(1, np.float32(half))
    if garment.neckline in ("v", "collar", "open"):
        low = [(middle, depth)]
    elif garment.neckline == "high":
        low = [(middle, -0.42)]
    elif garment.neckline in ("straps", "off"):
        low = [
            (sides[0] * 0.35, depth + 0.05),
            (middle - 0.45, depth - 0.12),
            (middle, depth),
            (middle + 0.45, depth - 0.12),
            (sides[1] * 0.35, depth + 0.05),
        ]
    else:
        low = [(middle - 0.72 * half, 0.55 * depth), (middle, depth), (middle + 0.72 * half, 0.55 * depth)]
    edge = [(sides[0], top), *low, (sides[1], top)]
    curve = edge if garment.neckline in ("v", "collar", "open") else spline(edge, 6)
    return np.concatenate([[(sides[0], -3)], curve, [(sides[1], -3)]]).astype(np.float32)


def _opening(garment: Garment, body: Body) -> NDArray:
    """The gap (N, 2) down the front of an unfastened jacket."""
    middle, wide = body.middle, 0.28 + 0.25 * garment.looseness
    return np.array(
        [
            (middle - 0.7 * wide, garment.depth * 0.4),
            (middle + 0.7 * wide, garment.depth * 0.4),
            (middle + wide, garment.hem + 1),
            (middle - wide, garment.hem + 1),
        ],
        np.float32,
    )


def paint_skin(canvas: Canvas, view: View, body: Body, skin: NDArray, light: Light) -> None:
    """Paint the bare torso and neck under everything, so that no neckline leaves a hole in the matte."""
    outline = body.outline(hem=4.8)
    box = view.box(outline)
    u, v = view.coordinates(box)
    whole = fill(view, box, outline)
    relief = inflate(whole, 0.6 * view.scale) + bust_relief(body, u, v, view.scale)
    for side in (-1, 1):  # collar bones
        line = spline(
            [(body.middle + side * 0.15, 0.12), (side * 0.7, 0.02), (side * body.shoulder * 0.8, 0.12 + body.slope)]
        )
        relief += 0.05 * view.scale * stroke(view, box, [line], 0.12)
    throat = inflate(
        fill(view, box, [(-body.neck, -1), (body.neck, -1), (body.neck * 1.1, 0), (-body.neck * 1.1, 0)]),
        body.neck * view.scale,
    )
    canvas.paint(box, whole, light.shade(skin, normals(relief + 0.5 * throat), 0.05))


def paint_garment(canvas: Canvas, view: View, body: Body, garment: Garment, light: Light, rng: Generator) -> None:
    """Paint a garment over the torso that is already on the canvas."""
    outline = body.outline(garment.ease, garment.looseness, garment.hem, garment.flare)
    box = view.box(outline, 0.3)
    u, v = view.coordinates(box)
    whole = fill(view, box, outline)
    cover = whole * (1 - fill(view, box, neck_hole(garment, body)))
    if garment.neckline == "straps":
        straps = [_strap(side, body, garment.depth) for side in (-1, 1)]
        cover = np.maximum(cover, fill(view, box, *straps) * canvas.alpha[box.slices])
    if garment.neckline == "open" and not garment.fastened:
        cover = cover * (1 - fill(view, box, _opening(garment, body)))
    relief = inflate(whole, 0.7 * view.scale) + bust_relief(body, u, v, view.scale)
    relief += garment.fabric.relief(u.shape, view.scale, rng)
    middle = np.array([(body.middle, garment.depth), (body.middle, garment.hem)], np.float32)
    seams = [middle] if garment.buttons and garment.fastened else []
    seams += [
        np.array(
            [
                (body.sideways(side, body.shoulder * 0.82), 0.1 + body.slope),
                (body.sideways(side, body.chest + 0.05), 1.5),
            ],
            np.float32,
        )
        for side in (-1, 1)
    ]
    relief -= 0.05 * view.scale * stroke(view, box, seams, 0.035)
    colour = light.shade(garment.fabric.albedo(u - body.middle, v, rng), normals(relief), garment.fabric.gloss)
    canvas.shadow(box, cover, light.shadow_offset(0.07 * view.scale), 0.05 * view.scale, 0.6 * light.hardness)
    canvas.paint(box, cover, colour)
    _trim(canvas, view, body, garment, box, cover, light)
    if garment.fur:
        paint_fur(canvas, view, outline, garment.fabric.first, light, rng)


def _strap(side: float, body: Body, depth: float) -> NDArray:
    x, top = body.sideways(side, 0.62 * body.shoulder), 0.28 * body.slope
    return np.array(
        [(x - 0.06, top - 0.12), (x + 0.06, top - 0.12), (x * 0.8 + 0.08, depth + 0.1), (x * 0.8 - 0.08, depth + 0.1)],
        np.float32,
    )


def _trim(canvas: Canvas, view: View, body: Body, garment: Garment, box: Box, cover: NDArray, light: Light) -> None:
    """Rib of a neckline, lapels and buttons."""
    first = garment.fabric.first
    level = float(light.key.mean() * 0.6 + light.ambient.mean())
    hole = neck_hole(garment, body)
    if garment.neckline in ("crew", "v", "scoop"):
        rib = stroke(view, box, [hole[1:-1]], 0.14) * cover
        canvas.paint(box, rib * 0.6, np.clip(first * 0.75 * level, 0, 1))
    if garment.lapels:
        for side in (-1, 1):
            neck = body.sideways(side, body.neck * 1.25)
            lapel = np.array(
                [
                    (neck, -0.4),
                    (neck + side * garment.lapels * 1.1, 0.1),
                    (body.middle + side * (0.42 + garment.lapels), 0.75),
                    (body.middle + side * (0.24 + garment.lapels * 0.8), 0.86),
                    (body.middle, garment.depth + 0.1),
                    (body.middle + side * 0.15, garment.depth * 0.5),
                ],
                np.float32,
            )
            area = view.box(lapel)
            sheet = fill(view, area, lapel)
            canvas.shadow(area, sheet, light.shadow_offset(0.05 * view.scale), 0.035 * view.scale, 0.55)
            gain = level * (1.0 + 0.25 * side * float(light.direction[0]))
            canvas.paint(area, sheet, np.clip(first * gain * 1.05, 0, 1))
    if garment.buttons and garment.fastened:
        places = np.arange(garment.depth + 0.15, min(garment.hem, 6), 0.62)
        discs = [ellipse((body.middle, y), (0.055, 0.055), steps=12) for y in places]
        canvas.paint(box, fill(view, box, *discs) * cover, np.clip(1.0 - first, 0.1, 0.85) * min(level, 1))


def paint_legs(canvas: Canvas, view: View, skin: NDArray, light: Light, rng: Generator) -> None:
    """Legs and shoes; trousers or a skirt are painted over them."""
    stocking = skin if rng.random() < 0.6 else palette.cloth_colour(rng) * np.float32(0.5)
    shoe = palette.cloth_colour(rng)
    for side in (-1, 1):
        joints = np.array([(side * 0.62, 5.0), (side * 0.64, 9.0), (side * 0.58, 13.0)], np.float32)
        box = view.box(joints, 0.8)
        leg = chain(view, box, joints, (0.62, 0.44, 0.24))
        canvas.paint(box, leg.coverage(view), light.shade(stocking, leg.normal, 0.04))
        toes = np.array([(side * 0.58, 13.2), (side * 0.78, 13.65)], np.float32)
        box = view.box(toes, 0.5)
        foot = chain(view, box, toes, (0.3, 0.34))
        canvas.paint(box, foot.coverage(view), light.shade(shoe, foot.normal, 0.15))


def paint_bottom(
    canvas: Canvas, view: View, body: Body, fabric: Fabric, skirt: float, light: Light, rng: Generator, top: float = 3.7
) -> None:
    """Trousers, or a skirt that ends at `skirt`, from `top` (head units below the pit of the neck) down."""
    hip = body.hip + 0.05
    if skirt:
        wide = hip + 0.2 * (skirt - 5.2)
        shapes: list[ArrayLike] = [
            [(-body.waist, top), (body.waist, top), (hip + 0.1, 5.2), (wide, skirt), (-wide, skirt), (-hip - 0.1, 5.2)]
        ]
    else:
        leg = [
            (body.waist, top),
            (hip, 4.6),
            (hip + 0.05, 6),
            (0.98, 9),
            (0.88, 13.2),
            (0.3, 13.2),
            (0.24, 9),
            (0.06, 5.6),
            (-0.2, 5.3),
            (-0.3, top),
        ]
        shapes = [np.asarray(leg, np.float32) * np.array([side, 1], np.float32) for side in (-1, 1)]
    curves = [spline(shape, 4, closed=True) for shape in shapes]
    box = view.box(np.concatenate(curves))
    u, v = view.coordinates(box)
    cover = fill(view, box, *curves)
    relief = inflate(cover, 0.6 * view.scale) + fabric.relief(u.shape, view.scale, rng)
    belt = fill(view, box, [(-3, top), (3, top), (3, top + 0.2), (-3, top + 0.2)])
    albedo = fabric.albedo(u, v, rng) * (1 - 0.6 * belt)
    canvas.paint(box, cover, light.shade(albedo, normals(relief), fabric.gloss))


def paint_fur(
    canvas: Canvas,
    view: View,
    outline: NDArray,
    colour: NDArray,
    light: Light,
    rng: Generator,
    count: int = 1500,
    length: float = 0.22,
) -> None:
    """Soft hair all over the star-shaped `outline` (N, 2), standing off its rim."""
    centre = outline.mean(0)
    rim = outline[rng.integers(0, len(outline), count)] + rng.normal(0, 0.06, (count, 2))
    roots = centre + (rim - centre) * np.sqrt(rng.uniform(0.1, 1, (count, 1)))
    heading = strands.unit(rim - centre + rng.normal(0, 0.9, rim.shape) + np.array([0, 0.6], np.float32))
    along = np.linspace(0, 1, strands.STEPS)[None, :, None]
    flat = roots[:, None] + heading[:, None] * along * length * rng.uniform(0.5, 1.3, (count, 1, 1))
    paths = np.concatenate([flat, np.zeros_like(flat[..., :1])], -1).astype(np.float32)
    paths, _ = strands.clump(paths, rng, 250, 0.4, 0.03, 1.0, 0.0)
    tone = (
        rng.uniform(0.5, 1.4, (count, 1))
        * np.array([0.7, 0.85, 1.0, 1.15], np.float32)
        * float(light.gain(np.array([[[0]], [[0]], [[1]]], np.float32)).mean())
    )
    drawn = strands.draw(view, paths, np.clip(tone, 0.1, 1.9), np.ones(tone.shape, bool), 0.012, 0.03)
    canvas.paint(drawn.box, drawn.coverage, np.clip(colour[:, None, None] * drawn.tone, 0, 1))
