"""How good a network is on the photos that were kept out, and how much two of them differ, with intervals."""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from helpers.cutout import Matter
from helpers.datasets.pairs import Pair, read_pair
from helpers.metrics.errors import alpha_errors

DRAWS = 2000
"""Resamplings of the photos from which an interval is taken."""

FEWEST = 6
"""Photos from which on a difference can be told from chance. That six of six change in the same direction happens by
chance once in 32 times (the sign test). Five of five do so once in 16 times: more often than `LEVEL` allows."""

LEVEL = 95
"""Per cent of the resamplings that an interval holds."""

SEEN = 320
"""Longer side in pixels of the mattes that are kept to be shown."""

FIGURES = ("iou", "mad", "band")


class Interval(NamedTuple):
    """A mean over photos, and the bounds in which it lies when they are resampled; infinite if there are too few."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        bounds = f" ({self.low:.4f} to {self.high:.4f})"
        return f"{self.mean:.4f}" + (bounds if np.isfinite(self.low) else "")


def errors_on(matter: Matter, pairs: list[Pair]) -> tuple[NDArray[np.float64], list[NDArray[np.uint8]]]:
    """IoU, MAD and MAD in the transition band of each pair: (N, 3); and its mattes made small, `SEEN` pixels at most.

    The last figure is NaN where the truth has no edge.
    """
    errors, mattes = [], []
    for photo, true in map(read_pair, tqdm(pairs, desc="measuring", unit="photo", mininterval=1)):
        alpha = matter.alpha(photo)
        errors.append(alpha_errors(alpha, true / 255.0))
        mattes.append(shrunk((alpha * 255).round().astype(np.uint8), SEEN))
    return np.array(errors), mattes


def shrunk(picture: NDArray, longest: int) -> NDArray:
    """A picture (H, W) or (H, W, 3) whose longer side has at most `longest` pixels, by area averages."""
    scale = min(1, longest / max(picture.shape[:2]))
    size = [max(1, round(side * scale)) for side in picture.shape[1::-1]]
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)


def interval(values: NDArray[np.float64], seed: int = 0) -> Interval:
    """The mean of values (N,) with its interval by resampling them (Efron's percentile bootstrap); NaN are left out.

    Resampling says nothing about fewer than `FEWEST` values: the interval of one would have no width.
    """
    values = values[~np.isnan(values)]
    if len(values) < FEWEST:
        return Interval(float(values.mean()) if len(values) else float("nan"), float("-inf"), float("inf"))
    draws = np.random.default_rng(seed).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.percentile(values[draws].mean(1), [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high))


class Gain(NamedTuple):
    """How much better one network is than another on the same photos, as intervals of the mean: above 0 is better."""

    iou: Interval
    mad: Interval
    band: Interval

    @property
    def is_better(self) -> bool:
        """Whether IoU or MAD is surely better, and neither surely worse."""
        return (self.iou.low > 0 or self.mad.low > 0) and not self.is_worse

    @property
    def is_worse(self) -> bool:
        return self.iou.high < 0 or self.mad.high < 0


def gain(before: NDArray[np.float64], after: NDArray[np.float64]) -> Gain:
    """How much better `after` is than `before`, both (N, 3) as of `errors_on` on the same photos."""
    better = (after - before) * np.array([1, -1, -1])
    return Gain(*(interval(better[:, column]) for column in range(3)))
