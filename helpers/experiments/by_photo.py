"""What eight-bit integers cost a network: two files of it compared photo by photo (docs/protocol.md, future work).

    python -m helpers.export WEIGHTS exact.onnx
    python -m helpers.export WEIGHTS int8.onnx --int8 --calibrate SELFIES
    python -m helpers.experiments.by_photo exact.onnx int8.onnx --real SELFIES --real STREET

Alphas are those of `load_matter(FILE).alpha`, at the photo's own size, on the splits that training keeps back.
"""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from helpers.cutout import load_matter
from helpers.datasets.pairs import read_pair
from helpers.experiments.claims import FIELDS, METRICS
from helpers.experiments.trial import commit
from helpers.experiments.validation import held_out
from helpers.files.arguments import path
from helpers.files.csv_file import write_csv
from helpers.metrics.errors import alpha_errors
from helpers.startup import begin

EIGHT_BITS = Path(__file__).parents[2] / "results" / "int8.csv"
"""The stored comparison: one line for each photo, with the MAD of both files."""

COMPARED = ("exact", "int8")
"""What the two files are called in the results: the network in float32 and in eight-bit integers."""

COLUMNS = ("set", "photo", *COMPARED, "commit")
"""Columns of `EIGHT_BITS`; `set` is the name of the data set's folder, and the two of `COMPARED` are MADs."""


def compare(exact: Path | str, int8: Path | str, real: Sequence[Path]) -> list[dict[str, Any]]:
    """The MAD of two weight files on each held-out photo of the data sets `real`, as rows by `COLUMNS`.

    Raises what `load_matter` and `held_out` raise.
    """
    matters = {name: load_matter(file, "cpu") for name, file in zip(COMPARED, (exact, int8))}
    pairs = [(folder.resolve().name, pair) for folder in real for pair in held_out(folder)]
    rows = []
    for name, pair in tqdm(pairs, desc="comparing", unit="photo"):
        photo, true = read_pair(pair)
        mads = {column: alpha_errors(matter.alpha(photo), true / 255)[1] for column, matter in matters.items()}
        rows.append({"set": name, "photo": pair.image.name, **mads, "commit": commit()})
    return rows


def store(rows: Sequence[dict[str, Any]], path: Path = EIGHT_BITS) -> None:
    """Write the rows of `compare`; the file is whole at any moment."""
    write_csv(path, (row | {column: f"{row[column]:.6f}" for column in COMPARED} for row in rows), COLUMNS)


def rows_by_photo(path: Path = EIGHT_BITS) -> list[dict[str, Any]]:
    """The stored comparison as rows of `helpers.experiments.claims.FIELDS`; without a file there are none.

    The variants are `int8` and `exact`, and the number of a photo stands for a seed: photos are the pairs here.
    """
    if not path.is_file():
        return []
    blank = {name: kind() for name, kind in FIELDS.items()} | dict.fromkeys(METRICS, float("nan"))
    with open(path, newline="", encoding="utf-8") as file:
        return [
            blank
            | {"claim": "int8", "variant": variant, "seed": number, "set": "real", "region": "whole"}
            | {"mad": float(row[variant]), "commit": row["commit"], "device": "cpu"}
            for number, row in enumerate(csv.DictReader(file))
            for variant in COMPARED
        ]


def main(arguments: list[str] | None = None) -> int:
    """Compare two files and store what was found; returns the exit code."""
    begin()
    parser = argparse.ArgumentParser(
        prog="python -m helpers.experiments.by_photo", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("exact", type=path, help="the network in float32")
    parser.add_argument("int8", type=path, help="the same network in eight-bit integers")
    parser.add_argument("--real", type=path, action="append", required=True, metavar="DIR", help="a data set of photos")
    parser.add_argument("--out", type=path, default=EIGHT_BITS, metavar="FILE", help="default: results/int8.csv")
    options = parser.parse_args(arguments)
    try:
        rows = compare(options.exact, options.int8, options.real)
        store(rows, options.out)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing is stored", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    exact, int8 = (sum(row[column] for row in rows) / len(rows) for column in COMPARED)
    print(f"{len(rows)} photos: MAD {exact:.4f} in float32, {int8:.4f} in int8; stored in {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
