"""Why a portrait is hard to cut out: four measures of photo and ground truth, and the errors grouped by them."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

TRAITS = ("framing", "hair", "similar colours", "loose parts")
"""The measures of `traits`. A larger value is expected to be harder."""

BAND = 15
"""Width in pixels of the bands inside and outside the edge whose colours are compared, in a picture of `SIDE`."""

SIDE = 256
HARDEST = 0.25
"""The share of portraits that counts as the hardest by a trait."""


def traits(photo: NDArray[np.uint8], true: NDArray) -> dict[str, float]:
    """The `TRAITS` of a photo (H, W, 3) uint8 RGB with the alpha `true` (H, W) in [0, 1].

    `framing`          how far the person's share of the picture is from a half, 0 to 0.5: a far figure or a close-up
    `hair`             half-transparent pixels (alpha .05 to .95) for each pixel of the person
    `similar colours`  minus the distance in Lab between the colours inside and outside the edge, averaged along it
    `loose parts`      the share of the person's pixels that do not belong to the largest connected part
    """
    scale = SIDE / max(true.shape)
    size = tuple(max(1, round(side * scale)) for side in true.shape[::-1])
    small = cv2.resize(true.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    colours = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    person = small >= 0.5
    area = max(int(person.sum()), 1)
    parts = cv2.connectedComponentsWithStats(person.astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return {
        "framing": abs(float(person.mean()) - 0.5),
        "hair": float(((small > 0.05) & (small < 0.95)).sum() / area),
        "similar colours": -_contrast(colours, person),
        "loose parts": float(1 - parts.max() / parts.sum()) if len(parts) else 0.0,
    }


def _contrast(photo, person):
    """Mean distance in Lab between the colours on both sides of the person's edge; 0 without an edge."""
    lab = cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    means = []
    for side in (person, ~person):
        weight = cv2.blur(side.astype(np.float32), (BAND, BAND))
        colour = cv2.blur(lab * side[..., None].astype(np.float32), (BAND, BAND))
        means.append((weight, colour / np.maximum(weight, 1e-6)[..., None]))
    edge = cv2.morphologyEx(person.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    edge &= (means[0][0] > 0) & (means[1][0] > 0)
    if not edge.any():
        return 0.0
    return float(np.linalg.norm(means[0][1] - means[1][1], axis=2)[edge].mean())


class Group(NamedTuple):
    """The portraits that are the hardest by one trait.

    Attributes:
        trait: one of `TRAITS`. members: their indices. mad: their mean error. rest: that of all other portraits; both
            NaN where nobody is in it.
    """

    trait: str
    members: list[int]
    mad: float
    rest: float


def group(rows: Sequence[dict[str, float]], mads: Sequence[float]) -> list[Group]:
    """For each trait the quarter of the portraits with the largest values, and the mean errors of both parts.

    `rows` are the `traits` of the portraits and `mads` their errors. A trait with the same value in all portraits has
    no members.
    """
    groups = []
    for trait in TRAITS:
        values = np.array([row[trait] for row in rows], float)
        limit = np.quantile(values, 1 - HARDEST) if len(values) else 0.0
        chosen = (values >= limit) & (values > values.min(initial=np.inf))
        mean = [float(np.mean(np.array(mads)[part])) if part.any() else float("nan") for part in (chosen, ~chosen)]
        groups.append(Group(trait, np.flatnonzero(chosen).tolist(), *mean))
    return groups


def group_table(groups: Sequence[Group]) -> str:
    """The groups as text, with the ratio of their error to that of the others."""
    lines = [f"{'hardest quarter by':20} portraits     MAD  others  ratio"]
    for trait, members, mad, rest in groups:
        numbers = f"{mad:7.4f} {rest:7.4f} {mad / rest:6.2f}" if members and rest else "     no such portrait"
        lines.append(f"{trait:20} {len(members):9} {numbers}")
    return "\n".join(lines)
