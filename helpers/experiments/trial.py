"""One trial of the report's claims: a variant of `helpers.experiments.claims` trained with one seed, and measured."""

import functools
import hashlib
import subprocess
import time
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from helpers.config import Config
from helpers.cutout import Matter
from helpers.cutout.predictors import TorchPredictor
from helpers.datasets.layouts import find_pairs
from helpers.datasets.pairs import read_pair
from helpers.devices import best_runtime
from helpers.experiments.claims import (
    CLAIMS,
    LARGE,
    METRICS,
    REPORT,
    SYNTHETIC_ONLY,
    VARIANTS,
    Enlargement,
    config_of,
)
from helpers.files.atomic import whole_file
from helpers.metrics.errors import matting_metrics, mean_metrics, transition_band
from helpers.network_input import trained_size
from helpers.networks.pretrained import FOLDER, find_pretrained, find_shipped
from helpers.networks.registry import read_network
from helpers.samples.mixing import Source
from helpers.synthetic.dataset import make_portrait
from helpers.training.checkpoints import LATEST, take_up, write_checkpoint
from helpers.training.loop import train_epoch
from helpers.training.run import Run
from helpers.training.setup import assemble

MEASURED = 200
"""The most synthetic portraits that a network is measured on."""

MADE_SHARE = 0.25
"""Share of the synthetic portraits that an epoch shows, by turns, where there are photos to train on as well."""

SAVE_EVERY = 60
"""Seconds after which a training saves itself, to go on from there when it was stopped."""


def run_variant(
    name: str,
    seed: int,
    config: Config,
    made: Path,
    real: Sequence[Path] = (),
    weights: Path | str | None = None,
    unfinished: Path | None = None,
) -> list[dict[str, Any]]:
    """Train the variant `name` with `seed` and measure it. Returns its rows for `helpers.experiments.claims.RESULTS`.

    `made` is a folder of synthetic portraits, see `portraits_of`: the run trains on them, and its result is measured on
    their test split against exact mattes. `real` may be data sets of photos: the run trains on them too, except for
    `SYNTHETIC_ONLY`, and is measured on their validation split. `weights` is the original authors' file, by default the
    one in saved_models/. `config` is the preset. In the folder `unfinished` the training is saved every minute, and
    goes on from there; the caller removes it when the rows are stored.
    An `Enlargement` trains nothing and needs no data.
    Raises FileNotFoundError for missing data or weights, FloatingPointError for a loss that is not finite.
    """
    variant, stamp = VARIANTS[name], commit()
    start, origin = start_of(name, weights), origin_of(name, made, real, weights)
    if isinstance(variant, Enlargement):
        assert start  # it is of some weights
        (network, notes), runtime = read_network(start), best_runtime(precision=REPORT["precision"])
        matter = Matter(TorchPredictor(network, runtime), trained_size(notes))
        width = round(15 * variant.size / 320) | 1  # as wide a part of the portrait as 15 pixels are of 320, and odd
        found = {"made": measure(_enlarged(variant, seed, matter), width)}
        rate, steps, seconds = 0.0, 0, 0.0
    else:
        run, seconds = _trained(name, seed, config, made, real, start, unfinished)
        rate, steps = float(run.config.max_lr), run.step
        runtime = run.runtime
        matter = Matter(TorchPredictor(run.kept, runtime), run.config.image_size)
        pairs = {"made": find_pairs(portraits_of(name, made), "test", "mattes")[:MEASURED]}
        pairs |= {"real": _held_out(real)} if real else {}
        found = {portraits: measure(_predicted(matter, pairs[portraits], portraits)) for portraits in pairs}
    shared = {"steps": steps, "seconds": round(seconds, 1), "max_lr": float(f"{rate:.3g}"), "preset": config.name,
            "image_size": matter.size, **origin, "device": _device(runtime), "commit": stamp}  # fmt: skip
    claims = " ".join(str(number) for number, claim in CLAIMS.items() if name in claim.variants)
    return [
        {"claim": claims, "variant": name, "seed": seed, "set": portraits, "region": region}
        | {metric: round(errors[metric], 6) for metric in METRICS} | shared
        for portraits, regions in found.items() for region, errors in regions.items()
    ]  # fmt: skip


def _trained(
    name: str, seed: int, preset: Config, made: Path, real: Sequence[Path], start: Path | None, folder: Path | None
) -> tuple[Run, float]:
    """The `Run` of a variant, trained to its end, and the seconds it took, those before an interruption included."""
    started = saved = time.perf_counter()
    run, _ = assemble(config_of(name, seed, preset), sources_of(name, made, real), start, folder=folder)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        take_up(run, folder)
        clock = folder / "seconds.txt"
        started -= float(clock.read_text()) if run.step and clock.exists() else 0.0

    def save(run: Run) -> None:
        nonlocal saved
        if folder and time.perf_counter() - saved >= SAVE_EVERY:
            write_checkpoint(folder / LATEST, run.state_dict())
            saved = time.perf_counter()
            with whole_file(clock) as temporary:
                temporary.write_text(f"{saved - started:.1f}")

    while run.epoch < run.config.epochs:
        train_epoch(run, save)
    return run, time.perf_counter() - started


def measure(mattes: Iterable[tuple[NDArray, NDArray]], width: int = 15) -> dict[str, dict[str, float]]:
    """{"whole": …, "band": …}: mean `matting_metrics` over pairs `(pred, true)` of mattes (H, W) in [0, 1].

    The band is `transition_band(true, width)`; a matte without one counts for the whole image alone.
    """
    whole, band = [], []
    for pred, true in mattes:
        whole.append(matting_metrics(pred, true))
        region = transition_band(true, width)
        if region.any():
            band.append(matting_metrics(pred, true, region))
    return {"whole": mean_metrics(whole)} | ({"band": mean_metrics(band)} if band else {})


def _held_out(folders):
    return [pair for folder in folders for pair in find_pairs(folder, "val")]


def _predicted(matter, pairs, title):
    for pair in tqdm(pairs, desc=f"measuring, {title}", mininterval=1):
        photo, alpha = read_pair(pair)
        yield matter.alpha(photo), alpha / 255


def _enlarged(variant, seed, matter):
    """Predictions for large synthetic portraits, enlarged from the size the network saw them at, and their mattes."""
    for number in tqdm(range(variant.count), desc="measuring, enlarged"):
        portrait = make_portrait(1000 * seed + number, variant.size)
        alpha = matter.alpha(cv2.resize(portrait.image, (matter.size, matter.size), interpolation=cv2.INTER_AREA))
        if variant.thresholded:
            alpha = (alpha >= 0.5).astype(np.float32)
        alpha = cv2.resize(alpha, (variant.size, variant.size), interpolation=cv2.INTER_LINEAR)
        if variant.thresholded:
            alpha = (alpha >= 0.5).astype(np.float32)
        yield alpha, portrait.matte / 255


def portraits_of(name: str, made: Path) -> Path:
    """The folder of synthetic portraits of the variant `name`: `made`, or for `LARGE` ones the folder beside it."""
    return made.with_name(f"{made.name}-large") if name in LARGE else made


def sources_of(name: str, made: Path, real: Sequence[Path] = ()) -> list[Source]:
    """The `Source`s that the variant `name` is trained on."""
    photos = [Source(folder) for folder in real if name not in SYNTHETIC_ONLY]
    return [Source(portraits_of(name, made), weight=MADE_SHARE if photos else 1.0), *photos]


def start_of(name: str, weights: Path | str | None = None) -> Path | None:
    """The weight file that the variant `name` starts from, or predicts with; None: random weights.

    `weights` is the original authors' file, by default the one in saved_models/. Raises FileNotFoundError without it.
    """
    changes, own = VARIANTS[name], find_shipped("u2net_lite")
    if isinstance(changes, Enlargement):
        if own:
            return own
    elif (REPORT | changes)["start"] == "random":
        return None
    path = Path(weights or find_pretrained("u2net_lite") or FOLDER / "u2netp.pth")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no weights there; put u2netp.pth into saved_models/, or name it: --weights")
    return path


def origin_of(name: str, made: Path, real: Sequence[Path] = (), weights: Path | str | None = None) -> dict[str, str]:
    """What the variant `name` is trained on, and the weights it starts from with the first digits of their hash."""
    changes, path = VARIANTS[name], start_of(name, weights)
    start = f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}" if path else "random"
    if isinstance(changes, Enlargement):
        return {"data": f"{changes.count} synthetic portraits of {changes.size} px", "start": start}
    names = (Path(source.folder).resolve().name for source in sources_of(name, made, real))
    return {"data": " + ".join(names), "start": start}


def _device(runtime):
    chip = torch.cuda.get_device_name(runtime.device) if runtime.device.type == "cuda" else runtime.device.type
    return f"{chip} {runtime.amp_dtype or torch.float32}".replace("torch.", "")


@functools.cache
def commit(folder: Path = Path(__file__).parents[1]) -> str:
    """The commit of the code in `folder`, with "+" if files have changed there; "unknown" outside a git repository."""
    git = partial(subprocess.run, cwd=folder, capture_output=True, text=True)
    try:
        head = git(["git", "rev-parse", "--short", "HEAD"], check=True).stdout.strip()
        return head + "+" * git(["git", "diff", "--quiet", "HEAD", "--", "."]).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
