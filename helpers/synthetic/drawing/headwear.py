"""Headwear: hats, hoods, scarves, headphones, glasses, masks and earrings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from helpers.synthetic.drawing import palette
from helpers.synthetic.drawing.canvas import Canvas, View, ellipse, fill, spline, stroke
from helpers.synthetic.drawing.fabric import Fabric, random_fabric
from helpers.synthetic.drawing.identity import Identity
from helpers.synthetic.drawing.light import Light, inflate, normals

HATS = ("cap", "beanie", "brim", "headscarf", "hood", "headphones")


@dataclass(frozen=True)
class Hat:
    """Headgear of a kind in HATS; `size` about 1, `edge` the height of its rim on the forehead, `brim` its width."""

    kind: str
    fabric: Fabric
    size: float
    edge: float
    brim: float

    def covers_hair(self, points: NDArray) -> NDArray:
        """Which strand points (..., 3), head coordinates, lie under it → bool (...)."""
        x, y, z = np.moveaxis(points, -1, 0)
        if self.kind == "headphones":
            return np.zeros(x.shape, bool)
        if self.kind in ("headscarf", "hood"):
            return y < 2.0
        return y < self.rim(z) + 0.02

    def rim(self, z: NDArray) -> NDArray:
        """Height y of the rim at depth z: hats sit lower at the back."""
        return self.edge + 0.28 * (0.7 - z)


def random_hat(rng: Generator) -> Hat | None:
    """A `Hat`, or None three times in four."""
    if rng.random() > 0.24:
        return None
    kind = str(rng.choice(HATS, p=[0.22, 0.2, 0.22, 0.12, 0.12, 0.12]))
    return Hat(
        kind,
        random_fabric(rng, smooth=kind != "headscarf"),
        float(rng.uniform(1.05, 1.16)),
        float(rng.uniform(-0.6, -0.38)),
        float(rng.uniform(0.25, 0.65)),
    )


def paint_worn(
    canvas: Canvas, view: View, rotation: NDArray, identity: Identity, hat: Hat | None, light: Light, rng: Generator
) -> None:
    """Paint glasses, mask, earrings and `hat` over a head seen through `view` and turned by `rotation`."""
    wearer = _Wearer(canvas, view, rotation, identity, light, rng)
    if rng.random() < 0.05:
        wearer.mask()
    if identity.glasses and rng.random() < 0.8 or rng.random() < 0.08:
        wearer.glasses(dark=rng.random() < 0.35)
    if rng.random() < 0.5 * identity.femininity:
        wearer.earrings()
    if hat is not None:
        wearer.hat(hat)


class _Wearer:
    def __init__(
        self, canvas: Canvas, view: View, rotation: NDArray, identity: Identity, light: Light, rng: Generator
    ) -> None:
        self.canvas, self.view, self.rotation, self.identity = canvas, view, rotation, identity
        self.light, self.rng = light, rng
        self.level = float(np.clip(0.6 * light.key.mean() + light.ambient.mean(), 0, 1.1))

    def flat(self, points: ArrayLike) -> NDArray:
        """Head coordinates (N, 3) → view coordinates (N, 2)."""
        return (np.asarray(points, np.float32) @ self.rotation.T)[:, :2]

    def hull(self, points: NDArray) -> NDArray:
        """Outline (M, 2) in view coordinates of a convex body given by points (N, 3)."""
        return cv2.convexHull(np.ascontiguousarray(self.flat(points)))[:, 0]

    def paint(
        self,
        fabric: Fabric,
        outlines: list[NDArray],
        holes: Sequence[NDArray] = (),
        roundness: float = 0.5,
        shadow: float = 0.06,
    ) -> None:
        """Paint cloth over `outlines` without `holes`, inflated to `roundness` head units."""
        box = self.view.box(np.concatenate(outlines))
        u, v = self.view.coordinates(box)
        cover = fill(self.view, box, *outlines)
        relief = inflate(cover, roundness * self.view.scale) + 0.5 * fabric.relief(u.shape, self.view.scale, self.rng)
        if holes:
            cover = cover * (1 - fill(self.view, box, *holes))
        scale = self.view.scale
        self.canvas.shadow(
            box, cover, self.light.shadow_offset(shadow * scale), shadow * scale, 0.6 * self.light.hardness
        )
        albedo = fabric.albedo(u, v, self.rng)
        self.canvas.paint(box, cover, self.light.shade(albedo, normals(relief), fabric.gloss))

    def dome(self, size: float, plane: Callable[[NDArray], NDArray], height: float = 1.0) -> NDArray:
        """Points (N, 3) of the skull, `size` times as large, above the rim `plane`."""
        centres, radii = self.identity.head.ellipsoids()
        turn = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        rise = np.linspace(0, np.pi, 24)
        turn, rise = (grid.ravel() for grid in np.meshgrid(turn, rise))
        q = np.stack([np.sin(rise) * np.cos(turn), -np.cos(rise), np.sin(rise) * np.sin(turn)], 1)
        points = centres[0] + q * radii[0] * size
        points = points[points[:, 1] < plane(points[:, 2])]
        points[:, 1] = stretch(points[:, 1], height)
        return points

    def ring(self, hat: Hat, reach: float, angles: NDArray) -> NDArray:
        """Points (N, 3) around the head on the rim of `hat`, `reach` head units outside it."""
        centres, radii = self.identity.head.ellipsoids()
        x = np.sin(angles) * (radii[0, 0] * hat.size + reach)
        z = centres[0, 2] + np.cos(angles) * (radii[0, 2] * hat.size + reach)
        return np.stack([x, hat.rim(z * 0.8) + 0.12 * np.abs(np.sin(angles)) * -reach, z], 1)

    def hat(self, hat: Hat) -> None:
        """Paint headgear of any kind."""
        getattr(self, f"_{hat.kind}")(hat)

    def _cap(self, hat: Hat) -> None:
        self.paint(hat.fabric, [self.hull(self.dome(hat.size, hat.rim, 1.02))])
        angles = np.linspace(-1.0, 1.0, 24)
        outer = self.ring(hat, 0.5, angles * 0.72)
        outer[:, 1] += 0.1
        visor = np.concatenate([self.ring(hat, -0.02, angles), outer[::-1]])
        if (self.rotation @ np.array([0, 0, 1], np.float32))[2] > 0.1:
            self.paint(hat.fabric, [self.hull(visor)], roundness=0.12, shadow=0.15)

    def _beanie(self, hat: Hat) -> None:
        top = self.hull(self.dome(hat.size, lambda z: hat.rim(z) + 0.1, 1.0 + 0.35 * (hat.brim - 0.25)))
        self.paint(hat.fabric, [top])
        ring = np.linspace(0, 2 * np.pi, 40)
        band = np.concatenate(
            [self.ring(hat, 0.03, ring), self.ring(hat, 0.03, ring) - np.array([0, 0.22, 0], np.float32)]
        )
        self.paint(hat.fabric, [self.hull(band)], roundness=0.15)

    def _brim(self, hat: Hat) -> None:
        facing = -np.arctan2(self.rotation[2, 0], self.rotation[2, 2])
        if (self.rotation @ np.array([0, -1, -0.28], np.float32))[
            2
        ] > 0:  # seen from above, the far side rises behind the crown
            self.paint(hat.fabric, [self.hull(self.ring(hat, hat.brim, np.linspace(0, 2 * np.pi, 60)))], roundness=0.1)
        self.paint(hat.fabric, [self.hull(self.dome(hat.size, hat.rim, 1.12))])
        half = np.linspace(-1.75, 1.75, 48) + facing
        front = np.concatenate([self.flat(self.ring(hat, hat.brim, half)), self.flat(self.ring(hat, 0.0, half))[::-1]])
        self.paint(hat.fabric, [front], roundness=0.1, shadow=0.2)

    def _wrap(self, hat: Hat, size: float, opening: tuple[float, float, float], drape: float) -> None:
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        face = np.stack(
            [
                opening[0] * np.cos(angles),
                opening[2] + opening[1] * np.sin(angles),
                0.45 - 0.2 * np.abs(np.cos(angles)),
            ],
            1,
        )
        jaw = [(-0.62, 0.9, 0), (0.62, 0.9, 0), (0, 1.12, 0.4)]
        crown = self.hull(np.concatenate([self.dome(size, lambda z: np.full_like(z, 0.5)), jaw]))
        fall = spline(
            [
                (-0.7, 0.2),
                (-0.85, 1.2),
                (-drape, 1.75),
                (-0.8 * drape, 2.2),
                (0, 2.5),
                (0.8 * drape, 2.2),
                (drape, 1.75),
                (0.85, 1.2),
                (0.7, 0.2),
            ],
            6,
        )
        self.paint(hat.fabric, [crown, fall], [self.flat(face)], shadow=0.1)

    def _headscarf(self, hat: Hat) -> None:
        self._wrap(hat, hat.size * 1.02, (0.55, 0.80, 0.12), 1.2)

    def _hood(self, hat: Hat) -> None:
        self._wrap(hat, hat.size * 1.16, (0.66, 0.95, 0.05), 1.5)

    def _headphones(self, hat: Hat) -> None:
        angles = np.linspace(-np.pi / 2, np.pi / 2, 30)
        arc = np.stack([np.sin(angles) * 0.86, -0.05 - np.cos(angles) * 1.05, 0 * angles - 0.1], 1)
        line = self.flat(arc)
        box = self.view.box(line, 0.2)
        colour = np.clip(hat.fabric.first * self.level, 0, 1)
        self.canvas.paint(box, stroke(self.view, box, [line], 0.1), colour)
        for side in (-1, 1):
            if (self.rotation @ np.array([side, 0, 0], np.float32))[2] > -0.5:
                turn = np.linspace(0, 2 * np.pi, 24)
                y, z = 0.05 + 0.3 * np.sin(turn), -0.1 + 0.25 * np.cos(turn)
                cup = np.concatenate([np.stack([np.full_like(turn, side * x), y, z], 1) for x in (0.74, 0.95)])
                self.paint(hat.fabric, [self.hull(cup)], roundness=0.15)

    def glasses(self, dark: bool) -> None:
        """Glasses. `dark` lenses hide the eyes; behind clear ones the eyes keep their class."""
        rng = self.rng
        wide, high, power = rng.uniform(0.18, 0.25), rng.uniform(0.12, 0.21), rng.uniform(0.5, 1)
        frame = np.float32(rng.choice([(0.04, 0.04, 0.05), (0.25, 0.14, 0.08), (0.6, 0.5, 0.3), (0.5, 0.5, 0.52)]))
        angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        # between an ellipse and a rounded rectangle
        x, y = (np.sign(wave) * np.abs(wave) ** power for wave in (np.cos(angles), np.sin(angles)))
        lenses = [
            self.flat(
                np.stack([side * 0.29 + wide * x, 0.03 + high * y, 0.78 - 0.12 * np.abs(side * 0.29 + wide * x)], 1)
            )
            for side in (-1, 1)
        ]
        box = self.view.box(np.concatenate(lenses), 0.6)
        glass = fill(self.view, box, *lenses)
        if dark:
            tint = np.array([0.05, 0.05, 0.06], np.float32) + np.float32(rng.uniform(0, 0.12, 3))
            _, v = self.view.coordinates(box)
            self.canvas.paint(box, glass * np.float32(0.93), tint[:, None, None] * (1 - 1.5 * v))
        else:
            rows, columns = box.slices
            self.canvas.paint(box, glass * np.float32(0.07), (0.9, 0.95, 1.0), self.canvas.labels[rows, columns].copy())
        width = float(rng.choice([0.022, 0.035, 0.055]))
        lines = [np.concatenate([lens, lens[:1]]) for lens in lenses]
        lines.append(self.flat([(-0.29 + wide, 0, 0.78), (0, -0.02, 0.86), (0.29 - wide, 0, 0.78)]))
        for side in (-1, 1):
            if (self.rotation @ np.array([side, 0, 0.4], np.float32))[2] > 0:
                lines.append(self.flat([(side * (0.29 + wide), 0, 0.7), (side * 0.74, 0, -0.05)]))
        self.canvas.paint(box, stroke(self.view, box, lines, width), np.clip(frame * self.level, 0, 1))

    def mask(self) -> None:
        """A mask over nose and mouth, with ribbons around the ears."""
        outline = spline(
            [
                (0, 0.08, 0.9),
                (0.42, 0.2, 0.55),
                (0.6, 0.42, 0.2),
                (0.45, 0.8, 0.35),
                (0, 1.02, 0.55),
                (-0.45, 0.8, 0.35),
                (-0.6, 0.42, 0.2),
                (-0.42, 0.2, 0.55),
            ],
            6,
            closed=True,
        )
        colour = np.array([[0.62, 0.78, 0.85], [0.93, 0.93, 0.93], [0.08, 0.08, 0.09]], np.float32)[
            self.rng.integers(3)
        ]
        cloth = Fabric("plain", colour, colour, 0.2, 0.05, 0.0, 0.0)
        for side in (-1, 1):
            ribbon = self.flat([(side * 0.55, 0.35, 0.25), (side * 0.74, 0.1, -0.1)])
            box = self.view.box(ribbon)
            self.canvas.paint(box, stroke(self.view, box, [ribbon], 0.02), colour * self.level)
        self.paint(cloth, [self.flat(outline)], roundness=0.4)

    def earrings(self) -> None:
        """A pair of rings or drops, if the ears are visible."""
        colour = np.array([0.85, 0.7, 0.35], np.float32) if self.rng.random() < 0.6 else palette.vivid(self.rng)
        length = self.rng.uniform(0.06, 0.25)
        for side in (-1, 1):
            if (self.rotation @ np.array([side, 0, 0.2], np.float32))[2] > -0.35:
                x, y = self.flat([(side * 0.76 * self.identity.head.width, 0.34, -0.1)])[0]
                drop = ellipse((x, y + length), (0.05 + 0.2 * length, length), steps=24)
                box = self.view.box(drop)
                self.canvas.paint(box, fill(self.view, box, drop), np.clip(colour * self.level, 0, 1))


def stretch(y: NDArray, height: float) -> NDArray:
    """Heights y (N,) of a crown that is stretched by the factor `height`."""
    low = y.max()
    return low + (y - low) * height
