"""Indoor backgrounds: walls with corners, windows, curtains, shelves, doors, pictures, lamps and furniture."""

import numpy as np

from helpers.synthetic.drawing.stage import Stage


def room(stage: Stage) -> None:
    """A room seen from the front, with a few things in it."""
    rng = stage.rng
    wall = stage.colour(0.15, 1.0)
    stage.fade(wall * rng.uniform(0.75, 1.05), wall * rng.uniform(0.75, 1.05), sideways=rng.random() < 0.5)
    corner = rng.uniform(-0.3, 1.3)
    stage.polygon([(corner, 0), (1.5, -0.2), (1.5, 1.2), (corner, 1)], wall * rng.uniform(0.65, 0.95))
    if rng.random() < 0.5:
        stage.mottle(0.04, 10)
    furniture = np.array([window, shelf, door, picture, curtain, lamp, plant, sofa, blinds, cupboard, clutter], object)
    for furnish in rng.permutation(furniture)[: rng.integers(1, 6)]:
        furnish(stage)
    floor = rng.uniform(0.6, 1.4)
    stage.polygon(
        [(-0.1, floor), (corner, floor - 0.05), (1.1, floor), (1.1, 1.6), (-0.1, 1.6)], stage.colour(0.1, 0.7)
    )


def window(stage: Stage) -> None:
    """A window, usually far brighter than the room."""
    rng = stage.rng
    left, top = rng.uniform(-0.2, 0.8), rng.uniform(-0.2, 0.3)
    right, bottom = left + rng.uniform(0.25, 0.7), top + rng.uniform(0.35, 0.9)
    frame, outside = stage.colour(0.4, 1.0), stage.colour(0.65, 1.0)
    stage.rectangle(left - 0.02, top - 0.02, right + 0.02, bottom + 0.02, frame)
    stage.rectangle(left, top, right, bottom, outside)
    if rng.random() < 0.6:
        skyline = top + (bottom - top) * rng.uniform(0.4, 0.8)
        stage.rectangle(left, skyline, right, bottom, outside * rng.uniform(0.5, 0.9))
    for x in np.linspace(left, right, rng.integers(2, 5))[1:-1]:
        stage.line([(x, top), (x, bottom)], 0.015, frame)
    for y in np.linspace(top, bottom, rng.integers(2, 4))[1:-1]:
        stage.line([(left, y), (right, y)], 0.015, frame)


def shelf(stage: Stage) -> None:
    """Boards with books of many colours."""
    rng = stage.rng
    left, right = sorted(rng.uniform(-0.3, 1.3, 2) + np.array([-0.15, 0.15]))
    wood, height = stage.colour(0.1, 0.7), rng.uniform(0.13, 0.3)
    stage.rectangle(left, -0.1, right, 1.1, wood * 0.5)
    for y in np.arange(rng.uniform(-0.1, 0.15), 1.1, height):
        x = left
        while x < right:
            wide = rng.uniform(0.012, 0.05)
            if rng.random() < 0.85:
                stage.rectangle(x, y + height * rng.uniform(0.1, 0.5), min(x + wide, right), y + height, stage.colour())
            x += wide
        stage.rectangle(left, y + height - 0.015, right, y + height + 0.015, wood)


def door(stage: Stage) -> None:
    """A door in its frame."""
    rng = stage.rng
    left, wide, leaf = rng.uniform(-0.2, 0.9), rng.uniform(0.25, 0.5), stage.colour(0.2, 1)
    stage.rectangle(left - 0.03, rng.uniform(-0.3, 0.15), left + wide + 0.03, 1.2, leaf * 0.8)
    stage.rectangle(left, 0.05, left + wide, 1.2, leaf)
    for top in (0.12, 0.6):
        stage.rectangle(left + 0.15 * wide, top, left + 0.85 * wide, top + 0.4, leaf * rng.uniform(0.8, 0.95))


def picture(stage: Stage) -> None:
    """Framed pictures on the wall."""
    rng = stage.rng
    for _ in range(rng.integers(1, 4)):
        x, y = rng.uniform(0, 1), rng.uniform(0, 0.5)
        w, h = rng.uniform(0.05, 0.2, 2)
        stage.rectangle(x - w - 0.012, y - h - 0.012, x + w + 0.012, y + h + 0.012, stage.colour(0, 1))
        stage.rectangle(x - w, y - h, x + w, y + h, stage.colour(0.2, 1))
        for _ in range(4):
            spot = x + rng.uniform(-0.6, 0.6) * w, y + rng.uniform(-0.6, 0.6) * h
            stage.disc(spot, rng.uniform(0.1, 0.4, 2) * min(w, h), stage.colour())


def curtain(stage: Stage) -> None:
    """Cloth in vertical folds."""
    rng = stage.rng
    left, wide, cloth = rng.uniform(-0.2, 0.9), rng.uniform(0.2, 0.9), stage.colour(0.1, 1)
    edges = left + np.cumsum(rng.uniform(0.015, 0.05, 24)) * wide / 0.8
    for start, end in zip(edges[:-1], edges[1:]):
        stage.rectangle(start, -0.1, end, 1.1, cloth * rng.uniform(0.65, 1.05))


def blinds(stage: Stage) -> None:
    """Horizontal slats with light between them."""
    rng = stage.rng
    left, wide, pitch = rng.uniform(-0.3, 0.6), rng.uniform(0.3, 1.2), rng.uniform(0.02, 0.06)
    slat, light = stage.colour(0.3, 0.95), stage.colour(0.6, 1.0)
    stage.rectangle(left, -0.1, left + wide, rng.uniform(0.5, 1.1), light)
    for y in np.arange(-0.1, 0.9, pitch):
        stage.rectangle(left, y, left + wide, y + pitch * 0.6, slat)


def lamp(stage: Stage) -> None:
    """A lamp with its glow."""
    rng = stage.rng
    x, y, radius = rng.uniform(0, 1), rng.uniform(0, 0.6), rng.uniform(0.03, 0.1)
    stage.line([(x, y), (x, y + rng.choice([-1, 1]))], 0.01, stage.colour(0, 0.5))
    for grow, light in ((1.5, 0.85), (1.0, 1.0)):
        stage.disc((x, y), (radius * grow, radius * grow * 0.8), np.array([1, 0.93, 0.78]) * light)


def plant(stage: Stage) -> None:
    """A house plant: leaves from one point."""
    rng = stage.rng
    x, y, leaf = rng.uniform(0, 1), rng.uniform(0.5, 1.0), np.array([0.2, 0.4, 0.18])
    for _ in range(40):
        angle, reach = rng.uniform(-np.pi, 0), rng.uniform(0.05, 0.35)
        tip = (x + np.cos(angle) * reach, y + np.sin(angle) * reach)
        size = rng.uniform(0.03, 0.09), rng.uniform(0.01, 0.03)
        stage.disc(tip, size, leaf * rng.uniform(0.5, 1.6), np.degrees(angle))


def sofa(stage: Stage) -> None:
    """A sofa or an armchair's back behind the person."""
    rng = stage.rng
    top, cloth = rng.uniform(0.5, 0.85), stage.colour(0.05, 0.9)
    left, right = rng.uniform(-0.4, 0.3), rng.uniform(0.7, 1.4)
    for x in np.linspace(left, right, rng.integers(3, 6)):
        stage.disc((x, top + 0.2), (0.22, 0.22), cloth * rng.uniform(0.8, 1.05))
    stage.rectangle(left - 0.1, top + 0.12, right + 0.1, 1.2, cloth * 0.9)


def cupboard(stage: Stage) -> None:
    """A cupboard, a fridge or a column: an upright box."""
    rng = stage.rng
    left, wide, face = rng.uniform(-0.2, 0.9), rng.uniform(0.1, 0.5), stage.colour()
    top = rng.uniform(-0.1, 0.6)
    stage.rectangle(left, top, left + wide, 1.2, face)
    stage.rectangle(left + wide, top, left + wide + 0.06, 1.2, face * 0.7)
    for y in np.arange(top + 0.2, 1.1, rng.uniform(0.15, 0.4)):
        stage.line([(left, y), (left + wide, y)], 0.006, face * 0.6)


def clutter(stage: Stage) -> None:
    """Various things without a name."""
    rng = stage.rng
    for _ in range(rng.integers(4, 30)):
        x, y = rng.uniform(0, 1, 2)
        w, h = rng.uniform(0.01, 0.12, 2)
        if rng.random() < 0.75:
            colour = stage.colour()
            stage.rectangle(x - w, y - h, x + w, y + h, colour)
            stage.rectangle(x + w, y - h, x + 1.2 * w, y + h, colour * 0.7)  # its side, in the shade
        else:
            stage.disc((x, y), (w, h), stage.colour(), rng.uniform(0, 180))
