"""Outdoor backgrounds: streets with facades, cars and passers-by; parks, woods, meadows, water and sky."""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from helpers.synthetic.drawing.noise import fractal
from helpers.synthetic.drawing.stage import Stage


def street(stage: Stage) -> None:
    """Facades in perspective, a pavement, and things that stand on it."""
    rng = stage.rng
    sky(stage)
    horizon = rng.uniform(0.5, 0.9)
    vanish = rng.uniform(-0.3, 1.3)
    if rng.random() < 0.35:
        facade(stage, [(-0.1, -0.1), (1.1, -0.1), (1.1, horizon + 0.05), (-0.1, horizon + 0.05)])
    else:
        for side in rng.permutation([-0.15, 1.15])[: rng.integers(1, 3)]:
            end = side + (vanish - side) * rng.uniform(0.35, 0.95)
            top, roof = rng.uniform(-0.6, 0.0), rng.uniform(0.1, 0.45)
            corners = [(side, top), (end, roof), (end, horizon), (side, horizon + 0.1)]
            facade(stage, corners if side < end else [corners[1], corners[0], corners[3], corners[2]])
    ground = stage.colour(0.2, 0.75)
    stage.polygon(
        [(-0.2, horizon + 0.1), (vanish, horizon - 0.02), (1.2, horizon + 0.1), (1.2, 1.3), (-0.2, 1.3)], ground
    )
    for _ in range(rng.integers(0, 5)):
        stage.line([(vanish, horizon), (rng.uniform(-1, 2), 1.3)], 0.008, ground * rng.uniform(0.6, 1.3))
    standing = np.array([car, pole, passer, tree, sign, railing, passer, car], object)
    for stand in rng.permutation(standing)[: rng.integers(1, 6)]:
        stand(stage, horizon)
    if rng.random() < 0.5:
        stage.mottle(0.08, 20)


def nature(stage: Stage) -> None:
    """Sky, hills, grass and leaves."""
    rng = stage.rng
    sky(stage)
    horizon = rng.uniform(0.2, 0.9)
    green = np.array([rng.uniform(0.2, 0.5), rng.uniform(0.35, 0.6), rng.uniform(0.08, 0.3)]) * rng.uniform(0.5, 1.2)
    if rng.random() < 0.2:
        green = np.array([0.7, 0.62, 0.45]) * rng.uniform(0.6, 1.2)  # sand, straw
    for layer in range(3):
        height = horizon - 0.15 + 0.08 * layer
        x = np.linspace(-0.1, 1.1, 14)
        hill = np.stack([x, height + rng.normal(0, 0.03, 14)], 1)
        tone = green * (0.5 + 0.25 * layer) + np.array([0.5, 0.55, 0.6]) * (0.35 - 0.15 * layer)
        stage.polygon(np.concatenate([hill, [(1.1, 1.3), (-0.1, 1.3)]]), tone)
    stage.fade(green * 1.1, green * 0.7, horizon, 1.0)
    stage.mottle(0.25, 12, 5)
    for _ in range(rng.integers(0, 4)):
        tree(stage, horizon)
    if rng.random() < 0.4:
        leaves(stage, rng.uniform(-0.3, 0.3), rng.uniform(0.3, 1.2))


def foliage(stage: Stage) -> None:
    """Only leaves, with light between them."""
    rng = stage.rng
    deep = np.array([0.1, 0.17, 0.06]) * rng.uniform(0.4, 2)
    stage.fade(deep, deep * rng.uniform(0.6, 2.5))
    for _ in range(rng.integers(0, 4)):
        x = rng.uniform(0, 1)
        bark = np.array([0.25, 0.19, 0.13]) * rng.uniform(0.5, 1.5)
        stage.line([(x, 1.1), (x + rng.normal(0, 0.15), -0.1)], rng.uniform(0.01, 0.08), bark)
    leaves(stage, -0.1, 1.1)


def leaves(stage: Stage, top: float, bottom: float, count: int = 380) -> None:
    """Leaf-like spots between heights `top` and `bottom`, lit ones over dark ones."""
    rng = stage.rng
    hue = np.array([rng.uniform(0.2, 0.6), rng.uniform(0.4, 0.65), rng.uniform(0.05, 0.25)])
    if rng.random() < 0.15:
        hue = np.array([0.75, 0.4, 0.12])
    large = rng.uniform(0.01, 0.035)
    places = rng.uniform((-0.05, top), (1.05, bottom), (count, 2))
    sizes, turns = rng.uniform(0.4, 1.6, count) * large, rng.uniform(0, 180, count)
    light = np.sort(rng.uniform(0.25, 1.45, count))
    for place, size, angle, gain in zip(places, sizes, turns, light):
        stage.disc(place, (size, size * 0.5), hue * gain + (0.2 if gain > 1.38 else 0), angle)


def sky(stage: Stage) -> None:
    """A sky: blue, grey or overexposed."""
    rng = stage.rng
    kind = rng.random()
    high = np.array([0.35, 0.55, 0.85]) if kind < 0.45 else np.full(3, rng.uniform(0.6, 1))
    stage.fade(high * rng.uniform(0.7, 1.1), np.clip(high + rng.uniform(0.05, 0.4), 0, 1))
    if kind < 0.3:
        stage.mottle(0.12, 3)


def facade(stage: Stage, corners: ArrayLike) -> None:
    """Rows of windows stretched over `corners` (4, 2)."""
    rng = stage.rng
    wall, trim = stage.colour(0.25, 0.95), stage.colour(0.3, 1.0)
    picture = np.empty((160, 160, 3), np.uint8)
    picture[:] = np.clip(wall * 255, 0, 255)
    grain = fractal(rng, (160, 160), (40, 16) if rng.random() < 0.5 else 10, 2)
    picture[:] = np.clip(picture * (1 + 0.08 * grain[..., None]), 0, 255)
    rows, columns = rng.integers(2, 8), rng.integers(2, 9)
    tall, wide = rng.uniform(0.4, 0.8), rng.uniform(0.3, 0.8)
    glass = stage.colour(0.05, 0.7)
    for row in range(rows):
        if rng.random() < 0.5:
            low = int((row + 0.97) * 160 / rows)
            cv2.line(picture, (0, low), (160, low), tuple(np.clip(trim * 255, 0, 255).tolist()), 2)
        for column in range(columns):
            x, y = column * 160 / columns, row * 160 / rows
            left, right = int(x + (1 - wide) / 2 * 160 / columns), int(x + (1 + wide) / 2 * 160 / columns)
            top, bottom = int(y + (1 - tall) / 2 * 160 / rows), int(y + (1 + tall) / 2 * 160 / rows)
            pane = np.clip(glass * rng.uniform(0.5, 1.4) * 255, 0, 255).tolist()
            cv2.rectangle(picture, (left, top), (right, bottom), tuple(pane), -1)
            cv2.rectangle(picture, (left, top), (right, bottom), tuple(np.clip(trim * 255, 0, 255).tolist()), 1)
    stage.paste(picture, corners)


def car(stage: Stage, horizon: float) -> None:
    """A parked car, side on."""
    rng = stage.rng
    x, y, long = rng.uniform(-0.1, 1.1), horizon + rng.uniform(0.0, 0.12), rng.uniform(0.15, 0.45)
    paint = stage.colour()
    roof = [
        (x - 0.6 * long, y - 0.3 * long),
        (x - 0.35 * long, y - 0.55 * long),
        (x + 0.3 * long, y - 0.55 * long),
        (x + 0.6 * long, y - 0.3 * long),
    ]
    stage.polygon(roof, paint * 0.9)
    inner = np.array(roof) * 0.82 + np.array([x, y - 0.36 * long]) * 0.18
    stage.polygon(inner, np.array([0.15, 0.18, 0.2]))
    stage.polygon(
        [
            (x - long, y),
            (x - long, y - 0.25 * long),
            (x - 0.5 * long, y - 0.33 * long),
            (x + 0.6 * long, y - 0.33 * long),
            (x + long, y - 0.2 * long),
            (x + long, y),
        ],
        paint,
    )
    for wheel in (-0.6, 0.6):
        stage.disc((x + wheel * long, y), (0.17 * long, 0.17 * long), (0.05, 0.05, 0.06))
        stage.disc((x + wheel * long, y), (0.09 * long, 0.09 * long), (0.5, 0.5, 0.52))


def pole(stage: Stage, horizon: float) -> None:
    """A lamp post, a signpost or a column."""
    x, width = stage.rng.uniform(0, 1), stage.rng.uniform(0.006, 0.06)
    stage.line([(x, -0.1), (x + stage.rng.normal(0, 0.01), horizon + 0.15)], width, stage.colour(0, 0.8))


def sign(stage: Stage, horizon: float) -> None:
    """A board with something like letters."""
    rng = stage.rng
    x, y, w, h = rng.uniform(0, 1), rng.uniform(0.05, 0.5), rng.uniform(0.04, 0.3), rng.uniform(0.03, 0.1)
    stage.rectangle(x - w, y - h, x + w, y + h, stage.colour())
    ink = stage.colour()
    for letter in np.linspace(x - 0.8 * w, x + 0.8 * w, rng.integers(3, 9)):
        stage.line([(letter, y - 0.5 * h), (letter + rng.normal(0, 0.01), y + 0.5 * h)], 0.008, ink)


def railing(stage: Stage, horizon: float) -> None:
    """A fence of upright bars."""
    rng = stage.rng
    top, metal = horizon - rng.uniform(0.05, 0.3), stage.colour(0, 0.6)
    for x in np.arange(-0.05, 1.05, rng.uniform(0.02, 0.08)):
        stage.line([(x, top), (x, horizon + 0.15)], 0.007, metal)
    stage.line([(-0.1, top), (1.1, top)], 0.01, metal)


def passer(stage: Stage, horizon: float) -> None:
    """Somebody far away, who is not the subject."""
    rng = stage.rng
    x, tall = rng.uniform(0, 1), rng.uniform(0.12, 0.4) * rng.choice([1, 2], p=[0.7, 0.3])
    feet, unit = horizon + rng.uniform(0.03, 0.15), tall / 7.5
    coat, legs = stage.colour(), stage.colour(0, 0.6)
    skin = np.array([0.8, 0.6, 0.48]) * rng.uniform(0.3, 1.1)
    top = feet - tall
    for side in (-0.4, 0.4):
        stage.polygon(
            [
                (x + (side - 0.35) * unit, top + 3.5 * unit),
                (x + (side + 0.35) * unit, top + 3.5 * unit),
                (x + (side * 1.5 + 0.25) * unit, feet),
                (x + (side * 1.5 - 0.25) * unit, feet),
            ],
            legs,
        )
    torso = [(-0.9, 1.3), (0.9, 1.3), (1.1, 3.2), (0.8, 4.2), (-0.8, 4.2), (-1.1, 3.2)]
    stage.polygon([(x + u * unit, top + v * unit) for u, v in torso], coat)
    stage.disc((x, top + 0.55 * unit), (0.4 * unit, 0.52 * unit), skin)
    stage.disc((x, top + 0.35 * unit), (0.43 * unit, 0.38 * unit), np.array([0.2, 0.15, 0.1]) * rng.uniform(0.3, 2))


def tree(stage: Stage, horizon: float) -> None:
    """A trunk with a crown of leaves, bare in winter."""
    rng = stage.rng
    x, crown = rng.uniform(0, 1), rng.uniform(0.08, 0.3)
    y = horizon - rng.uniform(0.2, 0.6)
    bark = np.array([0.3, 0.24, 0.18]) * rng.uniform(0.4, 1.4)
    stage.line([(x, horizon + 0.1), (x + rng.normal(0, 0.03), y)], crown * 0.18, bark)
    if rng.random() < 0.3:
        for _ in range(40):
            angle, reach = rng.uniform(-np.pi, 0), rng.uniform(0.3, 1.4) * crown
            start = (x, y + rng.uniform(-0.1, 0.3) * crown)
            stage.line([start, (start[0] + np.cos(angle) * reach, start[1] + np.sin(angle) * reach)], 0.004, bark)
        return
    leaf = np.array([rng.uniform(0.2, 0.45), rng.uniform(0.35, 0.5), 0.15])
    spots = rng.normal(0, 0.5, (140, 2)) * crown + (x, y)
    for spot, gain in zip(spots, np.sort(rng.uniform(0.4, 1.4, 140))):
        stage.disc(spot, rng.uniform(0.08, 0.22, 2) * crown, leaf * gain, rng.uniform(0, 180))
