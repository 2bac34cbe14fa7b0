"""Hair styles: where hair grows on the head, the direction in which it is combed, its length, and how it is tied."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing import strands
from helpers.synthetic.drawing.canvas import step
from helpers.synthetic.drawing.identity import Identity
from helpers.synthetic.drawing.strands import Solid

KNOTS = {
    "ponytail": (0, -0.35, -1.05),
    "high ponytail": (0, -0.98, -0.72),
    "low bun": (0, 0.28, -0.98),
    "bun": (0, -0.72, -0.95),
    "topknot": (0, -1.12, -0.25),
}
"""Where gathered hair is tied, in head coordinates."""


@dataclass(frozen=True)
class Style:
    """A hair style; lengths are head units."""

    length: float
    sides: float
    """Length at the sides and the nape."""
    comb: str
    """crown, side, back, forward, up or out."""
    lift: float
    """0 flat on the head, 1 standing off it."""
    layer: float
    """Thickness of the hair above the skull."""
    weight: float
    """How fast gravity bends a strand, see `strands.fall`."""
    fringe: float = 0.0
    """Length over the forehead, if it differs."""
    tie: str = ""
    parting: float = 0.0


def random_style(rng: Generator, identity: Identity) -> Style | None:
    """A style that suits the person's hair, or None for a bald head."""
    u = rng.uniform
    parting = float(rng.choice([-1, 1]) * u(0.0, 0.35))
    short = [
        (5, Style(u(0.06, 0.14), 0.06, "forward", 0.8, 0.02, 0.5)),
        (
            12,
            Style(
                u(0.22, 0.42),
                u(0.07, 0.2),
                str(rng.choice(["forward", "side", "back"])),
                u(0.0, 0.18),
                u(0.04, 0.1),
                1.5,
                parting=parting,
            ),
        ),
        (8, Style(u(0.5, 0.8), u(0.15, 0.35), "side", u(0.05, 0.3), u(0.07, 0.16), 2.0, parting=parting)),
        (5, Style(u(0.5, 0.8), u(0.12, 0.4), "back", u(0.1, 0.35), u(0.06, 0.16), 1.0)),
        (2, Style(u(0.3, 0.6), u(0.08, 0.2), "up", u(0.3, 0.7), u(0.08, 0.18), 2.0)),
        (4, Style(u(0.6, 0.95), u(0.45, 0.8), "crown", 0.2, u(0.06, 0.15), 3.0, fringe=u(0.4, 0.52))),
    ]
    long = [
        (5, Style(u(1.1, 1.7), u(1.0, 1.5), "side", 0.15, u(0.08, 0.2), 3.5, parting=parting)),
        (4, Style(u(1.1, 1.6), u(0.9, 1.3), "crown", 0.15, u(0.08, 0.18), 3.5, fringe=u(0.4, 0.55))),
        (18, Style(u(2.0, 3.6), u(1.8, 3.4), "side", 0.15, u(0.07, 0.22), 3.5, parting=parting)),
        (6, Style(u(2.0, 3.4), u(1.8, 3.0), "crown", 0.15, u(0.07, 0.2), 3.5, fringe=u(0.4, 0.55))),
        (3, Style(u(1.8, 3.0), u(1.6, 2.6), "back", 0.3, u(0.08, 0.2), 2.5)),
        (8, Style(u(0.9, 2.2), 0, "back", 0, u(0.03, 0.1), 2.5, tie=str(rng.choice(list(KNOTS))))),
        (2, Style(u(1.2, 2.2), 0, "side", 0, 0.05, 2.5, tie=str(rng.choice(["pigtails", "braids"])), parting=0.0)),
    ]
    loose = [
        (5, Style(u(0.3, 0.9), u(0.25, 0.8), "out", 1.0, u(0.1, 0.2), 0.3)),
        (6, Style(u(0.12, 0.3), u(0.06, 0.2), "out", 0.8, 0.06, 1.0)),
        (5, Style(u(0.8, 1.9), u(0.7, 1.6), "out", 0.7, u(0.1, 0.3), 1.5)),
    ]
    if identity.bald > 0.88:
        return None
    feminine = rng.random() < identity.femininity
    choices = long + short[5:] if feminine else short + (long[:3] + long[5:6] if rng.random() < 0.2 else [])
    if identity.bald > 0.74:  # the remaining hair is short
        choices = [(1, Style(u(0.06, 0.2), u(0.06, 0.25), "back", 0.2, 0.05, 1.5))]
    elif identity.curl > 0.6:
        choices = loose + (choices[-3:] if feminine else choices[:2])
    weights = np.array([weight for weight, _ in choices], float)
    return choices[rng.choice(len(choices), p=weights / weights.sum())][1]


def hairline(points: NDArray, identity: Identity) -> NDArray:
    """Positive where hair grows; `points` (3, ...) head coordinates → (...)."""
    x, y, z = points
    front = -0.05 - 0.68 * z - y - 0.05 * identity.bald
    temples = 0.22 * np.maximum(identity.bald - 0.35, 0) * np.exp(-(((np.abs(x) - 0.42) / 0.16) ** 2)) * (z > 0)
    if 0.74 < identity.bald <= 0.88:  # a bald top above a wreath
        front = np.minimum(np.minimum(front, y + 0.52 + 0.1 * z), 0.3 - z)
    return front - 2 * temples


def _comb(style: Style, q: NDArray, side_of_parting: NDArray) -> NDArray:
    """Direction (N, 3) in which hair rooted at unit directions `q` (N, 3) from the skull's centre is combed."""
    if style.comb == "crown":
        return q - np.array([0, -0.9, -0.4], np.float32)
    fixed = {"back": (0, -0.25, -1), "forward": (0, 0.1, 1), "up": (0, -1, 0.35), "out": (0, 0, 0)}
    if style.comb in fixed:
        return np.broadcast_to(np.array(fixed[style.comb], np.float32), q.shape) + 0 * q
    out = np.zeros_like(q)
    out[:, 0] = side_of_parting
    out[:, 1] = 0.15
    out[:, 2] = -0.35
    return out


def grow(style: Style, identity: Identity, down: NDArray, count: int, rng: Generator) -> tuple[NDArray, NDArray]:
    """Grow about `count` strands of a `style` → (paths (N, points, 3) in head coordinates, lock of each (N,)).

    `down` (3,) is where gravity pulls, in head coordinates.
    """
    centres, radii = identity.head.ellipsoids()
    solid = strands.Solid(centres[:2], radii[:2])
    q = strands.unit(rng.normal(0, 1, (count * 3, 3))).astype(np.float32)
    roots = centres[0] + q * radii[0]
    here = hairline(roots.T, identity) > rng.uniform(-0.02, 0.05, len(q))
    q, roots = q[here][:count], roots[here][:count]
    if style.tie:
        paths, groups = _tied(style, roots, down, solid, rng), 40
    else:
        paths, groups = _loose(style, identity, q, roots, down, solid, rng), int(rng.integers(45, 140))
    curl = identity.curl
    long = min(1.0, style.length)
    wave = (0.012 + 0.10 * curl**1.5) * long * (0.35 if style.tie else 1)
    turns = 0.6 + 3.5 * curl * min(style.length, 1.6)
    tight = rng.uniform(0.1, 0.5) * (0.3 if style.tie else 1)
    if style.comb == "out":  # a ball of fuzz: many small coils, no tufts
        wave, turns, tight = min(0.04 + 0.05 * curl, 0.3 * style.length), rng.uniform(1.5, 4), rng.uniform(0, 0.25)
    return strands.clump(paths, rng, groups if curl < 0.6 else 260, tight, wave, turns, float(curl))


def _loose(
    style: Style, identity: Identity, q: NDArray, roots: NDArray, down: NDArray, solid: Solid, rng: Generator
) -> NDArray:
    normal = strands.unit(q / solid.radii[0])
    side = np.where(q[:, 0] * 0.8 > style.parting, 1, -1).astype(np.float32)
    comb = _comb(style, q, side)
    along = comb - (comb * normal).sum(1, keepdims=True) * normal
    heading = strands.unit(
        strands.unit(along) * (1 - 0.6 * style.lift)
        + normal * (style.lift + 0.04)
        + rng.normal(0, 0.10 + 0.2 * identity.curl, q.shape)
    )
    low = np.clip((roots[:, 1] + 0.62) / 0.35, 0, 1)
    length = style.length + (style.sides - style.length) * low
    if style.fringe:
        front = (roots[:, 2] > 0.15) & (np.abs(roots[:, 0]) < 0.5)
        length = np.where(front, style.fringe, length)
    length = length * rng.uniform(0.72, 1.06, len(q)) * (1 - 0.35 * (rng.random(len(q)) < 0.2))
    layer = style.layer * rng.uniform(0.15, 1, len(q)) * np.minimum(1, length / 0.3)
    paths = strands.fall(
        roots,
        heading.astype(np.float32),
        length.astype(np.float32),
        down,
        solid,
        layer.astype(np.float32),
        style.weight,
    )
    return _draw_aside(paths, side, rng) if style.length > 0.8 else paths


def _draw_aside(paths: NDArray, side: NDArray, rng: Generator) -> NDArray:
    """Long strands (N, STEPS, 3) moved off the face to their `side` (N,), where they frame it like a curtain."""
    x, y, z = np.moveaxis(paths, -1, 0)
    edge = rng.uniform(0.5, 0.62) + 0.06 * rng.standard_normal((len(paths), 1)).astype(np.float32)
    below = step(y + 0.12, 0.55) * step(z - 0.1, 0.4)
    aside = np.where(side[:, None] > 0, np.maximum(x, edge), np.minimum(x, -edge))
    paths[..., 0] += below * (aside - x)
    return paths


def _tied(style: Style, roots: NDArray, down: NDArray, solid: Solid, rng: Generator) -> NDArray:
    """Hair combed to one or two knots, and the hair that hangs from a knot or is wound around it."""
    layer = (style.layer * rng.uniform(0.2, 1, len(roots))).astype(np.float32)
    half = len(roots) * 2 // 3
    two = style.tie in ("pigtails", "braids")
    knots = np.array([(-0.78, 0.15, -0.35), (0.78, 0.15, -0.35)] if two else [KNOTS[style.tie]], np.float32)
    which = (roots[:, 0] > 0).astype(int) if two else np.zeros(len(roots), int)
    tight = np.concatenate(
        [
            strands.gather(roots[which == k], knot, solid, layer[which == k])
            for k, knot in enumerate(knots)
            if (which == k).any()
        ]
    )[rng.permutation(len(roots))[:half]]
    rest = len(roots) - half
    knot = knots[rng.integers(0, len(knots), rest)]
    if style.tie.endswith(("bun", "topknot")):
        hanging = _bun(knot, rng.uniform(0.24, 0.42), rng)
    else:
        spread = rng.normal(0, 0.07, (rest, 3)).astype(np.float32)
        outward = strands.unit(knot * np.array([1, 0.3, 1], np.float32)) * 0.8 + spread * 3
        length = (style.length * rng.uniform(0.75, 1.05, rest)).astype(np.float32)
        hanging = strands.fall(
            knot + spread * 0.6, strands.unit(outward), length, down, solid, np.full(rest, 0.05, np.float32), 2.5
        )
        if style.tie == "braids":
            hanging = _braid(hanging, rng)
    return np.concatenate([tight, hanging])


def _bun(centre: NDArray, radius: float, rng: Generator) -> NDArray:
    """Arcs (N, STEPS, 3) wound round a ball at `centre` (N, 3)."""
    first = strands.unit(rng.normal(0, 1, centre.shape))
    second = strands.unit(np.cross(first, rng.normal(0, 1, centre.shape)))
    angle = np.linspace(0, 2.6, strands.STEPS)[None, :, None]
    ball = np.cos(angle) * first[:, None] + np.sin(angle) * second[:, None]
    size = radius * rng.uniform(0.75, 1.05, (len(centre), 1, 1))
    outward = strands.unit(centre)[:, None] * radius * 0.5
    return (centre[:, None] + outward + ball * size * np.array([1, 0.9, 0.9], np.float32)).astype(np.float32)


def _braid(paths: NDArray, rng: Generator) -> NDArray:
    """Hanging strands (N, STEPS, 3) woven in three locks around their mean."""
    right = paths[:, :1, 0] > 0
    along = np.linspace(0, 1, paths.shape[1])[None, :]
    turn = 2 * np.pi * (along * 3.5 + rng.integers(0, 3, (len(paths), 1)) / 3)
    woven = paths.copy()
    for side in (right[:, 0], ~right[:, 0]):
        if side.any():
            woven[side] = paths[side].mean(0, keepdims=True)
    width = 0.13 * (1 - 0.5 * along)
    woven[..., 0] += width * np.sin(turn) + rng.normal(0, 0.03, (len(paths), 1))
    woven[..., 2] += width * np.cos(2 * turn) + 0.05
    return woven.astype(np.float32)
