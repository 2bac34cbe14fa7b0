"""Several data sets in one run, each with its weight, rough or refined; no photo is both trained and validated on."""

import os
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from helpers.datasets.duplicates import same_photos
from helpers.datasets.ground_truth import Remark, read_ground_truth, summary
from helpers.datasets.layouts import LAYOUTS, backgrounds_in, find_splits
from helpers.datasets.pairs import Pair
from helpers.datasets.splits import VALIDATED, rank_of
from helpers.files.text import fault_of
from helpers.samples.composites import CompositeDataset
from helpers.samples.samples import MixedDataset, PortraitDataset

LOOKED_AT = 32
"""Ground truths of a data set that are looked at before the training starts."""


class Source(NamedTuple):
    """A data set to train on.

    Attributes:
        folder: where it lies, or its CSV manifest.
        layout: how it is arranged, one of `LAYOUTS`; None: recognised.
        weight: how often an epoch shows each of its training pictures (3: three times, .1: another tenth every epoch).
        rough: whether its ground truths are rough masks, whose edges do not count.
        backgrounds: folder of pictures to put cutouts on, where they do not lie beside them.
    """

    folder: str | Path
    layout: str | None = None
    weight: float = 1.0
    rough: bool = False
    backgrounds: str | Path | None = None


def parse_source(text: str) -> Source:
    """`"DIR,weight=2,rough=true"` → `Source`.

    Folders that exist may have commas in their names. Raises ValueError for an unknown key or an impossible value.
    """
    folder, settings = _path_first(text.split(","))
    if not folder:
        raise ValueError(f"{text!r}: names no data set; give a folder, or . for the current one")
    values: dict[str, Any] = {}
    while settings:
        setting, *settings = settings
        key, separator, value = setting.partition("=")
        if key == "backgrounds":
            value, settings = _path_first([value, *settings])
        if not separator or key not in Source._fields[1:] or not value or key in values:
            keys = ", ".join(Source._fields[1:])
            raise ValueError(
                f"{text!r}: expected FOLDER[,key=value…] with the keys {keys}, each once at most. A comma ends the "
                "folder's name, unless a folder with the comma in its name exists; correct the key or the path"
            )
        values[key] = value
    if "weight" in values:
        try:
            values["weight"] = float(values["weight"])
        except ValueError:
            values["weight"] = 0.0
        if not 0 < values["weight"] < float("inf"):
            raise ValueError(f"{text!r}: weight must be a positive number, such as weight=2")
    if "rough" in values:
        if values["rough"] not in ("true", "false"):
            raise ValueError(f"{text!r}: rough must be true or false")
        values["rough"] = values["rough"] == "true"
    if values.get("layout", "pairs") not in LAYOUTS:
        raise ValueError(f"{text!r}: known layouts are {', '.join(LAYOUTS)}")
    return Source(folder, **values)


def _path_first(parts: list[str]) -> tuple[str, list[str]]:
    """The longest path that exists and is made of the first parts, commas between them, and the parts that follow it.

    If there is none, the path is the first part alone.
    """
    for count in range(len(parts), 1, -1):
        if os.path.exists(path := ",".join(parts[:count])):
            return path, parts[count:]
    return parts[0], parts[1:]


def mix(
    sources: Sequence[Source],
    transforms: Mapping[str, Any],
    truth: str = "annotations",
    seed: int = 0,
    least: int | None = None,
) -> tuple[MixedDataset, MixedDataset]:
    """Training and validation dataset of one or more `Source`s; `transforms` is `{"train": …, "val": …}`.

    `truth="mattes"` takes exact alphas where a set has them. Rough masks validate only where there are no others. A
    training photo that is, byte for byte, also among the validation or test photos of any source is left out, with a
    warning that counts them. `least` as in `PortraitDataset`. Raises FileNotFoundError where nothing is left to train
    or to validate on.
    """
    _refuse_repeats(sources)
    found = {source: _pairs_of(source, truth) for source in sources}
    _refuse_equals(found)
    held_out = [pair for splits in found.values() for split in ("val", "test") for pair in splits.get(split, [])]
    train, val = [], []
    for source, splits in found.items():
        pairs = splits.get("train", [])
        leaks = same_photos(pairs, held_out)
        if leaks:
            names = ", ".join(str(pairs[i].image) for i in sorted(leaks)[:3])
            warnings.warn(f"{len(leaks)} training photos are held-out photos, too, and left out: {names}", stacklevel=2)
        train.append((source, [pair for i, pair in enumerate(pairs) if i not in leaks]))
        val.append((source, splits.get("val", [])))
    refined = [(source, [pair for pair in pairs if not pair.rough]) for source, pairs in val]
    val = refined if any(pairs for _, pairs in refined) else val
    train, val = ([(source, pairs) for source, pairs in part if pairs] for part in (train, val))
    for name, part in (("train", train), ("validate", val)):
        if not part:
            places = ", ".join(str(source.folder) for source in sources)
            raise FileNotFoundError(f"{places}: nothing there to {name} on; see python -m helpers.datasets check")

    def mixed(part, split):
        datasets = [
            (dataset, source.weight) for source, pairs in part
            for dataset in _datasets_of(source, pairs, split, transforms[split], seed, least)
        ]  # fmt: skip
        return MixedDataset(*zip(*datasets))

    return mixed(train, "train"), mixed(val, "val")


def _refuse_repeats(sources: Sequence[Source]) -> None:
    """Raise ValueError for a data set that is named twice: in the same folder and the same layout."""
    places = Counter((os.path.realpath(source.folder), source.layout) for source in sources)
    for source in sources:
        if places[os.path.realpath(source.folder), source.layout] > 1:
            raise ValueError(
                f"{source.folder}: this data set is named twice. To show its pictures twice as often, name it once "
                f"with a weight: {source.folder},weight=2"
            )


def _refuse_equals(found: Mapping[Source, dict[str, list[Pair]]]) -> None:
    """Raise ValueError for two sources with the same files, such as a folder and a manifest of all that is in it."""
    seen: dict[frozenset[tuple[str, str]], Source] = {}
    for source, splits in found.items():
        files = frozenset(
            (os.path.abspath(p.image), os.path.abspath(p.truth)) for part in splits.values() for p in part
        )
        if files and (other := seen.setdefault(files, source)) is not source:
            raise ValueError(
                f"{other.folder} and {source.folder}: the same files, named twice. To show them twice as often, name "
                "one of the two with a weight: ,weight=2"
            )


def _pairs_of(source: Source, truth: str) -> dict[str, list[Pair]]:
    """{split: pairs} of a source. Warnings name what had to be left out and which ground truths are odd."""
    splits = find_splits(source.folder, truth, source.layout)
    if not any(found.pairs for found in splits.values()):  # no mattes, but perhaps annotations
        splits = find_splits(source.folder, layout=source.layout)
    if source.backgrounds and not any(pair.is_cutout for found in splits.values() for pair in found.pairs):
        raise ValueError(
            f"{source.folder}: backgrounds are for cutouts, and there are none; make some by python -m "
            "helpers.samples.cutouts, or leave backgrounds= out"
        )
    for split, found in splits.items():
        if found.left_out():
            warnings.warn(f"{source.folder}: left out of {split}: {found.left_out()}", stacklevel=3)
    for line in _remarks(
        source, [pair for split in ("train", "val") if split in splits for pair in splits[split].pairs]
    ):
        warnings.warn(f"{source.folder}: {line}; see python -m helpers.datasets check", stacklevel=3)

    def marked(pair: Pair) -> Pair:
        return pair._replace(rough=pair.rough or source.rough)

    return {split: list(map(marked, found.pairs)) for split, found in splits.items()}


def _remarks(source: Source, pairs: list[Pair]) -> list[str]:
    """Lines on what is odd about the ground truths among `pairs`: of `LOOKED_AT` at most, evenly spread.

    Raises ValueError if none of them reaches a half: there would be nobody to learn.
    """
    count = min(len(pairs), LOOKED_AT)
    remarks: list[tuple[str, str]] = []
    for pair in (pairs[i * len(pairs) // count] for i in range(count)):
        try:
            remarks += read_ground_truth(pair.truth, pair.reading).remarks
        except Exception as error:  # a decoder may raise anything on a broken file
            remarks.append(("ground truths that cannot be read", fault_of(pair.truth, error)))
    lines = summary(remarks, of=f" of {count} looked at")
    if count and sum(kind == Remark.FAINT for kind, _ in remarks) == count:
        raise ValueError(
            f"{source.folder}: {lines[0]}. Class ids in a matte? Write 255 where the person is, or list the files in a "
            "manifest.csv with the reading classes if every class but 0 is the person"
        )
    return lines


def _datasets_of(source, pairs, split, transform, seed, least):
    """The dataset of a source's photos, and that of its cutouts, which need backgrounds."""
    cutouts = [pair for pair in pairs if pair.is_cutout]
    photos = [pair for pair in pairs if not pair.is_cutout]
    datasets = [PortraitDataset(photos, transform, seed, least)] if photos else []
    if cutouts:
        backgrounds = _of_split(backgrounds_in(source.backgrounds or source.folder), split)
        datasets.append(CompositeDataset(cutouts, transform, backgrounds, seed, least))
    return datasets


def _of_split(backgrounds: list[Path], split: str) -> list[Path]:
    """The background files of a split: a hash of the file stem keeps a tenth of them for validation.

    All of them if none were left: a single background has to do for both.
    """
    chosen = [path for path in backgrounds if (rank_of(path.stem) < VALIDATED) == (split == "val")]
    return chosen or backgrounds
