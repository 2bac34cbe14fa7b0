"""A run put together from a configuration: the choices of the notebook's cells, for headless training."""

import dataclasses
import warnings
from functools import partial

import torch
from accelerate.utils import broadcast_object_list

from helpers.augment import validation_transform
from helpers.config import AUTO
from helpers.devices import best_runtime
from helpers.losses import LOSSES
from helpers.networks.pretrained import ENCODERS, fetch_start, find_encoder
from helpers.networks.registry import build, start_from
from helpers.networks.weights import read_weights
from helpers.samples.loading import make_loader
from helpers.samples.mixing import mix
from helpers.samples.strong_augment import PIPELINES
from helpers.schedule import one_cycle, plateau, range_test, steepest
from helpers.training.checkpoints import read_latest
from helpers.training.run import Run, find_processes
from helpers.training.step import train_step


def assemble(config, sources, weights=None, runtime=None, folder=None):
    """A `Run` on the training images of the `Source`s, and the loader of its validation images.

    Starts from the weight file `weights`, or from random weights; the ResNet U-Net's encoder from ImageNet's where they
    can be had. `folder` is where its checkpoints are to lie: one that is there tells the rate that `max_lr="auto"`
    found before. Raises ValueError for settings that contradict each other or this machine, before reading anything.
    """
    accelerator = find_processes()
    processes = accelerator.num_processes
    runtime = runtime or best_runtime(accelerator.device, config.precision)
    if config.batch_size % processes:
        raise ValueError(f"batch_size={config.batch_size} cannot be shared evenly by {processes} processes")
    if config.freeze_encoder and not weights and config.network not in ENCODERS:
        raise ValueError("freeze_encoder=true keeps random weights unless it gets others to start from: add --weights")

    torch.manual_seed(config.seed)
    model = build(config.network)
    weights = weights or _encoder_weights(config)
    if weights:
        start_from(model, read_weights(weights))
    if config.freeze_encoder:
        model.encoder.requires_grad_(False)
    pipeline_for, least_for = PIPELINES[config.augmentation]
    transforms = {"train": pipeline_for(config.image_size), "val": validation_transform(config.image_size)}
    train_set, val_set = mix(sources, transforms, config.truth, config.seed, least_for(config.image_size))
    load = partial(make_loader, workers=config.workers, process=accelerator.process_index, processes=processes)
    train, val = (load(part, config.batch_size, part is train_set) for part in (train_set, val_set))
    numbers = {name: getattr(config, name) for name in ("edge_weight", "edge_width", "rough_width")}
    loss = partial(LOSSES[config.loss], **numbers)
    if config.max_lr == AUTO:
        rate = _earlier_rate(folder) or _suggested_rate(model, train, loss, runtime, config.micro_batch)
        [rate] = broadcast_object_list([rate])  # each process has seen other images
        config = dataclasses.replace(config, max_lr=rate)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=config.max_lr, betas=(0.9, 0.999), weight_decay=0, fused=True)
    if config.schedule == "plateau":
        schedule = plateau(optimizer, config.highest_is_best)
    else:
        schedule = one_cycle(optimizer, config.max_lr, config.epochs * len(train))
    return Run(model, optimizer, schedule, loss, train, config, runtime), val


def _encoder_weights(config):
    """ImageNet's weights for a network whose encoder has some; None, with the reason told, if they can't be had."""
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
        warnings.warn(f"{config.network} starts from random weights: {reason}", stacklevel=3)
    return path


def _earlier_rate(folder):
    latest = read_latest(folder) if folder else None
    return latest and latest.get("config", {}).get("max_lr")


def _suggested_rate(model, loader, loss, runtime, micro_batch):
    """The range test's suggestion, steepest descent, on the run's own batches."""
    model = model.to(runtime.device, memory_format=runtime.memory_format)
    loader.batch_sampler.seek(0)
    scaler = runtime.scaler()

    def step(model, optimizer, batch):
        return train_step(model, optimizer, batch, loss, runtime, scaler, micro_batch)["total"].item()

    rate = steepest(*range_test(model, loader, step))
    if loader.batch_sampler.process == 0:
        print(f"max_lr=auto: {rate:.1e}, where the loss of the range test falls fastest")
    return rate
