"""The validation table of a weight file: photos of several kinds, and places where nobody is.

    python -m helpers.experiments.validation WEIGHTS --data selfies=DIR --data people=DIR --strong ccp=DIR --empty DIR

A checkpoint is better only if no row falls. Alphas are those of `load_matter(WEIGHTS).alpha`, at the photo's own size.
"""

import argparse
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helpers.cutout import Matter, load_matter
from helpers.datasets.layouts import backgrounds_in, find_splits
from helpers.datasets.pairs import Pair, read_pair
from helpers.datasets.splits import VALIDATED, lines_left_out, rank_of
from helpers.files.arguments import path
from helpers.files.photos import read_photo
from helpers.metrics.errors import alpha_errors
from helpers.samples.strong_augment import strong_transform
from helpers.startup import begin

STRONG_SIZE = 320
"""Side in pixels of a strong crop."""

VISITS = 2
"""How often each photo is shown under the strong augmentation."""

FOREGROUND = 0.01
"""Mean alpha above which a picture with nobody counts as one with foreground."""


class Row(NamedTuple):
    """Means over the pictures of one kind; `worst` is the mean IoU of the worst tenth of them."""

    name: str
    count: int  # type: ignore[assignment]  # hides a tuple's method that nobody calls
    iou: float
    worst: float
    mad: float
    band: float


def row_of(name: str, matter: Matter, samples: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]]) -> Row:
    """The `Row` of an iterable of photos (H, W, 3) uint8 and their alphas (H, W) uint8."""
    errors = np.array([alpha_errors(matter.alpha(photo), alpha / 255.0) for photo, alpha in samples])
    ious = np.sort(errors[:, 0])
    worst = ious[: max(1, round(len(ious) / 10))].mean()
    return Row(name, len(errors), ious.mean(), worst, errors[:, 1].mean(), float(np.nanmean(errors[:, 2])))


def held_out(folder: str | Path) -> list[Pair]:
    """The test pairs of a data set, or its validation pairs where it has no others; exact alphas where it has them.

    Raises FileNotFoundError where it has neither.
    """
    splits = find_splits(folder, "mattes")
    if not any(found.pairs for found in splits.values()):
        splits = find_splits(folder)
    for split in ("test", "val"):
        if split in splits and splits[split].pairs:
            return splits[split].pairs
    there = "; ".join(lines_left_out(splits)) or ", ".join(splits)
    raise FileNotFoundError(f"{folder}: no photo with a ground truth is kept out of training there ({there}); add some")


def strong_crops(pairs: Sequence[Pair]) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Each pair `VISITS` times under the strong augmentation without its wide framings, always the same."""
    transform = strong_transform(STRONG_SIZE, wide=0)
    for index, pair in enumerate(pairs):
        photo, alpha = read_pair(pair)
        for visit in range(VISITS):
            numbers = np.random.default_rng((0, visit, index))
            transform.set_random_state(numbers, random.Random(int(numbers.integers(2**63))))
            changed = transform(image=photo, mask=alpha)
            yield changed["image"], changed["mask"]


def empty_places(folder: str | Path) -> list[Path]:
    """The photos of places in `folder` that training keeps back (`helpers.samples.mixing`).

    Raises FileNotFoundError if there are none.
    """
    paths = backgrounds_in(folder)
    kept = [path for path in paths if rank_of(path.stem) < VALIDATED]
    if not kept:
        raise FileNotFoundError(f"{folder}: of the {len(paths)} places none is kept out of training; add some")
    return kept


def empty_means(matter: Matter, places: Iterable[Path]) -> NDArray[np.float64]:
    """The mean alpha of each of the photos of places with nobody: (N,)."""
    return np.array([matter.alpha(read_photo(path)).mean() for path in places])


def _named(text):
    name, separator, folder = text.partition("=")
    if not separator or not folder or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: expected NAME=DIR with a folder that is there")
    return name, folder


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns the exit code."""
    begin()
    parser = argparse.ArgumentParser(
        prog="python -m helpers.experiments.validation", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("weights", type=path, help="any file that load_matter takes")
    parser.add_argument("--data", type=_named, action="append", default=[], metavar="NAME=DIR", help="a data set")
    parser.add_argument("--strong", type=_named, action="append", default=[], metavar="NAME=DIR",
                        help="a data set to be shown under the strong augmentation")  # fmt: skip
    parser.add_argument("--empty", type=path, metavar="DIR", help="places without people")
    parser.add_argument("--size", type=int, metavar="PIXELS", help="side of the input; default: what it was trained at")
    options = parser.parse_args(arguments)
    if not (options.data or options.strong or options.empty):
        parser.error("nothing to validate on; name data sets by --data, or places by --empty")
    try:
        matter = load_matter(options.weights, "cpu", options.size)
        rows = [row_of(name, matter, map(read_pair, held_out(folder))) for name, folder in options.data]
        rows += [
            row_of(f"{name}, strong crops", matter, strong_crops(held_out(folder))) for name, folder in options.strong
        ]
        if rows:
            print("| photos | count | IoU | worst tenth | MAD | MAD in the band |\n|---|---|---|---|---|---|")
            for row in rows:
                print(
                    f"| {row.name} | {row.count} | {row.iou:.4f} | {row.worst:.3f} | {row.mad:.4f} | {row.band:.4f} |"
                )
            print(f"mean IoU of the rows: {np.mean([row.iou for row in rows]):.4f}")
        if options.empty:
            means = empty_means(matter, empty_places(options.empty))
            print(f"{len(means)} places with nobody: mean alpha {means.mean():.4f}, "
                  f"more than 1 % foreground in {(means > FOREGROUND).mean():.1%}")  # fmt: skip
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
