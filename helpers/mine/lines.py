"""The list of the photos that somebody has worked on: `WORK/pairs/corrected.csv`, a line for each."""

import csv
from pathlib import Path
from typing import Any, NamedTuple

from helpers.files.csv_file import open_csv, write_csv
from helpers.mine.project import Photo

CORRECTED, CONFIRMED, OWN, WAITING = "corrected", "confirmed", "own mask", "waiting"
"""How a photo's matte came to be right; the last: nobody has looked at it."""


class Line(NamedTuple):
    """A line of corrected.csv.

    Attributes:
        photo: the photo's name. image, mask: its files below `pairs/`. split: the one they lie in.
        how: how its matte came to be right; `WAITING` if it counts no longer.
        revision: a number that grows with every change. changed: when that was.
        stamp: of the photo's file that `image` is a copy of, as `stamp_text`; "" in lists of earlier versions.
    """

    photo: str
    image: str
    mask: str
    split: str
    how: str
    revision: int
    changed: str
    stamp: str = ""

    def holds_for(self, photo: Photo) -> bool:
        """Whether somebody has looked at the matte, and the photo's file is the one of then."""
        return self.how != WAITING and self.is_of(photo)

    def is_of(self, photo: Photo) -> bool:
        """Whether the photo's file is the one of then, as far as the line tells."""
        return self.stamp in ("", stamp_text(photo))


def stamp_text(photo: Photo) -> str:
    """The stamp of a photo's file: `BYTES-NANOSECONDS`."""
    return "{}-{}".format(*photo.stamp)


def read_lines(path: Path) -> dict[str, Line]:
    """{photo's name: its `Line`}, empty without a file; ValueError names a line that cannot be understood."""
    if not path.is_file():
        return {}
    lines: dict[str, Line] = {}
    reader = open_csv(path)
    try:
        for row in reader:
            values: dict[str, Any] = row | {"revision": int(row["revision"]), "stamp": row.get("stamp") or ""}
            line = Line(**values)
            lines[line.photo] = line
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ValueError(f"{path}, line {reader.reader.line_num}: {error!r}; correct or remove the line") from error
    return lines


def write_lines(path: Path, lines: dict[str, Line]) -> None:
    """Write the list, sorted; the file is whole at any moment."""
    write_csv(path, [line._asdict() for line in sorted(lines.values())], Line._fields)
