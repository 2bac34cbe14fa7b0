"""CSV files: rows written into one that is whole at any moment, and one read as spreadsheets write it."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from helpers.files.atomic import whole_file
from helpers.files.text import read_text


def write_csv(path: Path | str, rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> None:
    """Write `rows`, dicts by column, below a line with the `columns`; errors as in `whole_file`.

    Raises ValueError for a row with another column; the file is unchanged then.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with whole_file(path) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")


def open_csv(path: Path | str) -> csv.DictReader:
    """A reader of the rows of a CSV file, {column: text}, with the names of the columns in lower case.

    The separator is a comma, a semicolon, which spreadsheets write in some countries, or a tab: whichever the first
    line has most of. Errors as in `helpers.files.text.read_text`, and ValueError for a first line that cannot be read.
    """
    text = read_text(path)
    separator = max(",;\t", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or []]
    except csv.Error as error:
        raise ValueError(f"{path}, line 1: {error}; correct or remove the line") from error
    return reader
