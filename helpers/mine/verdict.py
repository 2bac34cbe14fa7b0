"""What the report concludes: is the new network better, and would more photos help?"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helpers.mine.measure import FEWEST, Gain, gain
from helpers.mine.words import counted


class Measured(NamedTuple):
    """Errors (N, 3) on the photos kept out, of the old network and of those trained on half and on all photos.

    `mattes` are the small ones of the first and the last, pair by pair.
    """

    before: NDArray[np.float64]
    half: NDArray[np.float64]
    after: NDArray[np.float64]
    mattes: list[tuple[NDArray[np.uint8], NDArray[np.uint8]]]

    @property
    def gained(self) -> Gain:
        return gain(self.before, self.after)

    @property
    def doubled(self) -> Gain:
        """How much better training on all photos is than on half of them."""
        return gain(self.half, self.after)


class Verdict(NamedTuple):
    """What the report concludes: whether the new network is kept, and sentences that say why and what would help."""

    is_better: bool
    better: str
    more: str


def verdict_of(measured: Measured, kinds: dict[str, tuple[int, int, float]]) -> Verdict:
    """The verdict; `kinds` as of `kinds_of`. Sure is what holds in `LEVEL` per cent of the resamplings."""
    gained, doubled, count = measured.gained, measured.doubled, len(measured.before)
    if count < FEWEST:
        return Verdict(
            False,
            f"{counted(count)} kept out: too few to tell whether the new network is better. The old one is kept. At "
            f"least {FEWEST} are needed: correct or confirm more of the photos that are kept out. If none of them "
            "waits, add photos to the folder and look at it again.",
            "Whether more photos to train on would help cannot be told either.",
        )
    if gained.is_better:
        better = (
            f"The new network is better on the {count} photos kept out: IoU {gained.iou.mean:+.4f}, "
            f"MAD {-gained.mad.mean:+.4f}."
        )
    elif gained.is_worse:
        better = f"The new network is worse on the {count} photos kept out. The old one is kept."
    else:
        better = (
            f"Nothing was gained that {count} photos kept out can show: the difference in IoU lies between "
            f"{gained.iou.low:+.4f} and {gained.iou.high:+.4f}. The old network is kept."
        )
    if doubled.iou.low > 0 or doubled.mad.low > 0:
        more = (
            "More photos would help: with all of them instead of half, in as many steps, IoU changed by "
            f"{doubled.iou.mean:+.4f} and MAD by {-doubled.mad.mean:+.4f}. Twice as many again may bring up to as much."
        )
    else:
        more = (
            "More photos of the same kinds are not shown to help: between half of them and all, IoU changed by "
            f"{doubled.iou.mean:+.4f} ({doubled.iou.low:+.4f} to {doubled.iou.high:+.4f})."
        )
    if missing := _missing(kinds):
        more += f" The kind that is missing most: {missing}."
    return Verdict(gained.is_better, better, more)


def _missing(kinds: dict[str, tuple[int, int, float]]) -> str:
    """The kind with the lowest IoU, if that is clearly below the others'; "" if there is none."""
    if len(kinds) < 2:
        return ""
    ranked = sorted(kinds.items(), key=lambda item: item[1][2])
    (kind, (trained, _, iou)), others = ranked[0], [row[2] for _, row in ranked[1:]]
    return f"{kind} (IoU {iou:.3f}, {trained} trained on)" if np.mean(others) - iou > 0.02 else ""
