"""The pictures on which the notebook measures a network: test portraits, and real photos as a check for harm."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from helpers.datasets.layouts import find_splits
from helpers.datasets.pairs import Pair, read_pair
from helpers.metrics.outlines import outlined_portraits

HARMLESS = 0.005
"""Growth of the mean absolute error on real photos that is not yet harm: half a percent of the alpha's range."""

HELD_OUT = 12
"""Photos of each real data set: enough to notice harm, few enough for a minute on a CPU."""

BESIDE = Path(__file__).parents[2].parent / "shared" / "data"
"""Folders of real data sets, used if `PORTRAIT_REAL` names none."""

GREY = 128
"""The colour behind a cutout, which has no background of its own."""


class Examples(Sequence):
    """Photo (H, W, 3) uint8, alpha (H, W) in [0, 1] and its known pixels (None: all) of each pair.

    Each pair is read when it is used, so a large test split does not have to fit into memory.
    """

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self.pairs = list(pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: Any) -> tuple[NDArray, NDArray, None]:
        pair = self.pairs[index]
        photo, alpha = read_pair(pair)
        if pair.is_cutout:
            share = alpha[..., None] / 255
            photo = np.round(photo * share + GREY * (1 - share)).astype(np.uint8)
        return photo, alpha / 255, None


def outlined_examples() -> list[tuple]:
    """The two real portraits that come with the libraries, in the form of `Examples`; only their known pixels count."""
    return [(portrait.photo, portrait.true, portrait.known) for portrait in outlined_portraits()]


def real_folders() -> dict[str, Examples]:
    """{name of a folder: some of its held-out photos}, for the real data sets that are there.

    The variable `PORTRAIT_REAL` names folders, separated as in `PATH`; without it those in `BESIDE` are taken. A folder
    without held-out pairs is skipped.
    """
    named = os.environ.get("PORTRAIT_REAL")
    folders = map(Path, named.split(os.pathsep)) if named else sorted(BESIDE.glob("*")) if BESIDE.is_dir() else []
    found = {}
    for folder in folders:
        try:
            splits = find_splits(folder)
        except (ValueError, OSError) as error:
            if named:
                print(f"{folder} is passed over: {str(error).splitlines()[0]}")
            continue
        pairs: list[Pair] = next(
            (splits[split].pairs for split in ("test", "val") if split in splits and splits[split].pairs), []
        )
        if pairs:
            found[folder.name] = Examples(pairs[:: max(1, len(pairs) // HELD_OUT)][:HELD_OUT])
    return found
