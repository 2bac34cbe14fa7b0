"""Finding portraits and their ground truths in the layouts that real data sets have (`helpers.datasets.layout_table`).

Photos and ground truths are paired by file name. No picture is opened, so 100,000 files take seconds.
"""

import os
import re
import warnings
from collections.abc import Iterable
from pathlib import Path

from helpers.datasets.ground_truth import CLASSES
from helpers.datasets.layout_table import LAYOUTS, Layout, category_of, easyportrait
from helpers.datasets.manifests import MANIFEST, manifest_of, read_manifest
from helpers.datasets.pairs import Pair
from helpers.datasets.splits import SPLITS, Found, users_of, with_validation
from helpers.files.folders import composed, folder_of, in_words, is_photo, no_photos, walk
from helpers.files.text import read_text, shown

__all__ = [
    "CLASSES",
    "LAYOUTS",
    "backgrounds_in",
    "find_pairs",
    "find_splits",
    "recognise",
    "splits_in",
]

OPAQUE = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm")  # no alpha channel
Tree = dict[str, tuple[Path, list[str]]]

WORDS = {"tr": "train", "va": "val", "te": "test"}  # by the first letters of what a folder is called


def recognise(folder: Path | str) -> str:
    """The name of the layout a folder has, one of `LAYOUTS`.

    Raises FileNotFoundError that lists the known ones if it has none of them, and ValueError if it has several.
    """
    return _recognise(folder, _tree(folder))


def find_splits(folder: Path | str, truth: str = "annotations", layout: str | None = None) -> dict[str, Found]:
    """The files of every split of a data set.

    Parameters
    ----------
    folder : path
        The folder of the data set.
    truth : str
        "mattes" takes the exact alphas of the synthetic data set. Other layouts have one kind of ground truth.
    layout : str, optional
        One of `LAYOUTS`. By default, the layout is recognised.

    Returns
    -------
    dict of str to Found
        In the order of `SPLITS`. Splits without any file are left out.

    Raises
    ------
    ValueError
        The layout is unknown, the folder has several layouts, or a manifest is malformed.
    FileNotFoundError
        The folder is missing, has no known layout, or holds neither photos nor ground truths.

    Notes
    -----
    The sets of P3M-500 are benchmarks, so they are always the test split. A layout without a validation split gets one
    by `helpers.datasets.splits.with_validation`.
    """
    return _find(folder, truth, layout)[1]


def find_pairs(folder: Path | str, split: str, truth: str = "annotations", layout: str | None = None) -> list[Pair]:
    """The pairs of photo and ground truth of one split, sorted by the photos' paths.

    Files that belong to no pair are counted and named in one warning.

    Parameters
    ----------
    folder : Path or str
        The data set: a folder in one of `LAYOUTS`, or a manifest.
    split : str
        "train", "val" or "test".
    truth : str
        "annotations", or "mattes" for the exact alphas of the synthetic data set.
    layout : str, optional
        One of `LAYOUTS`; recognised by default.

    Returns
    -------
    list of Pair
        At least one.

    Raises
    ------
    FileNotFoundError
        The folder is missing or of no known layout, or the split has no pair. The message says what is there instead.
    ValueError
        The layout is unknown, the folder has several, or a manifest is malformed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("images/train/anna.jpg", "masks/train/anna.png", "images/val/ben.jpg", "masks/val/ben.png"):
    ...         path = Path(folder, name)
    ...         path.parent.mkdir(parents=True, exist_ok=True)
    ...         path.touch()
    ...     [pair] = find_pairs(folder, "train")
    >>> pair.image.name, pair.truth.name, pair.reading
    ('anna.jpg', 'anna.png', 'grey')
    """
    name, splits = _find(folder, truth, layout)
    found = splits.get(split, Found([], [], [], [], []))
    if not found.pairs:
        there = ", ".join(f"{other}: {len(splits[other].pairs)} pairs" for other in splits) or "nothing"
        raise FileNotFoundError(
            f"{folder}: no photo of the split {split!r} has a ground truth ({truth}) of the same name. Found: {there}. "
            + (f"Left out: {found.left_out()}. " if found.left_out() else "")
            + f"Expected the layout {name}: {LAYOUTS[name].tree}"
        )
    if found.left_out():
        warnings.warn(f"{folder}: left out of {split}: {found.left_out()}", stacklevel=2)
    return found.pairs


def splits_in(folder: Path | str, truth: str = "annotations", layout: str | None = None) -> list[str]:
    """The splits (of `SPLITS`) for which `find_pairs` finds pairs; none in a missing or unknown folder."""
    try:
        return [split for split, found in find_splits(folder, truth, layout).items() if found.pairs]
    except FileNotFoundError:
        return []


def backgrounds_in(folder: Path | str) -> list[Path]:
    """The pictures that cutouts can be put on, sorted: those in the folder's `backgrounds/`, and below it.

    In a folder with neither `backgrounds/` nor `cutouts/` nor a manifest they are all the pictures. Raises
    FileNotFoundError if there are none.
    """
    is_listed, folder = manifest_of(folder).is_file(), folder_of(folder)
    tree = _tree(folder)
    paths: Iterable[str] = [path for path in tree if _matched([LAYOUTS["cutouts"].beside], path)]
    if not paths and not is_listed and not any(_matched(LAYOUTS["cutouts"].photos, path) for path in tree):
        paths = tree
    files = sorted(tree[path][0] / name for path in paths for name in tree[path][1] if is_photo(name))
    if not files:
        raise FileNotFoundError(f"{no_photos(folder / 'backgrounds')}; or name their folder: ,backgrounds=DIR")
    return files


def _find(folder: Path | str, truth: str, layout: str | None) -> tuple[str, dict[str, Found]]:
    """The layout's name and {split: Found}."""
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; known are {', '.join(LAYOUTS)}")
    tree = _tree(folder)
    name = layout or _recognise(folder, tree)
    if name == "manifest":
        splits = read_manifest(manifest_of(folder))
    else:
        row = easyportrait(truth) if name == "easyportrait" else LAYOUTS[name]
        splits = with_validation(_pair_up(name, row, tree), users_of(folder))
    if not splits:
        raise FileNotFoundError(f"{folder}: nothing of the layout {name} there: {LAYOUTS[name].tree}")
    return name, splits


def _recognise(folder: Path | str, tree: Tree) -> str:
    if manifest_of(folder).is_file():
        return "manifest"
    pictures = [path for path, (_, names) in tree.items() if any(map(is_photo, names))]
    fitting = [name for name, layout in LAYOUTS.items() if _fits(layout, pictures, tree)]
    if len(fitting) > 1 and fitting[-1] == "pairs":
        fitting.pop()  # the most general layout
    if len(fitting) > 1:
        raise ValueError(
            f"{folder}: looks like {' and '.join(fitting)}; give the folder of one of them, or name the layout"
        )
    if not fitting:
        seen = ", ".join(map(shown, pictures[:5])) + (", …" if len(pictures) > 5 else "") or "no folder"
        others = in_words(place / name for place, names in tree.values() for name in names if not is_photo(name))
        known = "\n".join(f"  {name}: {layout.tree}" for name, layout in LAYOUTS.items())
        raise FileNotFoundError(
            f"{folder}: of no known layout; photos lie in {seen}{f', beside {others}' if others else ''}. "
            f"Unpack all archives of the data set into this folder, correct the path, arrange the files like one of "
            f"these, or list them in a {MANIFEST}:\n{known}"
        )
    return fitting[0]


def _fits(layout: Layout, pictures: list[str], tree: Tree) -> bool:
    """Whether there are folders with photos, with ground truths, and the other folder that marks the layout."""
    sides = (any(_matched(patterns, path) for path in pictures) for patterns in (layout.photos, layout.truths))
    return all(sides) and (not layout.beside or any(_matched([layout.beside], path) for path in tree))


def _tree(folder: Path | str) -> Tree:
    """{path: (place, names)} of a folder and all below: the path from the folder's own name on, and its files' names.

    Hidden ones are left out, see `helpers.files.folders`. Below a file, such as a manifest, there is nothing.
    """
    root = Path(folder)
    tree: Tree = {}
    if root.is_file():
        return tree
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; unpack the data set into it, or correct the path")
    for place, names in walk(root):
        tree["/".join([root.resolve().name or "drive", *place.relative_to(root).parts])] = place, names
    return tree


def _matched(patterns: list[str], path: str) -> tuple[int, dict[str, str]] | None:
    """The position of the first pattern that the whole path matches, and its named groups; None if there is none."""
    for position, pattern in enumerate(patterns):
        if match := re.fullmatch(pattern, composed(path), re.IGNORECASE | re.DOTALL):
            return position, match.groupdict()
    return None


def _pair_up(name: str, layout: Layout, tree: Tree) -> dict[str, Found]:
    """{split: Found} of a tree."""
    listed = _listed_splits(tree) if name == "people" else {}
    files: dict[
        tuple, tuple[list, list]
    ] = {}  # (split, named groups, stem) → photos, truths: [(position of the pattern, path)]
    for path, (place, names) in tree.items():
        for side, patterns in enumerate((layout.photos, layout.truths)):
            if matched := _matched(patterns, path):
                position, groups = matched
                split = WORDS[(groups.pop("split", None) or ("test" if "benchmark" in groups else "train"))[:2].lower()]
                needs_alpha = side and layout.reading == "opacity"
                named = tuple(sorted(groups.items()))
                for file in names:
                    stem, extension = os.path.splitext(file)
                    stem = composed(stem)
                    if is_photo(file) and not (needs_alpha and extension.lower() in OPAQUE):
                        key = listed.get(stem, split), named, stem
                        files.setdefault(key, ([], []))[side].append((position, place / file))
    splits: dict[str, Found] = {}
    for (split, groups, stem), sides in files.items():
        photos, truths = ([path for position, path in side if position == min(side)[0]] for side in sides)
        found = splits.setdefault(split, Found([], [], [], [], []))
        if len(photos) > 1 or len(truths) > 1:
            found.ambiguous.extend(dict.fromkeys(photos + truths))
        elif photos and truths:
            found.pairs.append(Pair(photos[0], truths[0], layout.reading, category_of(name, dict(groups), stem)))
        else:
            (found.photos_alone if photos else found.truths_alone).extend(photos + truths)
    return {split: found.in_order() for split, found in splits.items()}


def _listed_splits(tree: Tree) -> dict[str, str]:
    """{stem: split} by the lines of segmentation/{train,val,test}.txt."""
    splits = {}
    for path, (place, names) in tree.items():
        if _matched([LAYOUTS["people"].beside], path):
            for split in SPLITS:
                if f"{split}.txt" in names:
                    for line in read_text(place / f"{split}.txt").splitlines():
                        name = composed(line.strip().rpartition("/")[2])
                        splits[os.path.splitext(name)[0] if is_photo(name) else name] = split
    return splits
