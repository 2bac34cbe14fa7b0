"""The people of masked data sets, cut out, so that `helpers.samples.composites` can put them on other backgrounds.

    python -m helpers.samples.cutouts OUT --data DIR [--data DIR …]

writes `OUT/cutouts/train/*.png` and `OUT/cutouts/val/*.png`, to be trained on as
`--data OUT,layout=cutouts,backgrounds=PLACES`, beside DIR itself or alone.
"""

import argparse
import sys
from collections.abc import Iterable
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from helpers.cutout.foreground import foreground_colours
from helpers.datasets.duplicates import same_photos
from helpers.datasets.ground_truth import summary
from helpers.datasets.layouts import find_splits
from helpers.datasets.pairs import Pair, read_remarked_pair
from helpers.files.arguments import not_empty, path
from helpers.files.atomic import whole_file
from helpers.files.text import fault_of, first_lines
from helpers.startup import begin

SOFTNESS = 0.9
"""Standard deviation in pixels by which a binary mask's edge is blurred, after one pixel was taken off it."""

SHARES = (0.02, 0.9)
"""Share of the picture that a person covers at least and at most."""

SCATTERED = 0.1
"""Share of the mask that may lie apart from its largest part."""

PINHOLES = 0.01
"""Share of the mask that small holes may have; a small hole is less than `PINHOLE` of the picture."""

PINHOLE = 0.002


def is_good(mask: NDArray) -> bool:
    """Whether a mask (H, W) uint8 shows one person as a whole: no scattered parts, no pinholes, not too little."""
    person = (mask > 127).astype(np.uint8)
    if not SHARES[0] <= person.mean() <= SHARES[1]:
        return False
    parts = cv2.connectedComponentsWithStats(person)[2][1:, cv2.CC_STAT_AREA]
    holes = cv2.connectedComponentsWithStats(1 - person, connectivity=4)[2][1:, cv2.CC_STAT_AREA]
    small = holes[holes < PINHOLE * person.size].sum()
    return bool(parts.max() >= (1 - SCATTERED) * person.sum() and small <= PINHOLES * person.sum())


def cutout_of(photo: NDArray, mask: NDArray) -> NDArray:
    """The cutout (H, W, 4) uint8 of a photo (H, W, 3) by a binary mask (H, W): a soft edge, no colour from behind."""
    inner = cv2.erode(mask, np.ones((3, 3), np.uint8))
    alpha = cv2.GaussianBlur(inner, (0, 0), SOFTNESS)
    return np.dstack([foreground_colours(photo, (alpha / 255).astype(np.float32)), alpha])


def pairs_to_cut(folder: str | Path) -> dict[str, list[Pair]]:
    """The pairs of a data set to train and to validate on: `{"train": […], "val": […]}`.

    A training pair whose photo is, byte for byte, a validation or test photo as well is left out.
    """
    found = find_splits(folder)
    pairs = {split: found[split].pairs if split in found else [] for split in ("train", "val", "test")}
    leaks = same_photos(pairs["train"], pairs["val"] + pairs["test"])
    return {"train": [pair for i, pair in enumerate(pairs["train"]) if i not in leaks], "val": pairs["val"]}


class Cutouts(NamedTuple):
    """What was done: how many people were cut out, of how many, and how many of them to validate on; a line for each
    pair that cannot be read; and the `Remark`s on the ground truths."""

    written: int
    seen: int
    validated: int
    failed: list[str]
    remarks: list[tuple[str, str]]


def write_cutouts(folders: Iterable[str | Path], out: str | Path) -> Cutouts:
    """Write the good cutouts of the training and validation pairs of all `folders`; returns `Cutouts`.

    Each stays in its split: so nobody is validated on who is trained on, as a cutout or as a photo. Skips what is
    there. Pictures of the same name get numbers, in the order of the data sets. Raises as `find_splits`.
    """
    written, seen, failed = {"train": 0, "val": 0}, 0, list[str]()
    remarks: list[tuple[str, str]] = []
    names: set[str] = set()
    for folder in map(Path, folders):
        pairs = [(split, pair) for split, found in pairs_to_cut(folder).items() for pair in found]
        for split, pair in tqdm(pairs, desc=folder.name, mininterval=1):
            seen += 1
            path = Path(out) / "cutouts" / split / f"{_free(f'{folder.resolve().name}-{pair.image.stem}', names)}.png"
            try:
                photo, mask, found = read_remarked_pair(pair)
            except Exception as error:  # a decoder may raise anything on a broken file
                failed.append(fault_of(pair.image, error))
                continue
            remarks += found
            if is_good(mask):
                written[split] += 1
                if not path.exists():
                    with whole_file(path) as temporary:
                        Image.fromarray(cutout_of(photo, mask)).save(temporary, "PNG")
    return Cutouts(sum(written.values()), seen, written["val"], failed, remarks)


def _free(name: str, names: set[str]) -> str:
    """The name, or the first of name-2, name-3, … that is not among `names` yet; it is added to them."""
    free = next(each for each in chain([name], (f"{name}-{i}" for i in count(2))) if each.casefold() not in names)
    names.add(free.casefold())
    return free


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code: 0, 1 if pairs could not be read, 2 if nothing could be done, 130 if
    interrupted."""
    begin()
    parser = argparse.ArgumentParser(
        prog="python -m helpers.samples.cutouts", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("out", type=path, help="where cutouts/ is written")
    parser.add_argument(
        "--data", type=not_empty, required=True, action="append", metavar="DIR", help="a data set with masks"
    )
    options = parser.parse_args(arguments)
    try:
        done = write_cutouts(options.data, options.out)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for line in summary(done.remarks):
        print(line, file=sys.stderr)
    if done.failed:
        print(
            "\n".join([f"cannot be read and left out: {len(done.failed)}", *first_lines(done.failed)]), file=sys.stderr
        )
    if done.written and not done.validated:
        print("none of them is of a validation photo: a tenth will be validated on, whose photos may be trained on "
              "where the data set itself is named beside them", file=sys.stderr)  # fmt: skip
    print(f"{done.written} of {done.seen} people cut out: {options.out}")
    return 1 if done.failed else 0


if __name__ == "__main__":
    sys.exit(main())
