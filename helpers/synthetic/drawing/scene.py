"""A scene: framing, persons and background, composited with exact alpha and then photographed."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing.backdrop import background
from helpers.synthetic.drawing.body import HEAD_ABOVE
from helpers.synthetic.drawing.camera import photograph
from helpers.synthetic.drawing.canvas import Canvas, View, soften
from helpers.synthetic.drawing.identity import Identity, random_identity
from helpers.synthetic.drawing.light import Light, random_light
from helpers.synthetic.drawing.noise import fractal
from helpers.synthetic.drawing.palette import cloth_colour
from helpers.synthetic.drawing.person import Figure, Pose


class Frame(NamedTuple):
    """Where the head is: `unit` is half its height, (x, y) its centre, all as shares of the picture's side."""

    unit: float
    x: float
    y: float
    kind: str


def random_frame(rng: Generator) -> Frame:
    """Any framing, from the whole figure to a close-up that fills the picture."""
    kinds = {
        "figure": (0.06, 0.062, 0.095),
        "half": (0.28, 0.10, 0.14),
        "waist": (0.18, 0.13, 0.18),
        "bust": (0.24, 0.17, 0.26),
        "selfie": (0.14, 0.23, 0.34),
        "close": (0.10, 0.32, 0.48),
    }
    kind = str(rng.choice(list(kinds), p=[share for share, _, _ in kinds.values()]))
    unit = rng.uniform(*kinds[kind][1:])
    x = 0.5 + rng.normal(0, 0.13 if kind in ("half", "waist", "figure") else 0.09)
    top = rng.normal(0.06, 0.05) if kind != "close" else rng.normal(-0.05, 0.08)
    return Frame(unit, float(np.clip(x, 0.15, 0.85)), float(top + 1.15 * unit), kind)


def random_pose(rng: Generator, frame: Frame) -> Pose:
    """A pose that fits the framing; in one picture in eight the head is turned nearly to profile."""
    yaw = rng.normal(0, 0.32) if rng.random() < 0.87 else rng.choice([-1, 1]) * rng.uniform(0.7, 1.25)
    arms = ["hanging", "pocket", "hip", "crossed", "front", "chin", "hair", "wave", "back"]
    share = np.array([42, 12, 10, 5, 12, 5, 5, 3, 6]) / 100
    left, right = (str(name) for name in rng.choice(arms, 2, p=share))
    if "crossed" in (left, right):
        left = right = "crossed"
    if frame.kind == "selfie" and rng.random() < 0.7:
        left, right = ("selfie", "hanging") if rng.random() < 0.5 else ("hanging", "selfie")
    return Pose(
        float(yaw), float(rng.normal(0.02, 0.13)), float(rng.normal(0, 0.11)), float(rng.normal(0, 0.04)), (left, right)
    )


class Picture(NamedTuple):
    """A finished scene; H and W are the size asked for."""

    image: NDArray
    """(H, W, 3) uint8 RGB photo."""
    labels: NDArray
    """(H, W) uint8 class ids, 0 exactly where the alpha is below a half."""
    alpha: NDArray
    """(H, W) uint8, 255 · alpha."""


def draw_scene(size: int, identity_rng: Generator, rng: Generator) -> Picture:
    """Draw a scene of `size` pixels; the person's traits come from `identity_rng`, all else from `rng`."""
    layout, lighting, figure, behind, lens = rng.spawn(5)
    identity, light, frame = random_identity(identity_rng), random_light(lighting), random_frame(layout)
    roll = float(layout.uniform(-0.35, 0.35)) if layout.random() < 0.15 else float(layout.normal(0, 0.04))
    canvas = Canvas(size)
    if frame.kind != "close" and layout.random() < 0.07:
        _companion(canvas, frame, roll, light, layout)
    person = _stand(canvas, frame, roll, identity, light, random_pose(layout, frame), figure)
    colours = np.stack([identity.skin, identity.hair, person.outfit.top.fabric.first, person.outfit.bottom.first])
    image = background(size, colours, roll, behind)
    image = _wall_shadow(image, canvas.alpha, light, frame, layout)
    image = _occlude(canvas, image, light, layout)
    alpha, colour = canvas.alpha, canvas.colour
    if layout.random() < 0.15:  # the person is slightly out of focus: colour and alpha blur alike
        blur = size * layout.uniform(0.001, 0.0045)
        alpha, colour = soften(alpha, blur), _soften_each(colour, blur)
    alpha = np.clip(alpha, 0, 1)
    composite = np.clip(colour, 0, None) + (1 - alpha) * image
    blur = size / 256 * max(0.0, lens.normal(0, 0.5))  # the lens blurs the picture and the alpha alike
    alpha, composite = soften(alpha, blur), _soften_each(composite, blur)
    matte = np.rint(alpha * 255).astype(np.uint8)
    labels = np.where(matte >= 128, np.maximum(canvas.labels, 1), 0).astype(np.uint8)
    return Picture(photograph(composite, lens), labels, matte)


def _soften_each(planes: NDArray, sigma: float) -> NDArray:
    return np.stack([soften(plane, sigma) for plane in planes])


def _stand(
    canvas: Canvas, frame: Frame, roll: float, identity: Identity, light: Light, pose: Pose, rng: Generator
) -> Figure:
    """Paint a person whose head is where `frame` says."""
    size = canvas.size
    unit = frame.unit * size
    down = np.array([-np.sin(roll), np.cos(roll)]) * HEAD_ABOVE * unit
    origin = (frame.x * size + float(down[0]), frame.y * size + float(down[1]))
    figure = Figure(canvas, View(size, origin, unit, roll), identity, pose, light, rng)
    figure.paint()
    return figure


def _companion(canvas: Canvas, frame: Frame, roll: float, light: Light, rng: Generator) -> None:
    """Paint a second person beside the first one; both are foreground."""
    side = -1 if frame.x > 0.5 else 1
    beside = Frame(
        frame.unit * rng.uniform(0.85, 1.08),
        frame.x + side * frame.unit * rng.uniform(2.2, 3.6),
        frame.y + frame.unit * rng.normal(0, 0.4),
        frame.kind,
    )
    _stand(canvas, beside, roll, random_identity(rng), light, random_pose(rng, beside), rng)


def _occlude(canvas: Canvas, image: NDArray, light: Light, rng: Generator) -> NDArray:
    """Sometimes put a table or a wall before the person. It is background, so the person ends there."""
    if rng.random() > 0.07:
        return image
    size = canvas.size
    edge = rng.uniform(0.72, 0.95) + rng.normal(0, 0.06) * (np.linspace(0, 1, size, dtype=np.float32) - 0.5)
    rows = (np.arange(size, dtype=np.float32) + 0.5)[:, None]
    keep = np.clip(edge[None].astype(np.float32) * size - rows + 0.5, 0, 1)
    canvas.alpha *= keep
    canvas.colour *= keep
    grain = 1 + 0.1 * fractal(rng, (size, size), (30, 4), 3)
    table = cloth_colour(rng)[:, None, None] * grain * (light.ambient + 0.6 * light.key)[:, None, None]
    return image * keep + np.clip(table, 0, 1) * (1 - keep)


def _wall_shadow(image: NDArray, alpha: NDArray, light: Light, frame: Frame, rng: Generator) -> NDArray:
    """Sometimes throw the person's shadow on a near wall."""
    if rng.random() > 0.22:
        return image
    size = image.shape[1]
    distance = frame.unit * size * rng.uniform(0.3, 1.2)
    x, y = light.shadow_offset(distance)
    moved = cv2.warpAffine(
        alpha, np.array([[1, 0, x], [0, 1, y]], np.float32), (size, size), borderMode=cv2.BORDER_REPLICATE
    )
    dark = soften(moved, frame.unit * size * rng.uniform(0.05, 0.4))
    return image * (1 - np.float32(0.75 * light.hardness) * dark)
