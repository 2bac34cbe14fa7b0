"""Finding portraits and their truths in the layouts that real data sets come in, by `helpers.datasets.layout_table`.

Photos and truths are paired by file name. No picture is opened, so 100,000 files take seconds.
"""

import os
import re
import warnings
from pathlib import Path

from helpers.datasets.ground_truth import CLASSES
from helpers.datasets.layout_table import LAYOUTS, category_of, easyportrait
from helpers.datasets.manifests import MANIFEST, read_manifest
from helpers.datasets.pairs import Pair
from helpers.datasets.splits import SPLITS, Found, users_of, with_validation
from helpers.files.folders import composed, in_words, is_photo, no_photos, walk
from helpers.files.text import read_text

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
WORDS = {"tr": "train", "va": "val", "te": "test"}  # by the first letters of what a folder is called


def recognise(folder):
    """The name of the layout a folder has, one of `LAYOUTS`.

    Raises FileNotFoundError that lists the known ones if it has none of them, and ValueError if it has several.
    """
    return _recognise(folder, _tree(folder))


def find_splits(folder, truth="annotations", layout=None):
    """{split: `Found`} of a data set, in the order of `SPLITS`; only splits of which there is anything.

    `truth="mattes"` takes the exact alphas of the made data set; in all other layouts there is one kind of truth, and
    that is taken. `layout` names one of `LAYOUTS` instead of recognising it. The sets of P3M-500 are benchmarks and
    always the test split. A layout without a validation split gets one by `helpers.datasets.splits.with_validation`.
    Raises ValueError for an unknown layout, a folder with several and a malformed manifest, and FileNotFoundError if
    the folder is missing, of no known layout or without any photo or truth.
    """
    return _find(folder, truth, layout)[1]


def find_pairs(folder, split, truth="annotations", layout=None):
    """The pairs of one split, sorted; arguments and errors as in `find_splits`.

    Files that were left out are counted and named in one warning. Raises FileNotFoundError if there is no pair at all.
    """
    name, splits = _find(folder, truth, layout)
    found = splits.get(split, Found([], [], [], []))
    if not found.pairs:
        there = ", ".join(f"{other}: {len(splits[other].pairs)} pairs" for other in splits) or "nothing"
        raise FileNotFoundError(
            f"{folder}: no photo of the split {split!r} has a truth ({truth}) of the same name. Found: {there}. "
            + (f"Left out: {found.left_out()}. " if found.left_out() else "")
            + f"Expected the layout {name}: {LAYOUTS[name].tree}"
        )
    if found.left_out():
        warnings.warn(f"{folder}: left out of {split}: {found.left_out()}", stacklevel=2)
    return found.pairs


def splits_in(folder, truth="annotations", layout=None):
    """The splits (of `SPLITS`) for which `find_pairs` finds pairs; none in a missing or unknown folder."""
    try:
        return [split for split, found in find_splits(folder, truth, layout).items() if found.pairs]
    except FileNotFoundError:
        return []


def backgrounds_in(folder):
    """The pictures that cutouts can be put on, sorted: those in the folder's `backgrounds/`, and below it.

    In a folder with neither `backgrounds/` nor `cutouts/` they are all the pictures. Raises FileNotFoundError if there
    are none.
    """
    tree = _tree(folder)
    paths = [path for path in tree if _matched([LAYOUTS["cutouts"].beside], path)]
    if not paths and not any(_matched(LAYOUTS["cutouts"].photos, path) for path in tree):
        paths = tree
    files = sorted(tree[path][0] / name for path in paths for name in tree[path][1] if is_photo(name))
    if not files:
        raise FileNotFoundError(no_photos(Path(folder) / "backgrounds"))
    return files


def _find(folder, truth, layout):
    """The layout's name and {split: Found}."""
    if layout is not None and layout not in LAYOUTS:
        raise ValueError(f"unknown layout {layout!r}; known are {', '.join(LAYOUTS)}")
    tree = _tree(folder)
    name = layout or _recognise(folder, tree)
    if name == "manifest":
        splits = read_manifest(folder if Path(folder).is_file() else Path(folder) / MANIFEST)
    else:
        row = easyportrait(truth) if name == "easyportrait" else LAYOUTS[name]
        splits = with_validation(_pair_up(name, row, tree), users_of(folder))
    if not splits:
        raise FileNotFoundError(f"{folder}: nothing of the layout {name} there: {LAYOUTS[name].tree}")
    return name, splits


def _recognise(folder, tree):
    if Path(folder).is_file() or (Path(folder) / MANIFEST).is_file():
        return "manifest"
    pictures = [path for path, (_, names) in tree.items() if any(map(is_photo, names))]
    fitting = [name for name, layout in LAYOUTS.items() if _fits(layout, pictures, tree)]
    if len(fitting) > 1 and fitting[-1] == "pairs":
        fitting.pop()  # the most general one
    if len(fitting) > 1:
        raise ValueError(
            f"{folder}: looks like {' and '.join(fitting)}; give the folder of one of them, or name the layout"
        )
    if not fitting:
        seen = ", ".join(pictures[:5]) + (", …" if len(pictures) > 5 else "") or "no folder"
        others = in_words(place / name for place, names in tree.values() for name in names if not is_photo(name))
        known = "\n".join(f"  {name}: {layout.tree}" for name, layout in LAYOUTS.items())
        raise FileNotFoundError(
            f"{folder}: of no known layout; pictures lie in {seen}{f', beside {others}' if others else ''}. Unpack all archives of the data set into this "
            f"folder, correct the path, arrange the files like one of these, or list them in a {MANIFEST}:\n{known}"
        )
    return fitting[0]


def _fits(layout, pictures, tree):
    """Whether there are folders with photos, with truths, and the one by which the layout is known."""
    sides = (any(_matched(patterns, path) for path in pictures) for patterns in (layout.photos, layout.truths))
    return all(sides) and (not layout.beside or any(_matched([layout.beside], path) for path in tree))


def _tree(folder):
    """{path: (place, names)} of a folder and all below: the path from the folder's own name on, and its files' names.

    Hidden ones are left out, see `helpers.files.folders`. Below a file, such as a manifest, there is nothing.
    """
    root, tree = Path(folder), {}
    if root.is_file():
        return tree
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; unpack the data set into it, or correct the path")
    for place, names in walk(root):
        tree["/".join([root.resolve().name, *place.relative_to(root).parts])] = place, names
    return tree


def _matched(patterns, path):
    """The position of the first pattern that the whole path matches, and its named groups; None if there is none."""
    for position, pattern in enumerate(patterns):
        if match := re.fullmatch(pattern, composed(path), re.IGNORECASE):
            return position, match.groupdict()
    return None


def _pair_up(name, layout, tree):
    """{split: Found} of a tree."""
    listed = _listed_splits(tree) if name == "people" else {}
    files = {}  # (split, named groups, stem) → photos, truths: [(position of the pattern, path)]
    for path, (place, names) in tree.items():
        for side, patterns in enumerate((layout.photos, layout.truths)):
            if matched := _matched(patterns, path):
                position, groups = matched
                split = WORDS[(groups.pop("split", None) or ("test" if "benchmark" in groups else "train"))[:2].lower()]
                needs_alpha = side and layout.reading == "opacity"
                groups = tuple(sorted(groups.items()))
                for file in names:
                    stem, extension = os.path.splitext(file)
                    stem = composed(stem)
                    if is_photo(file) and not (needs_alpha and extension.lower() in OPAQUE):
                        key = listed.get(stem, split), groups, stem
                        files.setdefault(key, ([], []))[side].append((position, place / file))
    splits = {}
    for (split, groups, stem), sides in files.items():
        photos, truths = ([path for position, path in side if position == min(side)[0]] for side in sides)
        found = splits.setdefault(split, Found([], [], [], []))
        if len(photos) > 1 or len(truths) > 1:
            found.ambiguous.extend(dict.fromkeys(photos + truths))
        elif photos and truths:
            found.pairs.append(Pair(photos[0], truths[0], layout.reading, category_of(name, dict(groups), stem)))
        else:
            (found.photos_alone if photos else found.truths_alone).extend(photos + truths)
    return {split: Found(*map(sorted, found)) for split, found in splits.items()}


def _listed_splits(tree):
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
