"""Every figure of the notebook; each function draws one and returns it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from helpers.datasets.layouts import CLASSES
from helpers.datasets.pairs import Pair
from helpers.losses import edge_mask
from helpers.schedule import annihilation_start

CLASS_COLOURS = ListedColormap(
    ["#202020", "#4c78a8", "#f2cfa5", "#8c510a", "#bf812d", "#35978f", "#80cdc1", "#d6604d", "#f7f7f7"]
)


def grid(
    rows: Sequence[Sequence[ArrayLike | None]], titles: Sequence[str] = (), side: float = 1.5, **style: Any
) -> Figure:
    """Pictures in rows and columns without axes; arrays (H, W) in [0, 1] are drawn grey, None leaves a gap.

    `titles` stand over the first row, `side` is the height of a row in inches; `style` goes to `imshow`.
    """
    columns = max(len(row) for row in rows)
    first = next(picture for picture in rows[0] if picture is not None)
    width = side * np.shape(first)[1] / np.shape(first)[0]
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(width * columns, side * len(rows) + 0.3 * bool(titles)), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for row, row_axes in zip(rows, axes):
        for picture, axis in zip(row, row_axes):
            if picture is not None:
                limits = {} if np.ndim(picture) == 3 else {"cmap": "gray", "vmin": 0, "vmax": 1}
                axis.imshow(picture, **(limits | style))
    for title, axis in zip(titles, axes[0]):
        axis.set_title(title, fontsize=9)
    figure.tight_layout(pad=0.5)
    return figure


def contact_sheet(images: Sequence[NDArray], columns: int = 12, side: float = 0.8) -> Figure:
    """Many pictures (H, W, 3) of one size, close together. Pictures that do not fill the last row are left out."""
    columns = min(columns, len(images))
    rows = [images[i : i + columns] for i in range(0, len(images) - columns + 1, columns)]
    sheet = np.vstack([np.hstack(row) for row in rows])
    figure = plt.figure(figsize=(columns * side, len(rows) * side))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(sheet)
    axis.axis("off")
    return figure


def overlay(photo: NDArray, alpha: NDArray, colour: tuple[float, float, float] = (0.1, 0.8, 0.3)) -> NDArray:
    """The photo (H, W, 3) uint8 with its alpha (H, W) in [0, 1] tinted over it, as (H, W, 3) in [0, 1]."""
    tint = 0.5 * alpha[..., None]
    return photo / 255 * (1 - tint) + np.array(colour) * tint


def samples(triples: Iterable[tuple[NDArray, NDArray, NDArray]]) -> Figure:
    """Photo, class ids, mask and overlay of portraits; `triples` hold photo uint8, ids uint8 and alpha in [0, 1]."""
    rows = [[photo, CLASS_COLOURS(ids)[..., :3], alpha, overlay(photo, alpha)] for photo, ids, alpha in triples]
    return grid(rows, ("photo", "classes", "mask", "overlay"), side=1.2)


def class_legend() -> Figure:
    """The colours of the classes in `samples`."""
    figure, axis = plt.subplots(figsize=(9, 0.5))
    axis.imshow([range(len(CLASSES))], cmap=CLASS_COLOURS, aspect="auto")
    for i, name in enumerate(CLASSES):
        colour = "white" if i in (0, 1, 3) else "black"
        axis.text(i, 0, f"{i} {name}", ha="center", va="center", fontsize=6, color=colour)
    axis.axis("off")
    figure.tight_layout(pad=0)
    return figure


def alpha_histogram(masks: Mapping[str, ArrayLike]) -> Figure:
    """How many pixels have which alpha: `masks` maps a name to an array of alphas in [0, 1]. Logarithmic."""
    figure, axes = plt.subplots(1, len(masks), figsize=(4 * len(masks), 2.2), sharey=True)
    for axis, (name, alphas) in zip(axes, masks.items()):
        axis.hist(np.ravel(alphas), bins=51, range=(0, 1), log=True, color="#4c78a8")
        axis.set(title=name, xlabel="alpha")
    axes[0].set_ylabel("pixels")
    figure.tight_layout()
    return figure


def counts(splits: Mapping[str, Iterable[Pair]]) -> Figure:
    """How many portraits each category has, one bar with a piece for each split; `splits` maps a split to its pairs."""
    tallies = {split: Counter(pair.category or "no category" for pair in pairs) for split, pairs in splits.items()}
    totals = sum(tallies.values(), Counter())
    names = sorted(totals, key=totals.__getitem__)  # the first is drawn at the bottom
    figure, axis = plt.subplots(figsize=(7, 1.2 + 0.3 * len(names)))
    left = np.zeros(len(names), int)
    for split, tally in tallies.items():
        pieces = np.array([tally[name] for name in names], int)
        axis.barh(names, pieces, left=left, label=split)
        left += pieces
    for row, total in enumerate(left):
        axis.text(total, row, f" {total:,}", va="center", fontsize=8)
    axis.set(title="portraits by category", xlabel="pictures", xlim=(0, 1.12 * max(totals.values(), default=1)))
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    figure.tight_layout()
    return figure


def learning_rates(curves: Mapping[str, Sequence[float]]) -> Figure:
    """Learning rate by step; `curves` maps a name to rates. Marks the annihilation phase of the one-cycle curve."""
    figure, axis = plt.subplots(figsize=(6, 2.6))
    for name, lrs in curves.items():
        axis.semilogy(lrs, label=name)
    with suppress(ValueError):  # a run of very few steps has no such phase
        start = annihilation_start(curves["one-cycle"])
        axis.axvspan(start, len(curves["one-cycle"]) - 1, color="#d6604d", alpha=0.2, label="annihilation")
    axis.set(title="learning rate", xlabel="step", ylabel="rate")
    axis.legend(fontsize=8)
    figure.tight_layout()
    return figure


def range_test_curve(lrs: Sequence[float], losses: Sequence[float], suggestion: float) -> Figure:
    """Loss against learning rate in the range test, with the rate at which the loss falls fastest."""
    figure, axis = plt.subplots(figsize=(6, 2.6))
    axis.semilogx(lrs, losses)
    axis.axvline(suggestion, color="#d6604d", linestyle="--", label=f"steepest at {suggestion:.1e}")
    axis.set(title="learning-rate range test", xlabel="learning rate", ylabel="smoothed loss")
    axis.legend(fontsize=8)
    figure.tight_layout()
    return figure


def lines(curves: Mapping[str, Any], title: str, xlabel: str, ylabel: str, points: str | None = None) -> Figure:
    """Named curves over one axis; `curves` maps a name to `y` or to `(x, y)`."""
    figure, axis = plt.subplots(figsize=(6, 2.6))
    for name, curve in curves.items():
        axis.plot(*(curve if isinstance(curve, tuple) else (curve,)), label=name, marker=points, markersize=3)
    axis.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axis.legend(fontsize=8)
    figure.tight_layout()
    return figure


def loss_curves(history: Mapping[str, Sequence[Any]], every: int, start: float | None = None) -> Figure:
    """Training and validation loss by iteration: every value, and the mean over each `every` iterations.

    `start` is the validation loss before training, where it is known.
    """
    train, val = np.array(history["train"]), np.array(history["val"])
    if start is not None:
        val = np.vstack([[[0, start]], val])
    figure, axes = plt.subplots(1, 2, figsize=(10, 2.8), sharey=True)
    axes[0].plot(np.arange(1, len(train) + 1), train, linewidth=0.6, label="training")
    chunks = [train[i : i + every] for i in range(0, len(train), every)]
    centres = [i * every + (len(chunk) + 1) / 2 for i, chunk in enumerate(chunks)]
    axes[1].plot(centres, [chunk.mean() for chunk in chunks], marker=".", label="training")
    for axis, title in zip(axes, ("every iteration", f"mean of each {every} iterations")):
        axis.plot(val[:, 0], val[:, 1], marker="o", markersize=4, label="validation")
        axis.set(title=title, xlabel="iteration")
        axis.legend(fontsize=8)
    axes[0].set_ylabel("loss")
    figure.tight_layout()
    return figure


def thumbnail(picture: ArrayLike | Image.Image, side: int = 320) -> NDArray:
    """An array of the picture, at most `side` pixels long, to keep figures small."""
    array = np.asarray(picture)
    scale = side / max(array.shape[:2])
    return array if scale >= 1 else cv2.resize(array, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def finest_window(alpha: NDArray, side: int) -> tuple[int, int]:
    """Top left corner (y, x) of the side × side window of `alpha` (H, W) in [0, 1] with the most edges: the hair."""
    steps = np.abs(np.diff(alpha, axis=0, append=alpha[-1:])) + np.abs(np.diff(alpha, axis=1, append=alpha[:, -1:]))
    sums = cv2.boxFilter(steps, -1, (side, side), anchor=(0, 0), normalize=False, borderType=cv2.BORDER_CONSTANT)
    sums = sums[: alpha.shape[0] - side + 1, : alpha.shape[1] - side + 1]
    y, x = np.unravel_index(sums.argmax(), sums.shape)
    return int(y), int(x)


def sunset(height: int, width: int) -> Image.Image:
    """A sky from blue to orange as a background to try, RGB `PIL.Image`."""
    stops, colours = [0, 0.45, 0.75, 1], np.array([[38, 70, 120], [120, 130, 160], [250, 170, 100], [90, 60, 70]])
    rows = np.stack([np.interp(np.linspace(0, 1, height), stops, channel) for channel in colours.T], axis=1)
    return Image.fromarray(np.repeat(rows[:, None].astype(np.uint8), width, axis=1))


def answers(found: Sequence[Any]) -> Figure:
    """The gain of each of `helpers.experiments.answers.answers` with its 95 % interval, in one figure.

    The unit is the smallest difference worth caring about: within the grey band nothing matters. Green is better, red
    is worse, grey is neither.
    """
    figure, axis = plt.subplots(figsize=(7, 0.8 + 0.3 * len(found)))
    axis.axvspan(-1, 1, color="#eeeeee")
    axis.axvline(0, color="black", linewidth=0.8)
    for row, answer in enumerate(found):
        gain, unit = answer.gain, answer.least
        if gain.low == gain.low:  # there is an interval
            colour = {"better": "#2a9d4a", "worse": "#d6604d"}.get(answer.verdict.split()[0], "#888888")
            errors = [[(gain.mean - gain.low) / unit], [(gain.high - gain.mean) / unit]]
            axis.errorbar(gain.mean / unit, row, xerr=errors, fmt="o", color=colour, markersize=4)
        else:
            axis.text(0, row, answer.verdict, fontsize=7, color="#888888", ha="center", va="center")
    names = [f"{answer.question.name}  {answer.question.text}" for answer in found]
    axis.set(yticks=range(len(found)), yticklabels=names, ylim=(len(found) - 0.5, -0.5))
    axis.set_xlabel("gain, in units of the smallest difference worth caring about")
    axis.tick_params(axis="y", labelsize=7)
    axis.set_xscale("symlog", linthresh=1)
    axis.xaxis.set_major_formatter("{x:g}")  # 10 and not a power of ten
    figure.tight_layout()
    return figure


def error_map(pred: NDArray, true: NDArray) -> NDArray:
    """Where `pred` differs from `true`, both (H, W) in [0, 1]: red where the person is missing, blue where there is
    too much. As (H, W, 3) in [0, 1], white where they agree."""
    missing, extra = np.clip(true - pred, 0, 1), np.clip(pred - true, 0, 1)
    return np.dstack([1 - extra, 1 - missing - extra, 1 - missing])


def loss_and_threshold(
    photo: NDArray, true: NDArray, matte: NDArray, lam: float, width: int, threshold: float
) -> Figure:
    """What each pixel weighs in the loss (1 + λ in the edge mask, else 1), and the matte beside its thresholded mask.

    `photo` (H, W, 3) uint8; `true` and `matte` (H, W) in [0, 1].
    """
    edge = edge_mask(torch.from_numpy(true).float()[None, None], width)[0, 0].numpy()
    hard = (matte >= threshold).astype(float)
    pictures = [overlay(photo, edge, (1, 0.1, 0.1)), (1 + lam * edge) / (1 + lam), matte, hard, error_map(hard, true)]
    titles = (f"edge mask, width {width}", f"weight 1 or {1 + lam:g}", "continuous matte", f"threshold {threshold:g}",
              f"error: {np.abs(hard - true).mean():.3f}, soft {np.abs(matte - true).mean():.3f}")  # fmt: skip
    return grid([pictures], titles, side=2)
