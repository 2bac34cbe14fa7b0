"""Backgrounds: which kind, drawn upright, then turned with the camera and blurred by its depth of field."""

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing import outdoors, rooms
from helpers.synthetic.drawing.canvas import soften
from helpers.synthetic.drawing.noise import blend, fractal
from helpers.synthetic.drawing.stage import Stage

KINDS = ("room", "street", "nature", "foliage", "plain", "studio", "masonry", "bokeh", "abstract")
_SHARE = np.array([24, 24, 9, 9, 12, 8, 6, 4, 4]) / 100


def background(size: int, colours: NDArray, roll: float, rng: Generator) -> NDArray:
    """A background (3, size, size) float32 in [0, 1], turned by `roll` radians.

    `colours` (N, 3) are tones of the person; some occur in the scene, so that colour alone never separates the person.
    """
    kind = str(rng.choice(KINDS, p=_SHARE))
    stage = Stage(size, colours, rng)
    painters = {
        "room": rooms.room,
        "street": outdoors.street,
        "nature": outdoors.nature,
        "foliage": outdoors.foliage,
        "plain": plain,
        "studio": studio,
        "masonry": masonry,
        "bokeh": bokeh,
        "abstract": abstract,
    }
    painters[kind](stage)
    image = stage.finish()
    zoom = rng.uniform(1.0, 1.5) + 1.2 * abs(np.sin(roll))
    turned = cv2.getRotationMatrix2D((size / 2, size / 2), -np.degrees(roll), zoom)
    flip = rng.random() < 0.5
    image = np.stack(
        [
            cv2.warpAffine(plane, turned, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
            for plane in image
        ]
    )
    grain = np.float32(max(0.0, rng.normal(0, 0.02))) * fractal(rng, (size, size), 40, 3, 0.8)
    image = np.clip(_weathered(image, rng) + grain, 0, 1)
    sharp = {"bokeh": 0.0, "street": 0.25, "nature": 0.25, "foliage": 0.25}.get(kind, 0.45)
    depth = rng.choice([0, rng.uniform(0.002, 0.008), rng.uniform(0.008, 0.03)], p=[sharp, 0.35, 0.65 - sharp])
    image = np.stack([soften(plane, depth * size) for plane in image])
    return np.ascontiguousarray(image[..., ::-1]) if flip else image


def _weathered(image: NDArray, rng: Generator) -> NDArray:
    """Add large soft differences of light, and up to three patches of a texture."""
    size = image.shape[1]
    axis = np.linspace(-0.5, 0.5, size, dtype=np.float32)
    slope = rng.normal(0, 0.3, 2).astype(np.float32)
    image = image * (
        1
        + slope[0] * axis[:, None]
        + slope[1] * axis
        + np.float32(rng.uniform(0, 0.15)) * fractal(rng, (size, size), 2, 2)
    )
    for _ in range(rng.integers(0, 4)):
        top, left = rng.uniform(-0.3, 0.8, 2)
        tall, wide = rng.uniform(0.2, 0.9, 2)
        rows, columns = (
            slice(int(max(start, 0) * size), int(np.clip(start + length, 0, 1) * size) + 1)
            for start, length in ((top, tall), (left, wide))
        )
        cells = np.exp(rng.uniform(np.log(4), np.log(60), 2))
        patch: NDArray = image[:, rows, columns]
        patch *= 1 + np.float32(rng.uniform(0.03, 0.2)) * fractal(rng, patch.shape[1:], cells, 3, 0.7)
    return image


def plain(stage: Stage) -> None:
    """A wall of one colour, often bright, with a little uneven light and dirt."""
    rng = stage.rng
    wall = stage.colour(0.5, 1.0) if rng.random() < 0.6 else stage.colour()
    stage.fade(wall * rng.uniform(0.7, 1.0), wall * rng.uniform(0.7, 1.0), sideways=rng.random() < 0.5)
    stage.mottle(rng.uniform(0, 0.12), int(rng.integers(2, 12)))
    if rng.random() < 0.4:
        y = rng.uniform(0.5, 1.0)
        stage.rectangle(-0.1, y, 1.1, 1.2, stage.colour())
    if rng.random() < 0.2:
        rooms.clutter(stage)


def studio(stage: Stage) -> None:
    """A backdrop with a lighter spot behind the person."""
    rng = stage.rng
    wall, size = stage.colour(0.05, 0.95), stage.size
    x, y = np.meshgrid(np.linspace(0, 1, size, dtype=np.float32), np.linspace(0, 1, size, dtype=np.float32))
    spot = np.exp(-((x - rng.uniform(0.2, 0.8)) ** 2 + (y - rng.uniform(0.2, 0.7)) ** 2) / rng.uniform(0.05, 0.5))
    spot = spot + 0.1 * fractal(rng, (size, size), 4, 4)
    image = blend(wall * rng.uniform(0.3, 0.8), np.clip(wall * rng.uniform(1, 1.6) + 0.05, 0, 1), np.clip(spot, 0, 1))
    sheet = (np.clip(image, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    stage.sheet = cv2.resize(sheet, stage.sheet.shape[:2], interpolation=cv2.INTER_LINEAR)


def masonry(stage: Stage) -> None:
    """Bricks, stones, tiles, boards or corrugated metal."""
    rng = stage.rng
    stone, joint = stage.colour(0.15, 0.9), stage.colour(0.2, 0.9)
    stage.fade(joint, joint * 0.9)
    tall = rng.uniform(0.03, 0.2)
    wide = tall * rng.choice([1, 2.2, 3, 40])
    gap, spread, shift = rng.uniform(0.02, 0.15) * tall, rng.uniform(0.02, 0.25), rng.random() < 0.7
    for row, y in enumerate(np.arange(-tall, 1, tall)):
        start = -wide + (row % 2) * wide * 0.5 * shift
        for x in np.arange(start, 1, wide):
            stage.rectangle(x + gap, y + gap, x + wide, y + tall, stone * (1 + rng.normal(0, spread)))
    stage.mottle(rng.uniform(0.03, 0.2), 12, 5)
    if rng.random() < 0.3:
        rooms.window(stage)


def bokeh(stage: Stage) -> None:
    """Lights far out of focus."""
    rng = stage.rng
    night = stage.colour(0, 0.4)
    stage.fade(night, night * rng.uniform(0.5, 2))
    for _ in range(rng.integers(15, 90)):
        radius = rng.uniform(0.008, 0.07)
        lamp = np.clip(np.array([1, 0.85, 0.6]) + rng.normal(0, 0.25, 3), 0, 1) * rng.uniform(0.4, 1)
        stage.disc(rng.uniform(0, 1, 2), (radius, radius), lamp)


def abstract(stage: Stage) -> None:
    """Abstract shapes and noise."""
    rng = stage.rng
    stage.fade(stage.colour(), stage.colour(), sideways=rng.random() < 0.5)
    stage.mottle(rng.uniform(0.1, 0.5), int(rng.integers(2, 20)), 5)
    rooms.clutter(stage)
    for _ in range(rng.integers(0, 8)):
        stage.polygon(rng.uniform(-0.1, 1.1, (rng.integers(3, 6), 2)), stage.colour())
    for _ in range(rng.integers(0, 8)):
        stage.line(rng.uniform(-0.1, 1.1, (3, 2)), rng.uniform(0.003, 0.03), stage.colour())
