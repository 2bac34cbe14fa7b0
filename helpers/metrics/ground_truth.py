"""The ground truths in a folder, and the names their predictions may have. Both are matched by name, never by order."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from helpers.datasets.layouts import find_splits, recognise
from helpers.datasets.pairs import Pair
from helpers.datasets.splits import Found
from helpers.files.folders import find_pictures, folder_of, parts_below, pictures_below

PLAIN = "plain folder"
"""The layout's name for a folder of ground truths in no known layout. Its sub-folders belong to it."""

_P3M_PHOTOS = ("original_image", "blurred_image")


class Truth(NamedTuple):
    """One ground truth.

    Attributes:
        pair: its file and reading; in a plain folder the ground truth also stands for the photo.
        names: the names its prediction may have, the likeliest first: paths below the folder, without suffix. Of
            `mask/a.png`, whose photo is `blurred_image/a.jpg`, they are `a`, `blurred_image/a` and `mask/a`.
        trimap: the file of the same name in `trimap/` beside the folder of the ground truths, if there is one.
    """

    pair: Pair
    names: tuple[str, ...]
    trimap: Path | None


class Truths(NamedTuple):
    """The ground truths of a folder, sorted; its layout in words; a line for each split with files left out."""

    layout: str
    truths: list[Truth]
    left_out: list[str]


def find_truths(folder: Path | str) -> Truths:
    """The `Truths` of a plain folder, or of all splits of one in a known layout (`helpers.datasets.layout_table`).

    A set of P3M-500 is known by its sub-folders even if it has another name. In EasyPortrait's layout `mattes/` count
    if they are there, otherwise the annotations. In a plain folder a sub-folder `trimap/` holds trimaps, all other
    pictures are ground truths.
    Raises FileNotFoundError if there is no such folder or no ground truth in it, and what
    `helpers.datasets.layouts.find_splits` raises.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder; correct the path of the ground truths")
    layout, splits = _layout_of(folder)
    if splits:
        pairs = [pair for found in splits.values() for pair in found.pairs]
        left_out = [f"left out of {split}: {found.left_out()}" for split, found in splits.items() if found.left_out()]
    else:
        pairs, left_out = _pairs_without_photos(folder), []
    if not pairs:
        why = "; ".join(left_out) or "no photo formats outside trimap/"
        raise FileNotFoundError(f"{folder}: no ground truths there ({layout}): {why}")
    root = folder_of(folder)
    trimaps = _trimaps(root)
    truths = [Truth(pair, _names(pair, root), trimaps.get(_trimap(pair, root))) for pair in sorted(pairs)]
    owners = Counter(name for truth in truths for name in truth.names)
    truths = [truth._replace(names=tuple(name for name in truth.names if owners[name] == 1)) for truth in truths]
    return Truths(layout, truths, left_out)


def _layout_of(folder: Path) -> tuple[str, dict[str, Found]]:
    """The layout in words, and its splits; none of a plain folder."""
    try:
        layout = recognise(folder)
    except FileNotFoundError:
        return PLAIN, {}
    if layout != "easyportrait":
        return layout, find_splits(folder, layout=layout)
    for truth in ("mattes", "annotations"):
        splits = find_splits(folder, truth, layout)
        if any(found.pairs for found in splits.values()):
            break
    return f"{layout}, {truth}", splits


def _pairs_without_photos(folder: Path) -> list[Pair]:
    """Pairs of the ground truths in a plain folder, or in one of P3M-500 under another name."""
    photos = next((name for name in _P3M_PHOTOS if (folder / name).is_dir() and (folder / "mask").is_dir()), None)
    place = folder / "mask" if photos else folder
    files = [file for files in pictures_below(place).values() for file in files]
    if photos:
        return [Pair(folder / photos / file.relative_to(place), file, "grey") for file in files]
    return [Pair(file, file, "grey") for file in files if file.relative_to(folder).parts[0] != "trimap"]


def _names(pair: Pair, folder: Path) -> tuple[str, ...]:
    truth, photo = parts_below(pair.truth, folder), parts_below(pair.image, folder)
    names = ["/".join(photo), "/".join(truth)]
    if len(truth) == len(photo):  # without the folders that separate ground truths from photos
        shared = [part for part, other in zip(truth[:-1], photo[:-1]) if part == other]
        names.insert(0, "/".join([*shared, photo[-1]]))
    return tuple(dict.fromkeys(names))


def _trimaps(folder: Path) -> dict[str, Path]:
    """{path below the folder, without suffix: file} of the pictures in folders that are called trimap."""
    pictures = find_pictures(folder, on_error=lambda error: None).photos
    named = (("/".join(parts_below(path, folder)), path) for path in reversed(pictures) if "trimap" in path.parts)
    return dict(named)


def _trimap(pair: Pair, folder: Path) -> str:
    """Where the trimap of a pair is, as in `_trimaps`, if there is one."""
    truth, photo = parts_below(pair.truth, folder), parts_below(pair.image, folder)
    own = next((i for i, (part, other) in enumerate(zip(truth[:-1], photo[:-1])) if part != other), None)
    return "/".join(["trimap", *truth] if own is None else [*truth[:own], "trimap", *truth[own + 1 :]])
