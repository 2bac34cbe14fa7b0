"""Rows written as a CSV file that is whole at any moment."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from helpers.files.atomic import whole_file


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
