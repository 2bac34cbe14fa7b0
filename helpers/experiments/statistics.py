"""Differences between paired runs: their interval, their significance, and Holm's correction for several tests."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t


class Paired(NamedTuple):
    """Mean of paired differences, its 95 % interval, and the p value of no difference (both by Student's t)."""

    mean: float
    low: float
    high: float
    p: float


def paired(differences: Sequence[float]) -> Paired:
    """The `Paired` of differences, one for each seed. NaN, but p = 1, where there are too few to tell.

    A mean needs one difference, the interval and p need two.
    """
    count, nan = len(differences), float("nan")
    if count < 2:
        return Paired(differences[0] if count else nan, nan, nan, 1.0)
    mean, error = float(np.mean(differences)), float(np.std(differences, ddof=1)) / count**0.5
    margin = float(t.ppf(0.975, count - 1)) * error
    if error == 0:
        return Paired(mean, mean, mean, float(mean == 0))
    return Paired(mean, mean - margin, mean + margin, float(2 * t.sf(abs(mean) / error, count - 1)))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p values after Holm's correction, in the same order: an error of any of them has 5 % in all.

    The smallest is multiplied by the number of tests n, the next by n − 1, and so on. None is smaller than one before
    it, and none is larger than 1 (Holm, "A simple sequentially rejective multiple test procedure", 1979).
    """
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected
