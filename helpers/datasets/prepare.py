"""A smaller copy of a data set, so that photos of many megapixels are decoded once and not in every epoch."""

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.datasets.ground_truth import read_ground_truth
from helpers.datasets.layouts import backgrounds_in, find_splits
from helpers.datasets.manifests import MANIFEST, unlistable, write_manifest
from helpers.datasets.pairs import Pair, read_remarked_pair
from helpers.datasets.splits import lines_left_out
from helpers.files.atomic import remove_leftovers, whole_file
from helpers.files.folders import folder_of
from helpers.files.parallel import in_parallel
from helpers.files.photos import picture_size, read_photo
from helpers.files.text import check_utf8, fault_of, first_lines

RECORD = "prepared.json"
"""The file that records what a copy is of, so that two different ones are never mixed: of each file the bytes of its
originals, and how the mask was read.

Once all is copied it has the remarks on each mask as well."""

Remarks: TypeAlias = list[tuple[str, str]]
"""[(kind, line that names the file)], see `helpers.datasets.ground_truth`."""

_PEOPLE = ("meta.csv", "annotations/meta.csv", "meta/meta.csv")  # where `helpers.datasets.splits` looks


class Prepared(NamedTuple):
    """What `prepare` did.

    Attributes:
        splits: the pairs of the copy. failed: a line for each picture that was left out.
        remarks: what is odd about the ground truths that were read, see `helpers.datasets.ground_truth`.
        left_out: a line for each split with files that belong to no pair.
    """

    splits: dict[str, list[Pair]]
    failed: list[str]
    remarks: Remarks
    left_out: list[str]


def prepare(
    folder: Path | str,
    out: Path | str,
    size: int = 512,
    truth: str = "annotations",
    layout: str | None = None,
    workers: int | None = None,
) -> Prepared:
    """Write a copy of a data set whose pictures have at most `size` pixels on their longer side; returns `Prepared`.

    `out/images/SPLIT/….jpg` (turned by EXIF, quality 95, colours at full resolution) and `out/masks/SPLIT/….png` (8-bit
    alpha, soft where pixels were averaged), in the sub-folders they had. Cutouts stay transparent, in
    `out/cutouts/SPLIT/`; their backgrounds go to `out/backgrounds/`, up to twice as large. Nothing is enlarged, nothing
    in `folder` is touched. `out/manifest.csv` comes last and lists the pairs, with their categories and which are
    rough. Unreadable pictures are left out and named.

    A second call continues an interrupted copy. It writes files anew whose originals have another date, length or
    reading than before: every copy has the date of its original. Do not run two at a time into one folder. `truth` and
    `layout` as in `helpers.datasets.layouts.find_splits`, `workers` as in `helpers.files.parallel.in_parallel`.
    Before anything is written it raises ValueError for a size below 1, a `folder` whose name is not in UTF-8, an `out`
    inside it, and two photos that would become one; FileExistsError if `out` holds anything but a copy of the same data
    at the same size; FileNotFoundError if there is no pair; and what `find_splits` raises.
    """
    folder, out = Path(folder), Path(out)
    if size < 1:
        raise ValueError(f"size is {size}, but a picture has at least 1 pixel")
    if out.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{out}: lies in {folder} and would become a part of it; choose another folder")
    check_utf8(folder.resolve(), "folder")  # the record names it
    found = find_splits(folder, truth, layout)
    plan = {split: _planned(split, found[split].pairs, out) for split in found}
    tasks = [(pair, copy, size) for split in plan for pair, copy in plan[split]]
    faults = [unlistable(out, copy) for _, copy, _ in tasks]
    failed = [fault for fault in faults if fault]
    tasks = [task for task, fault in zip(tasks, faults, strict=True) if not fault]
    if not tasks and failed:
        raise ValueError("\n".join(["none of the pairs can be listed", *first_lines(failed)]))
    if not tasks:
        raise FileNotFoundError(
            f"{folder}: no photo with a ground truth there; `python -m helpers.datasets check` says more"
        )
    backgrounds = _planned_backgrounds(folder, out) if any(pair.is_cutout for pair, _, _ in tasks) else {}
    record = {"source": str(folder.resolve()), "size": size, "truth": truth, "layout": layout}
    places = [copy.truth.relative_to(out).as_posix() for _, copy, _ in tasks]
    originals = {
        place: [pair.reading, _bytes(pair.image), _bytes(pair.truth)]
        for place, (pair, _, _) in zip(places, tasks, strict=True)
    } | {place.relative_to(out).as_posix(): [_bytes(path)] for path, place in backgrounds.items()}
    known = _begin(out, record, originals)
    work = [(*task, known.get(place)) for place, task in zip(places, tasks, strict=True)]
    results = list(in_parallel(_copy_pair, work, workers, "pairs"))
    failed += [result for result in results if isinstance(result, str)]
    done = {copy.image: result for (_, copy, _), result in zip(tasks, results) if not isinstance(result, str)}
    sizes = {image: size for image, (size, _) in done.items()}
    # Twice the size: `helpers.samples.composites` shows pieces of them, down to half of each side.
    behind = [(path, place, 2 * size) for path, place in backgrounds.items()]
    failed += filter(None, in_parallel(_copy_background, behind, workers, "backgrounds"))
    _copy_people(folder, out)
    splits = {split: [copy for _, copy in plan[split] if copy.image in sizes] for split in plan}
    write_manifest(out / MANIFEST, splits, sizes)
    odd = {place: result[1] for place, result in zip(places, results, strict=True) if not isinstance(result, str)}
    _write_record(out, record | {"originals": originals, "remarks": odd})
    return Prepared(splits, failed, [remark for remarks in odd.values() for remark in remarks], lines_left_out(found))


def shrunk(array: NDArray, size: int) -> NDArray:
    """An array (H, W) or (H, W, C) averaged down until its longer side has `size` pixels; as it is if shorter."""
    scale = size / max(array.shape[:2])
    if scale >= 1:
        return array
    width, height = (max(1, round(side * scale)) for side in array.shape[1::-1])
    return cv2.resize(array, (width, height), interpolation=cv2.INTER_AREA)


def shrunk_cutout(photo: NDArray[np.uint8], alpha: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """A cutout's colours (H, W, 3) and alpha (H, W), both uint8, made smaller: (h, w, 4) uint8.

    A pixel's colour is weighted by its alpha, so that colours of transparent pixels do not tint the edge.
    """
    weight = alpha[..., None] / np.float32(255)
    weighted = shrunk(np.dstack([photo * weight, weight]), size)
    colours, share = weighted[..., :3], weighted[..., 3:]
    return np.dstack([colours / np.maximum(share, 1e-6), share * 255]).round().clip(0, 255).astype(np.uint8)


def _planned(split: str, pairs: list[Pair], out: Path) -> list[tuple[Pair, Pair]]:
    """[(pair, the pair that its copy will be)]."""
    cutouts = _places([pair.image for pair in pairs if pair.is_cutout], out / "cutouts" / split, ".png")
    photos = [pair.image for pair in pairs if not pair.is_cutout]
    images, masks = _places(photos, out / "images" / split, ".jpg"), _places(photos, out / "masks" / split, ".png")

    def copy_of(pair: Pair) -> Pair:
        if pair.is_cutout:
            return pair._replace(image=cutouts[pair.image], truth=cutouts[pair.image])
        return pair._replace(image=images[pair.image], truth=masks[pair.image], reading="grey")

    return [(pair, copy_of(pair)) for pair in pairs]


def _planned_backgrounds(folder: Path, out: Path) -> dict[Path, Path]:
    """{background: the place of its copy}; empty if they aren't beside the cutouts."""
    try:
        return _places(backgrounds_in(folder), out / "backgrounds", ".jpg")
    except FileNotFoundError:
        return {}


def _places(paths: list[Path], folder: Path, suffix: str) -> dict[Path, Path]:
    """{path: its place in `folder`}, below the deepest folder that all paths share; ValueError if two fall together."""
    top = os.path.commonpath([os.path.abspath(path.parent) for path in paths]) if paths else ""
    taken: dict[Path, Path] = {}
    for path in paths:
        place = folder / Path(os.path.abspath(path)).relative_to(top).with_suffix(suffix)
        if place in taken:
            raise ValueError(f"{path} and {taken[place]} would both become {place}; rename one of them")
        taken[place] = path
    return {path: place for place, path in taken.items()}


def _bytes(path: Path) -> int:
    """The length of a file; 0 for one that cannot be read, which is told later."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _begin(out: Path, record: dict[str, Any], originals: dict[str, list]) -> dict[str, Remarks]:
    """Make `out`, or go on with it; refuses one that holds anything else. Returns {place: remarks} of what is copied.

    `originals` are the readings and lengths of what is copied, by the places of the copies. Copies are removed whose
    originals were others before, or are not known, as in the folders of an earlier version.
    """
    before = _recorded(out)
    kept, odd = before.pop("originals", {}), before.pop("remarks", {})
    before.pop("readings", None)  # of an earlier version
    if before != record and out.exists() and any(not path.name.startswith(".") for path in out.iterdir()):
        found, wanted = (json.dumps(each, ensure_ascii=False) for each in (before, record))
        raise FileExistsError(
            f"{out}: holds {found if before else 'other files'} and not {wanted}; nothing in it was changed. "
            "Choose another folder, or remove this one first"
        )
    same = {place for place, original in originals.items() if kept.get(place) == original}
    for place in originals.keys() - same:
        (out / place).unlink(missing_ok=True)
    known = {place: [(kind, text) for kind, text in remarks] for place, remarks in odd.items() if place in same}
    _write_record(out, record | {"originals": originals, "remarks": known})
    for place, _, _ in os.walk(out):
        remove_leftovers(place)
    return known


def _recorded(out: Path) -> dict[str, Any]:
    """What the record in `out` holds; {} without a readable one."""
    with suppress(FileNotFoundError, ValueError):
        found = json.loads((out / RECORD).read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    return {}


def _write_record(out: Path, record: dict[str, Any]) -> None:
    """Write the record, unless `out` holds the same one."""
    if record != _recorded(out):
        with whole_file(out / RECORD) as temporary:
            temporary.write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="utf-8")


def _copy_pair(task: tuple[Pair, Pair, int, Remarks | None]) -> tuple[tuple[int, int], Remarks] | str:
    """Size (height, width) and remarks of the copy of a pair, which is made if it isn't there; a line if unreadable.

    The remarks on a copy that is there may be known from earlier.
    """
    pair, copy, size, known = task
    try:
        if _is_current((copy.image, copy.truth), (pair.image, pair.truth)):
            remarks = read_ground_truth(pair.truth, pair.reading).remarks if known is None else known
            return picture_size(copy.image), remarks
        dates = [path.stat().st_mtime_ns for path in (pair.image, pair.truth)]  # before they are read
        # At full size: a JPEG decoded smaller would be less sharp. It would also be up to a pixel off its ground truth
        # if its sides are not multiples of 8.
        photo, alpha, remarks = read_remarked_pair(pair)
    except Exception as error:  # a decoder may raise anything on a broken file
        return fault_of(pair.image, error)
    if pair.is_cutout:
        picture = shrunk_cutout(photo, alpha, size)
        _save(picture, copy.image, max(dates), "PNG")
        return picture.shape[:2], remarks
    photo, alpha = shrunk(photo, size), shrunk(alpha, size)
    if alpha.max() <= 1:
        alpha = np.zeros_like(alpha)  # a file of 0 and 1 only would be read as a mask of 0 and 1
    _save(photo, copy.image, dates[0], "JPEG", quality=95, subsampling=0)
    _save(alpha, copy.truth, dates[1], "PNG")
    return photo.shape[:2], remarks


def _copy_background(task: tuple[Path, Path, int]) -> str | None:
    """None when the background's copy is there, a line if it cannot be read."""
    path, place, size = task
    try:
        if _is_current([place], [path]):
            return None
        date, photo = path.stat().st_mtime_ns, read_photo(path)
    except Exception as error:  # as above
        return fault_of(path, error)
    _save(shrunk(photo, size), place, date, "JPEG", quality=95, subsampling=0)
    return None


def _is_current(copies: Iterable[Path], originals: Iterable[Path]) -> bool:
    """Whether all copies are there, each with the date of its original."""
    return all(copy.is_file() and _same_date(copy, original) for copy, original in zip(copies, originals, strict=True))


def _same_date(copy: Path, original: Path) -> bool:
    """Whether two files have the same date, as exactly as the copy's file system keeps it."""
    date, wanted = copy.stat().st_mtime_ns, original.stat().st_mtime_ns
    is_rounded = date % 10**7 == 0  # memory cards and USB sticks: FAT keeps even seconds, exFAT hundredths
    return abs(date - wanted) < (2 * 10**9 if is_rounded else 1000)


def _save(array: NDArray[np.uint8], path: Path, date: int, form: str, **options: int) -> None:
    """Write a picture with the `date` of its original, in nanoseconds, where the file system allows it."""
    with whole_file(path) as temporary:
        Image.fromarray(array).save(temporary, form, **options)
        with suppress(OSError):
            os.utime(temporary, ns=(date, date))


def _copy_people(folder: Path, out: Path) -> None:
    """Copy meta.csv, which names the person of each picture, if there is one. Pictures keep their names."""
    for path in map(folder_of(folder).joinpath, _PEOPLE):
        if path.is_file():
            with whole_file(out / "meta.csv") as temporary:
                shutil.copyfile(path, temporary)
            return
