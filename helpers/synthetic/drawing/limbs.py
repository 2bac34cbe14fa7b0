"""Arms, hands and legs: chains of tapered capsules, each pixel shaded as on a round limb."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from helpers.synthetic.drawing.body import Body
from helpers.synthetic.drawing.canvas import Box, View
from helpers.synthetic.drawing.head import to_picture


class Chain(NamedTuple):
    """A chain seen through a box: signed `distance` (h, w) in local units, unit `normal` (3, h, w) in picture axes,
    `along` (h, w) the length from the first joint and `across` (h, w) in [-1, 1] the place between the edges."""

    distance: NDArray
    normal: NDArray
    along: NDArray
    across: NDArray

    def coverage(self, view: View) -> NDArray:
        """Anti-aliased coverage (h, w) in [0, 1]."""
        return np.clip(0.5 - self.distance * np.float32(view.scale), 0, 1)


def chain(view: View, box: Box, joints: NDArray, radii: Sequence[float] | NDArray) -> Chain:
    """The union of the tapered capsules between consecutive `joints` (N, 2) of `radii` (N,), local units."""
    u, v = view.coordinates(box)
    best: Any = None
    passed = 0.0
    for start, end, thick, thin in zip(joints[:-1], joints[1:], radii[:-1], radii[1:]):
        axis = np.asarray(end, np.float32) - np.asarray(start, np.float32)
        length = float(np.hypot(*axis)) + 1e-6
        place = ((u - start[0]) * axis[0] + (v - start[1]) * axis[1]) / length
        share = np.clip(place / length, 0, 1)
        dx, dy = u - start[0] - share * axis[0], v - start[1] - share * axis[1]
        radius = np.float32(thick) + np.float32(thin - thick) * share
        distance = np.sqrt(dx * dx + dy * dy) - radius
        across = ((v - start[1]) * axis[0] - (u - start[0]) * axis[1]) / (length * radius)
        fields = np.stack([distance, dx / radius, dy / radius, passed + place, across])
        best = fields if best is None else np.where(distance < best[0], fields, best)
        passed += length
    distance, x, y, along, across = best
    flat = np.minimum(x * x + y * y, 0.98)
    fit = np.sqrt(flat / np.maximum(x * x + y * y, 1e-6))
    normal = to_picture(np.stack([x * fit, y * fit, np.sqrt(1 - flat)]), view)
    return Chain(distance, normal, along, np.clip(across, -1, 1))


class Arm(NamedTuple):
    """Shoulder, elbow and wrist (3, 2) in body coordinates, and what the hand does."""

    joints: NDArray
    hand: str
    """relaxed, open, fist or hidden."""
    before_head: bool
    behind: bool
    growth: float
    """Enlargement of the hand against the shoulder: 1, and more if the arm reaches towards the camera."""


def arm(pose: str, side: float, body: Body, rng: Generator) -> Arm:
    """An `Arm` in one of the `poses` named here on `side` (-1 left of the picture, 1 right)."""
    shoulder = body.shoulder_joint(side)
    edge = body.shoulder
    n = rng.uniform
    poses = {
        "hanging": ((edge + n(-0.12, 0.15), 3.0), (edge + n(-0.4, 0.2), 5.1), "relaxed"),
        "pocket": ((edge + n(0.35, 0.7), 2.9), (body.hip + n(-0.1, 0.1), 4.7), "hidden"),
        "hip": ((edge + n(0.7, 1.1), 2.6), (body.waist + n(0.1, 0.25), 3.55), "fist"),
        "crossed": ((edge + n(-0.05, 0.2), 2.75), (-n(0.35, 0.75), 2.2 + 0.35 * side), "fist"),
        "front": ((edge + n(0.0, 0.3), 2.85), (n(-0.1, 0.45), n(2.2, 4.2)), str(rng.choice(["fist", "relaxed"]))),
        "chin": ((edge - n(0.1, 0.4), 2.1), (n(0.3, 0.55), n(-0.05, 0.25)), str(rng.choice(["fist", "open"]))),
        "hair": ((edge + n(0.5, 1.1), n(-0.9, 0.2)), (n(0.75, 1.0), n(-2.4, -1.5)), "open"),
        "selfie": ((edge + n(0.3, 0.8), n(1.0, 1.8)), (edge + n(1.2, 2.2), n(-0.4, 1.6)), "fist"),
        "wave": ((edge + n(0.5, 0.9), 1.8), (edge + n(0.5, 1.1), n(-1.2, -0.2)), "open"),
        "back": ((edge + n(0.2, 0.5), 2.8), (n(0.3, 0.7), 3.9), "hidden"),
    }
    elbow, wrist, hand = poses[pose]
    joints = np.array(
        [
            shoulder,
            (side * elbow[0] * np.cos(body.yaw) ** 0.5, elbow[1]),
            (side * wrist[0] + body.middle * 0.5, wrist[1]),
        ],
        np.float32,
    )
    before_head = pose in ("chin", "hair", "wave", "selfie")
    return Arm(joints, hand, before_head, pose == "back", 1.9 if pose == "selfie" else 1.0)


def hand_chains(
    wrist: NDArray, heading: NDArray, size: float, hand: str, side: float
) -> list[tuple[list[NDArray], list[float]]]:
    """Capsules of a hand: a list of (joints, radii) from the palm to the thumb.

    It starts at `wrist` (2,) and points along `heading` (2,); `size` is the length of the palm; `side` places the
    thumb.
    """
    forward = np.asarray(heading, np.float32) / (np.hypot(*heading) + 1e-6)
    right = np.array([-forward[1], forward[0]], np.float32)
    knuckles = wrist + forward * size * 0.85
    palm = [wrist - forward * 0.1 * size, wrist + forward * 0.55 * size, knuckles]
    chains = [(palm, [0.3 * size, 0.42 * size, 0.44 * size])]
    reach, spread = {"open": (0.85, 0.5), "relaxed": (0.62, 0.16), "fist": (0.22, 0.05)}[hand]
    for finger, length in zip((-1.5, -0.5, 0.5, 1.5), (0.78, 1.0, 0.97, 0.85)):
        root = knuckles + right * finger * 0.235 * size - forward * 0.05 * size
        aim = forward + right * finger * spread * 0.35
        middle, tip = root + aim * reach * length * 0.5 * size, root + aim * reach * length * size
        if hand == "relaxed":
            tip = tip - right * side * 0.12 * size
        chains.append(([root, middle, tip], [0.13 * size, 0.125 * size, 0.1 * size]))
    out = -side * right
    root = wrist + forward * 0.25 * size + out * 0.3 * size
    bend = root + (forward * 0.4 + out * (0.32 if hand != "fist" else 0.05)) * size
    chains.append(([root, bend, bend + forward * 0.3 * size], [0.17 * size, 0.14 * size, 0.11 * size]))
    return chains
