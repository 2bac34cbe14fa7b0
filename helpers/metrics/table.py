"""The results for a folder: the figures of each picture, the table of their means, and the CSV file."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.datasets.ground_truth import summary
from helpers.files.atomic import whole_file
from helpers.files.text import first_lines
from helpers.metrics.errors import BOUNDARY, mean_metrics
from helpers.metrics.perceptual import GRADIENT_SCALE

CODES = {"dim": "Deep Image Matting's evaluation code", "p3m": "P3M-Net's and GFM's evaluation code"}
FIGURES = ("sad", "mse", "mad", "grad", "conn", "iou", "boundary_iou")
"""The columns, of which the last is measured on the whole image only."""


class Score(NamedTuple):
    """The results for one picture.

    Attributes:
        name: the path by which it was matched. size: (height, width), None if nothing could be measured.
        metrics: {region: {figure: value}}. empty: the regions in which this picture has no pixel.
        faults: lines that name what could not be read or measured.
        remarks: what is odd about the ground truth and the prediction, see `helpers.datasets.ground_truth`.
    """

    name: str
    size: tuple[int, int] | None = None
    metrics: dict[str, dict[str, float]] = {}
    empty: list[str] = []
    faults: list[str] = []
    remarks: list[tuple[str, str]] = []


class Scores(NamedTuple):
    """The results of `score_folders`; as a string it is the table.

    Attributes:
        pred, true: the folders. layout: that of the ground truths, in words. convention: of gradient and connectivity.
        regions: {name: meaning}. truths: the number of ground truths.
        scores: a `Score` for each with a prediction.
        missing: the names of those without. notes: lines about files that are not paired.
    """

    pred: Path
    true: Path
    layout: str
    convention: str
    regions: dict[str, str]
    truths: int
    scores: list[Score]
    missing: list[str]
    notes: list[str]

    def left_out(self) -> list[str]:
        """Lines that count and name the pictures that are not in the table; none if all are."""
        lines, faults = list(self.notes), [fault for score in self.scores for fault in score.faults]
        for kind, texts in (("ground truths without a prediction", self.missing), ("not measured", faults)):
            if texts:
                lines += [f"{kind}: {len(texts)}", *(f"  {line}" for line in first_lines(texts))]
        return lines

    def remarks(self) -> list[str]:
        """A line for each kind of remark on the files that were measured."""
        return summary(remark for score in self.scores for remark in score.remarks)

    def __str__(self) -> str:
        sizes = sorted((np.prod(score.size), score.size) for score in self.scores if score.size)
        ends = dict.fromkeys(f"{width}×{height}" for _, (height, width) in sizes[:1] + sizes[-1:])
        header = [
            ("predictions", self.pred),
            ("ground truth", f"{self.true} ({self.layout})"),
            ("pictures", f"{len(sizes)} measured of {self.truths} ground truths"),
            ("resolution", f"{' to '.join(ends) or 'none'} pixels (width × height), as the ground truths"),
            ("convention", f"{self.convention}: gradient and connectivity as in {CODES[self.convention]}"),
            *(("region", f"{name}: {meaning}") for name, meaning in self.regions.items()),
            ("figures", "means over the pictures; alpha from 0 to 1 as it is, not stretched; IoU at 0.5"),
            ("boundary", f"within {BOUNDARY:.0%} of the diagonal inside the mask at 0.5; of whole images only"),
        ]
        scales = {"sad": "SAD /1000", "mse": "MSE", "mad": "MAD", "grad": f"grad /{GRADIENT_SCALE[self.convention]}",
                  "conn": "conn /1000", "iou": "IoU", "boundary_iou": "boundary IoU"}  # fmt: skip
        rows, notes = [["region", "pictures", *(scales[figure] for figure in FIGURES)]], []
        for region in self.regions:
            measured = [score.metrics[region] for score in self.scores if region in score.metrics]
            mean = mean_metrics(measured) if measured else {}
            rows.append([region, str(len(measured)), *(_cell(figure, mean) for figure in FIGURES)])
            if empty := sum(region in score.empty for score in self.scores):
                notes.append(f"{region}: {empty} of the pictures without such a pixel")
        widths = [max(map(len, column)) for column in zip(*rows)]
        table = [f"{row[0]:<{widths[0]}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:]))
                 for row in rows]  # fmt: skip
        return "\n".join([*(f"{key:<12} {value}" for key, value in header), "", *map(str.rstrip, table), *notes])


def write_csv(path: Path | str, scores: Scores) -> None:
    """Write one line per measured picture: its name, size, convention, and the figures of each region in full.

    A cell is empty where a region could not be measured. The file is whole or not there at all.
    """
    columns = [(region, figure) for region in scores.regions for figure in FIGURES
               if region == "whole" or figure != "boundary_iou"]  # fmt: skip
    # names that are not in UTF-8, as from old archives, are written with their bytes as \udc..
    with (
        whole_file(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["picture", "width", "height", "convention", *(f"{region}_{key}" for region, key in columns)])
        for score in scores.scores:
            if score.size:
                cells = [score.metrics.get(region, {}).get(figure, "") for region, figure in columns]
                writer.writerow([score.name, *score.size[::-1], scores.convention, *cells])


def _cell(figure: str, mean: Mapping[str, float]) -> str:
    if figure not in mean:
        return ""
    return f"{mean[figure]:.{5 if figure in ('mse', 'mad') else 4 if figure.endswith('iou') else 3}f}"
