"""A folder of predicted mattes measured against ground truths: every picture scored, in several processes."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.datasets.ground_truth import CLASSES, read_ground_truth
from helpers.datasets.pairs import Pair
from helpers.files.folders import pictures_below
from helpers.files.grey import grey_values, has_colours, is_lossy
from helpers.files.parallel import in_parallel
from helpers.files.photos import open_picture
from helpers.files.text import fault_of
from helpers.metrics.errors import (
    boundary_iou,
    metrics_by_region,
    transition_band,
    unknown_region,
)
from helpers.metrics.ground_truth import Truth, find_truths
from helpers.metrics.table import Score, Scores

Place = Callable[[Truth], str | int | Path | None]
FAINT_PREDICTION = "predictions that stay below half"
FULL_PREDICTION = "predictions without background"

NEARLY = 9
"""Values of a trimap below it, or above 255 less it, are background and person: in another code, or compressed."""


def score_folders(
    pred: Path | str,
    true: Path | str,
    regions: Sequence[Path | str] | None = None,
    band_width: int = 15,
    convention: str = "dim",
    workers: int | None = None,
) -> Scores:
    """Measure all predictions in the folder `pred` against the ground truths in `true`; returns `Scores`.

    `regions` are "whole", "band" (the transition band, `band_width` wide) and folders of trimaps, whose
    unknown pixels count. None means the first two, and the trimaps beside the ground truths if there are any.
    Predictions are matched by `Truth.names`. One that is unreadable or of another size is named and left out.
    `convention` as in `helpers.metrics.errors.matting_metrics`, `workers` as in `helpers.files.parallel.in_parallel`.
    Raises FileNotFoundError for a folder that is missing or empty or if nothing matches, and ValueError for an even
    band or as `find_truths`.
    """
    transition_band(np.zeros((1, 1)), band_width)  # refuses a wrong width before any file is read
    pictures, found = pictures_below(pred), find_truths(true)
    places = _regions(regions, band_width, found.truths)
    jobs, scores, missing = [], [], []
    for truth in found.truths:
        name = truth.names[0] if truth.names else str(truth.pair.truth)
        try:
            if prediction := _named(truth, pictures):
                where = {key: place_of(truth) for key, (_, place_of) in places.items()}
                jobs.append(_Job(name, prediction, truth.pair, where))
            else:
                missing.append(name)
        except ValueError as error:
            scores.append(Score(name, faults=[str(error)]))
    if not jobs and not scores:
        files = sum(map(len, pictures.values()))
        raise FileNotFoundError(
            f"{pred}: none of the {files} pictures there has the name of one of the {len(found.truths)} ground truths "
            f"in {true} ({found.layout}). Looked for {' or '.join(found.truths[0].names)} and so on, "
            f"found {next(iter(pictures))} and so on; give two folders whose names correspond"
        )
    scores += in_parallel(partial(_score, convention=convention), jobs, workers, "measuring")
    meanings = {key: meaning for key, (meaning, _) in places.items()}
    return Scores(
        Path(pred), Path(true), found.layout, convention, meanings, len(found.truths), scores, missing, found.left_out
    )


class _Job(NamedTuple):
    """A picture to measure; `regions` is {name: "whole", a band's width, a trimap's file, or None if it is missing}."""

    name: str
    prediction: Path
    truth: Pair
    regions: dict


def _regions(
    regions: Sequence[Path | str] | None, band_width: int, truths: list[Truth]
) -> dict[str, tuple[str, Place]]:
    """{name: (meaning, function that returns where the region of a ground truth is, as in `_Job`)}."""
    chosen: dict[str, tuple[str, Place]] = {}
    for region in dict.fromkeys(regions or ("whole", "band")):
        if region == "whole":
            chosen["whole"] = "all pixels", _everywhere
        elif region == "band":
            square = f"{band_width}×{band_width} square"
            meaning = f"at most {band_width // 2} pixels from a change in the ground truth ({square})"
            chosen[f"band{band_width}"] = meaning, lambda truth: band_width
        else:
            try:
                trimaps = pictures_below(region)
            except FileNotFoundError as error:
                raise FileNotFoundError(f"{error}; a region is whole, band, or a folder of trimaps") from None
            chosen[str(region)] = "the unknown pixels of the trimaps there", partial(_named, pictures=trimaps)
    if not regions and any(truth.trimap for truth in truths):
        chosen["trimap"] = "the unknown pixels of the trimaps beside the ground truths", lambda truth: truth.trimap
    return chosen


def _everywhere(truth: Truth) -> str:
    return "whole"


def _named(truth: Truth, pictures: Mapping[str, list[Path]]) -> Path | None:
    """The prediction or trimap of a ground truth, None if there is none. Raises ValueError if there are several."""
    files = next((pictures[name] for name in truth.names if name in pictures), [None])
    if len(files) > 1:
        raise ValueError(f"{' and '.join(map(str, files))}: only one of them can be meant; remove the others")
    return files[0]


def _score(job: _Job, convention: str) -> Score:
    """The `Score` of a picture; everything that is wrong with its files becomes a fault."""
    try:
        pred, (true, remarks) = _read_prediction(job.prediction), read_ground_truth(job.truth.truth, job.truth.reading)
    except Exception as error:  # a decoder may raise anything on a broken file
        return Score(job.name, faults=[fault_of(job.prediction, error)])
    if pred.shape != true.shape:
        return Score(job.name, faults=[_sizes(job.prediction, pred, job.truth.truth, true)])
    if 0 < true.max() < len(CLASSES):
        fault = f"at most {true.max()} of 255: class ids are read only in the folder of the whole data set"
        return Score(job.name, faults=[f"{job.truth.truth}: {fault}"])
    matte, masks, faults = true / 255, {}, []
    for region, where in job.regions.items():
        try:
            masks[region] = _mask(where, matte)
        except Exception as error:
            faults.append(f"{job.name}, {region}: {fault_of(where, error)}")
    empty = [region for region, mask in masks.items() if not mask.any()]
    metrics = metrics_by_region(
        pred / 255, matte, {key: mask for key, mask in masks.items() if key not in empty}, convention
    )
    if "whole" in metrics:
        metrics["whole"]["boundary_iou"] = boundary_iou(pred / 255, matte)
    if 0 < pred.max() < 128:
        remarks.append((FAINT_PREDICTION, f"{job.prediction}: at most {pred.max()} of 255"))
    if pred.min() >= 128 > true.min():
        remarks.append((FULL_PREDICTION, f"{job.prediction}: at least {pred.min()} of 255"))
    return Score(job.name, true.shape, metrics, empty, faults, remarks)


def _read_prediction(path: Path) -> NDArray[np.uint8]:
    """A prediction as (H, W) uint8: the alpha channel of a cutout, otherwise grey as it is.

    A grey picture that is opaque everywhere, as some programs save masks, is no cutout; nor is one with a single
    transparent value.
    """
    picture = open_picture(path)
    if not picture.has_transparency_data or picture.mode in ("1", "L"):
        return _grey(picture, path)
    alpha = np.array(picture.convert("RGBA").getchannel("A"))
    if alpha.min() == 255:
        with suppress(ValueError):  # in colour
            return _grey(picture, path)
    return alpha


def _grey(picture: Image.Image, path: Path | str) -> NDArray[np.uint8]:
    """`grey_values`. A palette of colours is refused as well: its indices are no alphas."""
    if has_colours(picture):
        raise ValueError(f"{path}: has a palette of colours, and is no matte; save it as grey PNG of 8 bits")
    return grey_values(picture, path)


def _mask(where: str | int | Path | None, matte: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The region of a picture as a boolean mask of its ground truth's shape; `where` as in `_Job`."""
    if where == "whole":
        return np.ones(matte.shape, bool)
    if isinstance(where, int):
        return transition_band(matte, where)
    if where is None:
        raise ValueError("no trimap of this name")
    picture = open_picture(where)
    trimap = _grey(picture, where)
    if trimap.shape != matte.shape:
        raise ValueError(_sizes(where, trimap, "its ground truth", matte))
    counts = np.bincount(trimap.ravel(), minlength=256)
    below, above = counts[1:NEARLY].sum(), counts[-NEARLY:-1].sum()
    is_coded = below > counts[0] or above > counts[-1] or counts[-1] == 0 and np.count_nonzero(counts[1:]) == 2
    if is_coded or (below or above) and is_lossy(picture, where):
        found = _listed(np.flatnonzero(counts))
        raise ValueError(
            f"{where}: no trimap of 0, 255 and one value between, but {found}; save it as PNG of 0, 128 where it is "
            "unknown, and 255"
        )
    return unknown_region(trimap)


def _listed(values: NDArray[np.int64]) -> str:
    return ", ".join(map(str, values[:4])) + (" …" if len(values) > 4 else "")


def _sizes(file: object, found: NDArray, other: object, wanted: NDArray) -> str:
    """The line about two pictures (H, W) that should have the same size."""
    size, wanted_size = (f"{width}×{height}" for height, width in (found.shape, wanted.shape))
    return f"{file}: {size} pixels, but {other} has {wanted_size}"
