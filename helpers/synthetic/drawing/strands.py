"""Hair as strands: simulated in head coordinates, drawn thinner than a pixel, shaded along their direction.

The soft edge of the matte comes from here. Nothing is blurred: a thin strand covers a part of a pixel.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing.canvas import PIXELS_ACROSS, Box, View
from helpers.synthetic.drawing.light import Light

STEPS = 13
"""Number of points with which a strand is simulated. `clump` doubles the pieces between them."""
CHUNKS, PIECES = 4, 6
"""A finished strand has CHUNKS · PIECES + 1 points; each chunk has one tone and is drawn at once."""
TONES, DEPTHS = 12, 5


class Solid(NamedTuple):
    """Ellipsoids that hair cannot enter: centres and radii, each (P, 3), in head units."""

    centres: NDArray
    radii: NDArray


def unit(vectors: NDArray) -> NDArray:
    """Vectors (..., 3) scaled to length 1."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-6)


def fall(
    roots: NDArray, direction: NDArray, length: NDArray, down: NDArray, solid: Solid, layer: NDArray, weight: float
) -> NDArray:
    """Strands that start at `roots` (N, 3) along `direction` (N, 3) and bend towards `down` (3,) → (N, STEPS, 3).

    `length` (N,) in head units; `layer` (N,) is how far above the solid each strand lies; `weight` is how much gravity
    turns it per head unit of length, from 0 (stiff) to 4 (limp).
    """
    points = [roots]
    here, heading, pace = roots, direction, (length / (STEPS - 1))[:, None]
    for share in np.linspace(0.5, 1.5, STEPS - 1, dtype=np.float32):  # short steps where the strand lies on the head
        heading = unit(heading + (1 - np.exp(-weight * pace)) * down)
        ahead = here + heading * pace * share
        pushed = push_out(ahead, solid, layer)
        heading = unit(0.5 * heading + 0.5 * unit(pushed - here))
        here = pushed
        points.append(here)
    return np.stack(points, 1)


def push_out(points: NDArray, solid: Solid, layer: NDArray) -> NDArray:
    """Points (N, 3) inside a solid moved to `layer` (N,) above its surface."""
    for centre, radii in zip(solid.centres, solid.radii):
        scaled = (points - centre) / (radii + layer[:, None])
        outside = np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), 1e-3)
        points = np.where(outside < 1, centre + (points - centre) / outside, points)
    return points


def gather(roots: NDArray, knot: NDArray, solid: Solid, layer: NDArray) -> NDArray:
    """Strands combed tightly from `roots` (N, 3) along the head to a `knot` (3,) → (N, STEPS, 3)."""
    share = np.linspace(0, 1, STEPS, dtype=np.float32)[None, :, None]
    centre, radii = solid.centres[0], solid.radii[0]
    start, end = unit((roots - centre) / radii)[:, None], unit((knot - centre) / radii)
    over = np.array([0, -0.35, 0], np.float32) * np.sin(np.pi * share)  # round the crown, not through the face
    around = centre + unit(start * (1 - share) + end * share + over) * (radii + layer[:, None, None])
    last = np.clip(share * 4 - 3, 0, 1)
    return (around * (1 - last) + knot * last).astype(np.float32)


def clump(
    paths: NDArray, rng: Generator, guides: int, strength: float, wave: float, frequency: float, spiral: float
) -> tuple[NDArray, NDArray]:
    """Pull strands (N, K, 3) together into locks around `guides` of them, and wave each lock.

    `strength` in [0, 1] at the tips; `wave` amplitude in head units; `frequency` in turns per strand; `spiral` 0 waves
    sideways only, 1 turns round in a helix. Returns the finished strands (N, CHUNKS · PIECES + 1, 3) and the number of
    the lock each belongs to (N,).
    """
    paths = _refine(paths)
    count, steps = paths.shape[:2]
    chosen = rng.permutation(count)[: min(guides, count)]
    roots = paths[:, 0]
    distance = (roots * roots).sum(1)[:, None] - 2 * roots @ roots[chosen].T + (roots[chosen] ** 2).sum(1)
    nearest = distance.argmin(1)
    along = np.linspace(0, 1, steps, dtype=np.float32)
    pull = (strength * along)[None, :, None]
    paths = paths + pull * (paths[chosen][nearest] - paths)
    phase = (rng.uniform(0, 2 * np.pi, len(chosen))[nearest] + rng.normal(0, 0.5, count))[:, None]
    pace = (frequency * rng.uniform(0.7, 1.3, len(chosen))[nearest])[:, None]
    angle = phase + 2 * np.pi * pace * along
    rise = wave * np.minimum(along * 2.5, 1)
    offset = np.stack([np.sin(angle), spiral * np.cos(angle) * 0.8, np.cos(angle) * 0.6], -1) * rise[None, :, None]
    return (paths + offset).astype(np.float32), nearest


def _refine(paths: NDArray) -> NDArray:
    """A point is inserted between each two, on the curve through their neighbours: (N, K, 3) → (N, 2K - 1, 3)."""
    before = np.concatenate([paths[:, :1], paths[:, :-2]], 1)
    after = np.concatenate([paths[:, 2:], paths[:, -1:]], 1)
    between = (9 * (paths[:, :-1] + paths[:, 1:]) - before - after) / 16
    fine = np.empty((paths.shape[0], 2 * paths.shape[1] - 1, 3), np.float32)
    fine[:, ::2], fine[:, 1::2] = paths, between
    return fine


def flyaway(paths: NDArray, rng: Generator, share: float, reach: float) -> tuple[NDArray, NDArray]:
    """Bend a `share` of the strands (N, K, 3) smoothly off their neighbours, by up to about `reach` head units."""
    loose = rng.random(len(paths)) < share
    along = np.linspace(0, 1, paths.shape[1], dtype=np.float32)
    bend = rng.normal(0, reach, (len(paths), 1, 3)) * (along**1.7)[None, :, None]
    return (paths + bend * loose[:, None, None]).astype(np.float32), loose


class Drawn(NamedTuple):
    """Strands seen through the pixels of `box`: `coverage` and `tone`, each (h, w); tone 1 is the plain hair colour."""

    box: Box
    coverage: NDArray
    tone: NDArray


def draw(
    view: View, paths: NDArray, tone: NDArray, chosen: NDArray, width: float, bulk: float = 0.0, margin: float = 0.1
) -> Drawn:
    """Draw chunks of strands, the far ones first; returns `Drawn`.

    `paths` (N, points, 3) in view axes, `tone` (N, CHUNKS) in [0, 2], `chosen` (N, CHUNKS) bool: which chunks to draw;
    `width` of a strand and `bulk` of the thick under-strokes that close the mass, in head units.
    """
    pieces = np.stack([paths[:, first : first + PIECES + 1] for first in range(0, CHUNKS * PIECES, PIECES)], 1)
    chosen_pieces = pieces[chosen]
    if len(chosen_pieces) == 0:
        chosen_pieces = np.zeros((1, 2, 3), np.float32) + np.array([1e3, 1e3, 0], np.float32)
        tone, bulk = np.ones(1), 0.0
    else:
        tone = tone[chosen]
    box = view.box(chosen_pieces[..., :2].reshape(-1, 2), margin)
    factor = max(2, round(0.85 * PIXELS_ACROSS / view.size))
    shape = box.shape[0] * factor, box.shape[1] * factor
    mask: NDArray = np.zeros(shape, np.uint8)
    shades: NDArray = np.zeros(shape, np.uint8)
    pixels = (view.to_pixels(chosen_pieces[..., :2]) - np.array([box.left, box.top], np.float32)) * factor - 0.5
    pixels = np.clip(np.rint(pixels * 8), -(2**20), 2**20).astype(np.int32)
    thickness = width * view.scale * factor
    if bulk > 0:
        # only every third strand, without its tip: the mass must end before the thin strands do
        place = np.broadcast_to(np.arange(CHUNKS), chosen.shape)[chosen]
        owner = np.broadcast_to(np.arange(len(chosen))[:, None], chosen.shape)[chosen]
        under = list(pixels[(place < CHUNKS - 1) & (owner % 3 == 0)])
        wide = max(1, round(bulk * view.scale * factor))
        cv2.polylines(mask, under, False, 255, wide, cv2.LINE_8, 3)
        cv2.polylines(shades, under, False, int(np.clip(tone.mean() * 90, 1, 255)), wide, cv2.LINE_8, 3)
    levels = np.clip(tone / 2 * TONES, 0, TONES - 1).astype(int)
    depth = chosen_pieces[..., 2].mean(1)
    rank = np.clip((depth - depth.min()) / (np.ptp(depth) + 1e-6) * DEPTHS, 0, DEPTHS - 1).astype(int)
    key = rank * TONES + levels
    faint = int(np.clip(255 * thickness, 90, 255))
    for value in np.unique(key):
        lines = list(pixels[key == value])
        cv2.polylines(mask, lines, False, faint if bulk == 0 else 255, max(1, round(thickness)), cv2.LINE_8, 3)
        level = (value % TONES + 0.5) / TONES * 255
        cv2.polylines(shades, lines, False, int(level), max(1, round(thickness)), cv2.LINE_8, 3)
    if bulk == 0 and faint < 255:
        shades = cv2.multiply(shades, mask, scale=1 / 255)
    size = box.shape[::-1]
    coverage = cv2.resize(mask, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    premultiplied = cv2.resize(shades, size, interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(2 / 255)
    return Drawn(box, coverage, premultiplied / np.maximum(coverage, 1e-3))


def shade(
    paths: NDArray, clumps: NDArray, rng: Generator, light: Light, view: View, centre: NDArray, gloss: float
) -> NDArray:
    """Tone (N, CHUNKS) in [0, 2] of strands (N, points, 3) in view axes; `clumps` (N,) numbers their locks.

    A strand is dark where it turns from the light or points at it, and shines where it lies across the half vector.
    """
    middle = paths[:, PIECES // 2 :: PIECES]
    tangent = unit(paths[:, PIECES::PIECES] - paths[:, :-1:PIECES])
    normal = unit((middle - centre) * np.array([1, 0.7, 1], np.float32))
    cos, sin = np.cos(view.angle), np.sin(view.angle)
    to_picture = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    normal, tangent = normal @ to_picture.T, tangent @ to_picture.T
    gain = light.gain(np.moveaxis(normal, -1, 0).astype(np.float32)).mean(0)
    half = unit(light.direction + np.array([0, 0, 1], np.float32))
    across = 1 - (tangent @ half) ** 2
    facing = np.clip(normal @ half, 0, 1)
    locks = rng.uniform(0.72, 1.18, int(clumps.max()) + 1)[clumps][:, None]
    fine = rng.normal(1, 0.16, (len(paths), 1))
    roots = np.array([0.85, 0.97, 1.04, 1.08], np.float32)
    tone = gain * locks * fine * roots * (0.55 + 0.45 * across) + gloss * across**12 * facing**3
    return np.clip(tone, 0.12, 1.99)
