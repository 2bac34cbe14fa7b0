"""Builds a run from a configuration, for headless training, as the notebook's cells do."""

import dataclasses
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from accelerate.utils import broadcast_object_list
from torch.optim.lr_scheduler import LRScheduler

from helpers.augment import validation_transform
from helpers.config import AUTO, Config
from helpers.devices import Runtime, best_runtime
from helpers.losses import LOSSES
from helpers.networks.coarse import CoarseU2Net
from helpers.networks.pretrained import (
    BODIES,
    ENCODERS,
    SOURCES,
    fetch_start,
    find_encoder,
    find_pretrained,
    find_shipped,
)
from helpers.networks.registry import build, start_from
from helpers.networks.weights import read_weights
from helpers.samples.loading import Loader, make_loader
from helpers.samples.mixing import Source, mix
from helpers.samples.strong_augment import PIPELINES
from helpers.schedule import SCHEDULES, plateau, range_test, rates, steepest
from helpers.training.checkpoints import read_latest
from helpers.training.run import UNBOUND, Run, find_processes
from helpers.training.step import set_training, step_in_memory
from helpers.u2net import TABLES


def assemble(
    config: Config,
    sources: Sequence[Source],
    weights: Path | str | None = None,
    runtime: Runtime | None = None,
    folder: Path | str | None = None,
) -> tuple[Run, Loader]:
    """A `Run` on the training images of the `Source`s, and the loader of its validation images.

    Starts from the weight file `weights`, or from what `config.start` names. `folder` is where its checkpoints are to
    lie: if a checkpoint there is of this run, its rate is taken for `max_lr="auto"` instead of another range test.
    Raises ValueError for settings that contradict each other or this machine, before reading anything.
    """
    accelerator = find_processes()
    processes = accelerator.num_processes
    runtime = runtime or best_runtime(accelerator.device, config.precision)
    if config.batch_size % processes:
        raise ValueError(
            f"batch_size={config.batch_size} cannot be shared evenly by {processes} processes; take a multiple"
        )
    kept = "coarse" if config.coarse else "freeze_encoder" if config.freeze_encoder else None
    if kept and not weights and config.start == "random" and config.network not in ENCODERS:
        raise ValueError(
            f"{kept}=true keeps random weights unless the run starts from others: name some by --weights, "
            f"or set {kept}=false"
        )

    torch.manual_seed(config.seed)
    model = CoarseU2Net(TABLES[config.network]) if config.coarse else build(config.network)
    weights, start = _starting_weights(config, weights)
    if weights:
        start_from(model, read_weights(weights))
    if config.freeze_encoder:
        model.encoder.requires_grad_(False)
    pipeline_for, least_for = PIPELINES[config.augmentation]
    transforms = {"train": pipeline_for(config.image_size), "val": validation_transform(config.image_size)}
    train_set, val_set = mix(sources, transforms, config.truth, config.seed, least_for(config.image_size))
    load = partial(make_loader, workers=config.workers, process=accelerator.process_index, processes=processes)
    train, val = (load(part, config.batch_size, part is train_set) for part in (train_set, val_set))
    loss = loss_from(config)
    rate_found = config.max_lr == AUTO
    if rate_found:
        earlier = _earlier_rate(config, folder)
        if earlier and accelerator.process_index == 0:
            print(f"max_lr=auto: {earlier:.1e}, found when the run in {folder} began")
        rate = earlier or _suggested_rate(model, train, loss, runtime, config)
        [rate] = broadcast_object_list([rate])  # each process has its own share of the images
        config = dataclasses.replace(config, max_lr=rate)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    max_lr = float(config.max_lr)
    optimizer = torch.optim.Adam(parameters, lr=max_lr, betas=(0.9, 0.999), weight_decay=0, fused=True)
    if config.schedule == "plateau":
        schedule: LRScheduler = plateau(optimizer, config.highest_is_best)
    else:
        schedule = SCHEDULES[config.schedule](optimizer, max_lr, _enough(config.epochs * len(train), config.schedule))
    return Run(model, optimizer, schedule, loss, train, config, runtime, start, rate_found, val_set), val


def _enough(steps: int, schedule: str) -> int:
    """`steps`, if a schedule comes at least to half of its highest rate in them, as all do in 20; ValueError if not.

    Of a single step, one-cycle sees only its end: a rate of nothing, with which the run would learn nothing.
    """
    if steps < 20 and max(rates(lambda optimizer: SCHEDULES[schedule](optimizer, 1.0, steps), steps, 1.0)) < 0.5:
        raise ValueError(
            f"schedule={schedule} never comes near max_lr in {steps} steps, the whole length of this run: raise "
            "epochs, lower batch_size, or set schedule=constant"
        )
    return steps


def loss_from(config: Config) -> partial:
    """The loss of a configuration: `loss(outputs, alpha, rough=None)` → its terms."""
    fields: tuple[str, ...] = ("edge_weight", "edge_width", "rough_width", "edge_on")
    if config.loss == "notebook":
        fields = fields[:-1]  # its transition term looks at every map
    return partial(LOSSES[config.loss], **{name: getattr(config, name) for name in fields})


def _starting_weights(config: Config, weights: Path | str | None) -> tuple[Path | str | None, str]:
    """The weight file that a run starts from (None for random weights), and a phrase that names it.

    Raises ValueError where there are no weights of this project, FileNotFoundError or ConnectionError where the
    published ones cannot be fetched.
    """
    network = config.network
    if weights:
        return weights, Path(weights).name
    if config.start == "random":
        path = _encoder_weights(config)
        return path, f"{path.name} in its encoder" if path else "random weights"
    if config.start == "own":
        path = find_shipped(network)
        if path is None:
            raise ValueError(f"start=own: saved_models/ has no weights of this project for {network}; "
                             "set start=pretrained or start=random")  # fmt: skip
        return path, path.name
    find, source = (find_encoder, ENCODERS) if network in ENCODERS else (find_pretrained, SOURCES)
    path = find(network)
    if path is None and not config.download:
        file = source[BODIES.get(network, network)].file
        raise FileNotFoundError(f"start=pretrained: {file} is not in saved_models/; put it there, or set download=true")
    path = path or fetch_start(network)
    return path, f"{path.name} in its encoder" if network in ENCODERS else path.name


def _encoder_weights(config: Config) -> Path | None:
    """ImageNet's weights for a network whose encoder has some.

    None, with a warning that says why, if there are none here.
    """
    if config.network not in ENCODERS:
        return None
    path, reason = find_encoder(config.network), f"{ENCODERS[config.network].file} is not in saved_models/"
    if path is None and config.download:
        try:
            path = fetch_start(config.network)
        except ConnectionError as error:
            reason = str(error)
    if path is None and config.freeze_encoder:
        raise ValueError(f"freeze_encoder=true needs weights to keep: {reason}")
    if path is None:
        warnings.warn(f"{config.network} starts from random weights: {reason}", stacklevel=4)
    return path


def _earlier_rate(config: Config, folder: Path | str | None) -> float | None:
    """The rate that a range test found for this very run, by the latest checkpoint in `folder`; None without one."""
    state = read_latest(folder) if folder else None
    stored = state.get("config") if state else None
    if not isinstance(stored, dict) or not stored.get("max_lr_found"):
        return None
    own = dataclasses.asdict(config)
    if any(stored.get(name) != value for name, value in own.items() if name != "max_lr" and name not in UNBOUND):
        return None
    return stored["max_lr"]


def _suggested_rate(model, loader, loss, runtime, config):
    """The rate that a range test with the run's own batches and steps suggests: where the loss falls fastest."""
    model = model.to(runtime.device, memory_format=runtime.memory_format)
    set_training(model, config.freeze_encoder)
    loader.batch_sampler.seek(0)
    scaler, at_once = runtime.scaler(), config.micro_batch

    def step(model, optimizer, batch):
        nonlocal at_once
        terms, at_once = step_in_memory(model, optimizer, batch, loss, runtime, scaler, at_once, config.clip)
        return terms["total"].item()

    rate = steepest(*range_test(model, loader, step))
    if loader.batch_sampler.process == 0:
        print(f"max_lr=auto: {rate:.1e}, where the loss of the range test falls fastest")
    return rate
