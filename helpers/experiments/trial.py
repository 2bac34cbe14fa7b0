"""One trial of the report's claims: a variant of `helpers.experiments.claims` trained with one seed, and measured."""

import dataclasses
import functools
import hashlib
import subprocess
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, CyclicLR, LambdaLR, MultiStepLR, OneCycleLR
from tqdm import tqdm

from helpers.cutout import Matter, load_matter
from helpers.cutout.predictors import TorchPredictor
from helpers.datasets.layouts import find_pairs
from helpers.datasets.pairs import read_pair
from helpers.devices import best_runtime
from helpers.experiments.claims import CLAIMS, METRICS, VARIANTS, Enlargement, Variant
from helpers.losses import cross_entropy, l1, matting_loss, rmse
from helpers.metrics.errors import matting_metrics, mean_metrics, transition_band
from helpers.networks.pretrained import FOLDER, find_pretrained, find_shipped
from helpers.samples.mixing import Source
from helpers.schedule import one_cycle
from helpers.synthetic.dataset import make_portrait
from helpers.training.loop import train_epoch
from helpers.training.run import Run
from helpers.training.setup import assemble

ERRORS = {"rmse": rmse, "cross_entropy": cross_entropy, "l1": l1}

CYCLES = 3
"""Rises and falls of the triangular schedule; Smith (2017) advises at least three."""

SCHEDULES = {
    "one_cycle": one_cycle,
    # the way down ends where the way up began
    "no_annihilation": lambda optimizer, max_lr, steps: OneCycleLR(
        optimizer, max_lr, total_steps=steps, cycle_momentum=False, final_div_factor=1
    ),
    "constant": lambda optimizer, max_lr, steps: LambdaLR(optimizer, lambda step: 1.0),
    # a tenth after a half and after three quarters, as He et al. (2016) trained residual networks on CIFAR-10
    "step": lambda optimizer, max_lr, steps: MultiStepLR(optimizer, [steps // 2, steps * 3 // 4], gamma=0.1),
    "cosine": lambda optimizer, max_lr, steps: CosineAnnealingLR(optimizer, T_max=steps),
    "triangular": lambda optimizer, max_lr, steps: CyclicLR(
        optimizer, max_lr / 25, max_lr, step_size_up=steps / CYCLES / 2, cycle_momentum=False
    ),
}
"""`schedule(optimizer, max_lr, steps)`, to be stepped after each of so many batches; the optimiser begins at max_lr."""


def run_variant(name, seed, config, made, real=None, weights=None):
    """Train the variant `name` with `seed` and measure it: the rows that `helpers.experiments.claims.RESULTS` stores of it.

    `made` is a made data set: trained on, and its test split measured against exact mattes. `real` may be a data set of
    photos: mixed in (`Variant.data`), and its validation split measured. `weights` is the original authors' file, by
    default the one in saved_models/. The rest is as `config` says. An `Enlargement` trains nothing and needs no data.
    Raises FileNotFoundError for data or weights that are missing, FloatingPointError for a loss that is not finite.
    """
    variant, stamp = VARIANTS[name], commit()
    start, origin, started = start_of(variant, weights), origin_of(variant, made, real, weights), time.perf_counter()
    if isinstance(variant, Enlargement):
        matter, runtime = load_matter(start), best_runtime()
        width = round(15 * variant.size / 320) | 1  # as wide a part of the portrait as 15 pixels are of 320, and odd
        found = {"made": measure(_enlarged(variant, seed, matter), width)}
        rate, steps, seconds = 0.0, 0, 0.0
    else:
        run = _trained(variant, seed, config, made, real, start)
        rate, steps, seconds = run.config.max_lr, run.step, time.perf_counter() - started
        runtime = run.runtime
        matter = Matter(TorchPredictor(run.kept, runtime), config.image_size)
        pairs = {"made": find_pairs(made, "test", "mattes")} | ({"real": find_pairs(real, "val")} if real else {})
        found = {portraits: measure(_predicted(matter, pairs[portraits], portraits)) for portraits in pairs}
    told = {"steps": steps, "seconds": round(seconds, 1), "max_lr": float(f"{rate:.3g}"), "preset": config.name,
            "image_size": matter.size, **origin, "device": _device(runtime), "commit": stamp}  # fmt: skip
    claims = " ".join(str(number) for number, claim in CLAIMS.items() if name in claim.variants)
    return [
        {"claim": claims, "variant": name, "seed": seed, "set": portraits, "region": region}
        | {metric: round(errors[metric], 6) for metric in METRICS} | told
        for portraits, regions in found.items() for region, errors in regions.items()
    ]  # fmt: skip


def _trained(variant, seed, config, made, real, start):
    """The `Run` of a variant, trained to its end."""
    same = ("network", "truth", "max_lr", "edge_weight", "edge_width")
    config = dataclasses.replace(config, seed=seed, **{field: getattr(variant, field) for field in same})
    run, _ = assemble(config, sources_of(variant, made, real), start)
    rate = run.config.max_lr  # the range test's, where it was to find one
    optimizer = torch.optim.Adam(run.model.parameters(), lr=rate, betas=(0.9, 0.999), weight_decay=0, fused=True)
    schedule = SCHEDULES[variant.schedule](optimizer, rate, config.epochs * len(run.loader))
    loss = partial(matting_loss, error=ERRORS[variant.error], edge_on=variant.edge_on,
                   edge_weight=variant.edge_weight, edge_width=variant.edge_width)  # fmt: skip
    run = Run(run.model, optimizer, schedule, loss, run.loader, run.config, run.runtime)
    while run.epoch < config.epochs:
        train_epoch(run)
    return run


def measure(mattes, width=15):
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


def _predicted(matter, pairs, title):
    for pair in tqdm(pairs, desc=f"measuring, {title}", mininterval=1):
        photo, alpha = read_pair(pair)
        yield matter.alpha(photo), alpha / 255


def _enlarged(variant, seed, matter):
    """Predictions for large made portraits, enlarged from the size the network saw them at, and their mattes."""
    for number in tqdm(range(variant.count), desc="measuring, enlarged"):
        portrait = make_portrait(1000 * seed + number, variant.size)
        alpha = matter.alpha(cv2.resize(portrait.image, (matter.size, matter.size), interpolation=cv2.INTER_AREA))
        if variant.thresholded:
            alpha = (alpha >= 0.5).astype(np.float32)
        alpha = cv2.resize(alpha, (variant.size, variant.size), interpolation=cv2.INTER_LINEAR)
        if variant.thresholded:
            alpha = (alpha >= 0.5).astype(np.float32)
        yield alpha, portrait.matte / 255


def sources_of(variant, made, real=None):
    """The `Source`s that a variant is trained on."""
    return [Source(made)] + [Source(real)] * bool(real and variant.data == "all")


def start_of(variant, weights=None):
    """The weight file that a variant starts from, or that an `Enlargement` uses; None: random weights.

    `weights` is the original authors' file, by default the one in saved_models/. Raises FileNotFoundError without it.
    """
    own = find_shipped("u2net_lite")
    match variant:
        case Variant(start="random"):
            return None
        case Variant(start="own"):
            return own
        case Enlargement() if own:
            return own
    path = Path(weights or find_pretrained("u2net_lite") or FOLDER / "u2netp.pth")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no weights there; put u2netp.pth into saved_models/, or name it: --weights")
    return path


def origin_of(variant, made, real=None, weights=None):
    """What a variant is trained on, and the weights it starts from with the first digits of their hash: two names."""
    path = start_of(variant, weights)
    start = f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}" if path else "random"
    if isinstance(variant, Enlargement):
        return {"data": f"{variant.count} made portraits of {variant.size} px", "start": start}
    names = (Path(source.folder).resolve().name for source in sources_of(variant, made, real))
    return {"data": " + ".join(names), "start": start}


def _device(runtime):
    chip = torch.cuda.get_device_name(runtime.device) if runtime.device.type == "cuda" else runtime.device.type
    return f"{chip} {runtime.amp_dtype or torch.float32}".replace("torch.", "")


@functools.cache
def commit(folder=Path(__file__).parent):
    """The commit of the code in `folder`, with "+" if files have changed there; "unknown" outside a git repository."""
    git = partial(subprocess.run, cwd=folder, capture_output=True, text=True)
    try:
        head = git(["git", "rev-parse", "--short", "HEAD"], check=True).stdout.strip()
        return head + "+" * git(["git", "diff", "--quiet", "HEAD", "--", "."]).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
