"""Manifests: CSV files that list the pairs of a data set, one a line, with their kinds, splits and sizes.

    image,mask,category,split,width,height,reading,rough
    images/p3m-1.jpg,masks/p3m-1.png,p3m,train,1080,1620,grey,0

Only `image` and `mask` must be there, in any order of columns; others are ignored. Paths are relative to the folder of
the CSV file, or absolute.
"""

import csv
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from helpers.datasets.pairs import READINGS, Pair
from helpers.datasets.splits import SPLITS, Found, users_of, with_validation
from helpers.files.atomic import whole_file
from helpers.files.csv_file import open_csv
from helpers.files.folders import as_on_disk
from helpers.files.photos import picture_size
from helpers.files.text import check_utf8, shown

MANIFEST = "manifest.csv"
COLUMNS = ("image", "mask", "category", "split", "width", "height", "reading", "rough")
_YES_OR_NO = {"": False, "0": False, "no": False, "false": False, "1": True, "yes": True, "true": True}


def manifest_of(folder: Path | str) -> Path:
    """Where the manifest of a data set is, if it has one: in its folder, or what was named in the folder's place."""
    folder = Path(folder)
    return folder if folder.is_file() else folder / MANIFEST


def write_manifest(
    path: Path | str,
    splits: Mapping[str, Iterable[Pair]],
    sizes: Mapping[Path, tuple[int, int]] | None = None,
) -> None:
    """Write the pairs of `splits`, {split: [Pair]}, to a CSV file, which is whole or not there at all.

    Files inside the CSV's folder are written relative to it, so that the folder can be moved; others absolute.
    Photos in `sizes`, {photo: (height, width)}, are not opened. Errors as in `helpers.files.photos.picture_size`.
    """
    path, sizes = Path(path), sizes or {}
    with whole_file(path) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for split, pairs in splits.items():
            for pair in pairs:
                height, width = sizes.get(pair.image) or picture_size(pair.image)
                places = [_written(path.parent, place) for place in (pair.image, pair.truth)]
                writer.writerow([*places, pair.category, split, width, height, pair.reading, int(pair.rough)])


def unlistable(folder: Path | str, pair: Pair) -> str:
    """The line that says why a manifest in `folder` cannot list a pair, a name that is not in UTF-8; "" if it can."""
    try:
        for path in (pair.image, pair.truth):
            check_utf8(_written(Path(folder), path), "file, and its photo or mask alike")
    except ValueError as error:
        return str(error)
    return ""


def read_manifest(path: Path | str) -> dict[str, Found]:
    """{split: `Found`} of the pairs that a CSV file lists, in the order of `SPLITS`.

    Without a `split` a row belongs to train, and val comes from `helpers.datasets.splits.with_validation`. Without a
    `reading` it is "grey", or "opacity" where the mask is the image itself; without `rough` it is not rough. A pair of
    which a file is missing is left out, and named as unpaired, or as missing if no file is there.
    Raises ValueError naming file and line for a row that cannot be understood or lists a photo again, and
    FileNotFoundError if there is no such CSV.
    """
    path = Path(path)
    reader = open_csv(path)
    columns = list(reader.fieldnames or [])
    if not {"image", "mask"} <= set(columns):
        raise ValueError(f"{path}: the first line must name the columns image and mask, found {', '.join(columns)!r}")
    named = [name for name in columns if name]
    if twice := sorted({name for name in named if named.count(name) > 1}):
        raise ValueError(f"{path}: the first line names the column {twice[0]} twice; give each column its own name")
    splits: dict[str, Found] = {}
    lines: dict[str, int] = {}
    with _line_named(path, reader):
        for row in filter(_is_filled, reader):
            split, pair = _parsed(path.parent, row)
            place = os.path.abspath(pair.image)
            if place in lines:
                raise ValueError(f"{shown(pair.image)} is already in line {lines[place]}")
            lines[place] = reader.line_num
            found = splits.setdefault(split, Found([], [], [], [], []))
            if not pair.truth.is_file() and not pair.image.is_file():
                found.missing.append(pair.image)
            elif not pair.truth.is_file():
                found.photos_alone.append(pair.image)
            elif not pair.image.is_file():
                found.truths_alone.append(pair.truth)
            else:
                found.pairs.append(pair)
    splits = {split: found.in_order() for split, found in splits.items()}
    return with_validation(splits, users_of(path.parent))


@contextmanager
def _line_named(path: Path, reader: csv.DictReader) -> Iterator[None]:
    """Add the file and the line that was read last to errors in the block."""
    try:
        yield
    except (ValueError, csv.Error) as error:
        line = max(reader.line_num, 1)
        raise ValueError(f"{path}, line {line}: {error}; correct or remove the line") from error


def _is_filled(row: Mapping[str | None, str | None | list[str]]) -> bool:
    """Whether a row is more than the empty cells that spreadsheets leave at the end.

    It is {column: text}, with the list of the texts beyond the last column under the key None.
    """
    return any(cell and "".join(cell).strip() for cell in row.values())


def _written(folder: Path, path: Path) -> str:
    """A file's path as the manifest in `folder` holds it, with forward slashes."""
    path, folder = Path(os.path.abspath(path)), Path(os.path.abspath(folder))
    return (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix()


def _located(folder: Path, text: str) -> Path:
    """The file that a cell names, relative to the manifest's folder; a path without a file if it is missing.

    Spaces and quotation marks around a name and the backslashes of Windows are taken off if the file is there only
    then, and a name may be in another Unicode form. Raises ValueError for an empty cell and for a drive of Windows.
    """
    bare = text.strip().strip("'\"")
    if not bare:
        raise ValueError("needs an image and a mask")
    plain = bare.replace("\\", "/")
    for name in dict.fromkeys((text, text.strip(), bare, plain)):
        path = as_on_disk(folder / name)
        if path.is_file():
            return path
    if os.name != "nt" and (drive := re.match(r"[A-Za-z]:/|//", plain)):
        raise ValueError(
            f"{shown(bare)}: {drive[0]!r} begins a path on Windows, which does not exist on this system. Write the "
            "path from the folder of the manifest on, with forward slashes: images/a.jpg"
        )
    return folder / plain


def _parsed(folder: Path, row: dict[str, str]) -> tuple[str, Pair]:
    """Split and pair of one line {column: text}; raises ValueError that says what is wrong with it."""
    if None in row or None in row.values():
        if any("\n" in text for text in row.values() if isinstance(text, str)):
            raise ValueError(
                'has a quotation mark (") without its partner. Begin and end a name with a quotation mark, and write '
                'two for one inside it: "5"" screen.jpg"'
            )
        raise ValueError(
            "has more or fewer fields than the first line. Put a name that holds the separator, such as a comma, into "
            'quotation marks: "Smith, Jane.jpg"'
        )
    image, mask = (_located(folder, row[column]) for column in ("image", "mask"))
    row = {column: text.strip() for column, text in row.items()}
    split = row.get("split") or "train"
    reading = row.get("reading") or ("opacity" if image == mask else "grey")
    rough = row.get("rough", "").lower()
    checks = (("split", split, SPLITS), ("reading", reading, READINGS), ("rough", rough, _YES_OR_NO))
    for column, value, known in checks:
        if value not in known:
            raise ValueError(f"unknown {column} {value!r}; known are {', '.join(filter(None, known))}")
    return split, Pair(image, mask, reading, row.get("category", ""), _YES_OR_NO[rough])
