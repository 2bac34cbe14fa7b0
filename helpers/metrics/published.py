"""mIoU as EasyPortrait measures it, and what it publishes of the networks that were trained on it."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

EASYPORTRAIT = {
    "SegFormer-B0, 1024²": 0.9874,
    "FPN, ResNet50, 384²": 0.9864,
    "SegFormer-B0, 384²": 0.9861,
    "BiSeNetV2": 0.9795,
    "SINet": 0.9332,
}
"""mIoU of portrait segmentation on EasyPortrait's test split, by network (the README of EasyPortrait)."""


def overlap(pred: ArrayLike, true: ArrayLike, region: ArrayLike | None = None) -> NDArray[np.int64]:
    """How many pixels two mattes share, both thresholded at 0.5.

    Parameters
    ----------
    pred, true : array (H, W)
        The prediction and the ground truth, in [0, 1].
    region : boolean array (H, W), optional
        The pixels that count; by default all.

    Returns
    -------
    int64 array (2, 2)
        A row for the background and one for the person: the pixels of the intersection and of the union.

    Examples
    --------
    >>> overlap(np.array([[0.0, 0.2, 1.0]]), np.array([[0.0, 1.0, 1.0]])).tolist()
    [[1, 2], [1, 2]]
    """
    found, person = np.asarray(pred) >= 0.5, np.asarray(true) >= 0.5
    counted = np.ones_like(person) if region is None else np.asarray(region)
    pairs = ((~found, ~person), (found, person))
    return np.array([[(a & b & counted).sum(), ((a | b) & counted).sum()] for a, b in pairs], np.int64)


def mean_iou(overlaps: Iterable[NDArray[np.int64]]) -> float:
    """mIoU of many portraits, each given by `overlap`: the mean of the background's IoU and the person's.

    The pixels of all portraits are counted together, as in mmsegmentation, with which EasyPortrait is measured. So a
    large portrait weighs more than a small one. A class without a pixel counts as found; NaN without a portrait.
    """
    overlaps = list(overlaps)
    if not overlaps:
        return float("nan")
    shared, either = np.sum(overlaps, axis=0).T
    return float(np.where(either > 0, shared / np.maximum(either, 1), 1.0).mean())


def miou_table(measured: Mapping[str, float], on: str) -> str:
    """The mIoU `measured` on the photos `on`, by network, and `EASYPORTRAIT`, as a Markdown table, the best first."""
    rows = [(value, name, on) for name, value in measured.items()]
    rows += [(value, f"{name} (published)", "test split of EasyPortrait") for name, value in EASYPORTRAIT.items()]
    lines = [f"| {name} | {value:.4f} | {where} |" for value, name, where in sorted(rows, key=lambda row: -row[0])]
    return "\n".join(["| network | mIoU | measured on |", "|---|---|---|", *lines])
