"""Whether a data set is fit to train on: every file read, every file paired, and nothing twice or in two splits."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.datasets.duplicates import digest, first_alike, look
from helpers.datasets.ground_truth import Remark, read_ground_truth
from helpers.datasets.layouts import find_splits
from helpers.datasets.pairs import Pair
from helpers.datasets.splits import Found, person_of, users_of
from helpers.files.folders import is_photo, walk
from helpers.files.parallel import in_parallel
from helpers.files.photos import read_reduced
from helpers.files.text import fault_of, first_lines

_LEAST = 256  # a JPEG is decoded at this size: its file is read to the end, and its look stays the same


class Kind(StrEnum):
    """The kinds of findings."""

    PHOTO_ALONE = "photos without a ground truth"
    TRUTH_ALONE = "ground truths without a photo"
    AMBIGUOUS = "files that share a name"
    MISSING = "listed files that are not there"
    UNREADABLE = "pairs that cannot be read"
    SIZES = "ground truths of another size"
    FAINT = Remark.FAINT.value  # class ids, probably
    TRIMAP = Remark.TRIMAP.value
    INVERTED = Remark.INVERTED.value
    NOT_CLASSES = Remark.NOT_CLASSES.value
    UNSURE = Remark.UNSURE.value
    ZERO_ONE = Remark.ZERO_ONE.value
    FEW_VALUES = Remark.FEW_VALUES.value
    GREY_IDS = Remark.GREY_IDS.value
    NO_BACKGROUND = Remark.NO_BACKGROUND.value
    EMPTY = "ground truths without a person"
    TWICE = "photos twice in the split"
    LEAK = "photos also in another split"
    SHARED_PERSON = "persons also in another split"
    PASSED_OVER = "files that are no photos"


NOTES = (Kind.NOT_CLASSES, Kind.GREY_IDS, Kind.UNSURE, Kind.ZERO_ONE, Kind.NO_BACKGROUND, Kind.EMPTY, Kind.PASSED_OVER)
"""Findings that are shown but are no problem. A picture without a person teaches what background is."""


class Finding(NamedTuple):
    """One thing that was found, the split it is in, and a line that names the files."""

    kind: Kind
    split: str
    text: str


class Report(NamedTuple):
    """What `check` found: {split: number of pairs} and the findings."""

    pairs: dict[str, int]
    findings: list[Finding]

    @property
    def problems(self) -> int:
        """How many findings are problems."""
        return sum(finding.kind not in NOTES for finding in self.findings)

    def __str__(self) -> str:
        """A table of all counts by split, and the first lines of each kind."""
        rows: list[list] = [["", *self.pairs], ["pairs", *self.pairs.values()]]
        sections: list[str] = []
        for kind in Kind:
            found = [finding for finding in self.findings if finding.kind == kind]
            rows.append([kind, *(sum(finding.split == split for finding in found) for split in self.pairs)])
            if found:
                sections += ["", f"{kind}: {len(found)}{' (no problem)' if kind in NOTES else ''}"]
                sections += [f"  {line}" for line in first_lines([finding.text for finding in found])]
        width = max(map(len, Kind))
        table = [f"{name:<{width}}" + "".join(f"{value:>8}" for value in values) for name, *values in rows]
        return "\n".join([*table, *sections, "", f"{self.problems or 'no'} problem{'s' * (self.problems != 1)}"])


def check(
    folder: Path | str, truth: str = "annotations", layout: str | None = None, workers: int | None = None
) -> Report:
    """Read every pair of a data set and report what is wrong with it, as a `Report`; a broken file never stops it.

    Two photos are the same if their files or their looks are (`helpers.datasets.duplicates`). In two splits they are
    leaks: validation would measure memory. Persons in two splits are leaks too, if the data set's meta.csv names them.
    `truth` and `layout` as in `helpers.datasets.layouts.find_splits`, whose errors it raises; `workers` as in
    `helpers.files.parallel.in_parallel`. Of each picture only half a kilobyte is kept in memory.
    """
    splits = find_splits(folder, truth, layout)
    listed = [(split, pair) for split, found in splits.items() for pair in found.pairs]
    findings, readable = [*_unpaired(splits), *_shared_persons(folder, splits), *_passed_over(splits)], []
    results = in_parallel(_look_at, [pair for _, pair in listed], workers)
    for (split, pair), seen in zip(listed, results, strict=True):
        findings += [Finding(kind, split, text) for kind, text in seen.faults]
        if seen.digest:
            readable.append((split, pair.image, seen))
    return Report({split: len(found.pairs) for split, found in splits.items()}, findings + _repeated(readable))


class _Seen(NamedTuple):
    """What is wrong with a pair, [(kind, text)]; its photo's digest and look, if both files are readable."""

    faults: list
    digest: bytes = b""
    look: np.ndarray | None = None


def _look_at(pair: Pair) -> _Seen:
    try:
        photo, size = read_reduced(pair.image, _LEAST)
        alpha, remarks = read_ground_truth(pair.truth, pair.reading)
        fingerprint = digest(pair.image)
    except Exception as error:  # a decoder may raise anything on a broken file
        return _Seen([(Kind.UNREADABLE, fault_of(pair.image, error))])
    faults = [(Kind(remark), text) for remark, text in remarks]
    if alpha.shape != size:
        truth_size, photo_size = (f"{width}×{height}" for height, width in (alpha.shape, size))
        faults.append((Kind.SIZES, f"{pair.truth}: {truth_size} pixels, but its photo {pair.image} has {photo_size}"))
    if not alpha.any():
        faults.append((Kind.EMPTY, str(pair.truth)))
    return _Seen(faults, fingerprint, look(photo))


def _unpaired(splits: dict[str, Found]) -> Iterator[Finding]:
    """Findings for the files that were left out."""
    for split, found in splits.items():
        for kind, paths in ((Kind.PHOTO_ALONE, found.photos_alone), (Kind.TRUTH_ALONE, found.truths_alone),
                            (Kind.AMBIGUOUS, found.ambiguous), (Kind.MISSING, found.missing)):  # fmt: skip
            yield from (Finding(kind, split, str(path)) for path in paths)


def _passed_over(splits: dict[str, Found]) -> Iterator[Finding]:
    """Findings for the files beside the pairs that are not photos by their names, once for each folder."""
    seen: set[Path] = set()
    for split, found in splits.items():
        paths = [path for pair in found.pairs for path in (pair.image, pair.truth)]
        folders = sorted({path.parent for path in paths + found.photos_alone + found.truths_alone} - seen)
        seen.update(folders)
        for folder in folders:
            _, names = next(walk(folder, on_error=lambda error: None), (folder, []))  # it may be gone by now
            yield from (Finding(Kind.PASSED_OVER, split, str(folder / name)) for name in names if not is_photo(name))


def _shared_persons(folder: Path | str, splits: dict[str, Found]) -> Iterator[Finding]:
    """Findings for the persons that meta.csv names in more than one split; each is named once in a later one."""
    users = users_of(folder)
    first: dict[str, tuple[str, Path]] = {}
    for split, found in splits.items():
        named = set()
        for pair in found.pairs:
            person = person_of(pair, users)
            if person is None:
                continue
            earlier_split, earlier = first.setdefault(person, (split, pair.image))
            if earlier_split != split and person not in named:
                named.add(person)
                yield Finding(Kind.SHARED_PERSON, split, f"{pair.image}: person {person}, as {earlier}")


def _repeated(readable: list[tuple[str, Path, _Seen]]) -> list[Finding]:
    """Findings for the photos that repeat an earlier one, by [(split, path, _Seen)] in the order of the splits."""
    first_of_bytes: dict[bytes, int] = {}
    findings: list[Finding] = []
    looks_like = first_alike([seen.look for _, _, seen in readable if seen.look is not None])
    for i, (split, path, seen) in enumerate(readable):
        before = [j for j in (first_of_bytes.setdefault(seen.digest, i), looks_like[i]) if 0 <= j < i]
        if before:
            earlier_split, earlier, other = readable[min(before)]  # of another split, if any earlier one is
            how = "the same file as" if other.digest == seen.digest else "looks like"
            kind = Kind.TWICE if earlier_split == split else Kind.LEAK
            findings.append(Finding(kind, split, f"{path}: {how} {earlier}"))
    return findings
