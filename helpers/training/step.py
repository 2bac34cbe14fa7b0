"""One training step on a batch, and the mean loss of a whole set."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer
from tqdm import tqdm

from helpers.devices import Runtime, free_memory, is_out_of_memory
from helpers.samples.loading import Loader
from helpers.samples.samples import Sample
from helpers.u2net import outputs_of


def loss_of(
    model: nn.Module, batch: Any, loss: Callable[..., dict[str, torch.Tensor]], runtime: Runtime
) -> tuple[list[torch.Tensor], dict[str, torch.Tensor]]:
    """The network's outputs for a batch (a `Sample` of uint8 tensors, or images and alphas), and the loss terms.

    `loss(outputs, alphas)` returns a dict with `total`; only a batch with rough masks is given it as `rough=` too.
    Pictures go to the device as bytes and are scaled there.
    """
    batch = Sample(*batch)
    outputs = outputs_of(model, batch.image, runtime)
    alphas = batch.alpha.to(runtime.device, non_blocking=True) / 255
    if batch.rough is None or not batch.rough.any():
        return outputs, loss(outputs, alphas)
    return outputs, loss(outputs, alphas, rough=batch.rough.to(runtime.device, non_blocking=True))


def train_step(model, optimizer, batch, loss, runtime, scaler=None, micro_batch=0, clip=0.0):
    """One optimiser step on a batch, as in `loss_of`. Returns the loss terms, detached, without waiting for them.

    With `micro_batch`, that many images are computed at once and their gradients summed: the mean over the batch, in
    less memory. With `clip`, a gradient longer than that is shortened to it.
    """
    scaler, batch = scaler or runtime.scaler(), Sample(*batch)
    count, size = len(batch.image), micro_batch or len(batch.image)
    optimizer.zero_grad(set_to_none=True)
    sums = {}
    for start in range(0, count, size):
        part = Sample(*(field if field is None else field[start : start + size] for field in batch))
        share = len(part.image) / count
        # with several processes, gradients are exchanged once a step, with the last part
        with nullcontext() if start + size >= count else getattr(model, "no_sync", nullcontext)():
            _, terms = loss_of(model, part, loss, runtime)
            scaler.scale(terms["total"] * share).backward()
        for name, term in terms.items():
            sums[name] = sums.get(name, 0) + share * term.detach()
    if clip:
        scaler.unscale_(optimizer)
        clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], clip)
    scaler.step(optimizer)
    scaler.update()
    return sums


def step_in_memory(
    model: nn.Module,
    optimizer: Optimizer,
    batch: Any,
    loss: Callable[..., dict[str, torch.Tensor]],
    runtime: Runtime,
    scaler: torch.amp.GradScaler | None = None,
    micro_batch: int = 0,
    clip: float = 0.0,
    processes: int = 1,
) -> tuple[dict[str, torch.Tensor], int]:
    """`train_step`, repeated with half as many images at once if memory runs out.

    Returns the loss terms, and the number of images at once for the next step. Raises ValueError if a single image is
    too many, or one of several `processes` has too little memory: they must exchange gradients together.
    """
    while True:
        try:
            return train_step(model, optimizer, batch, loss, runtime, scaler, micro_batch, clip), micro_batch
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            size = micro_batch or len(batch[0])
            if size == 1 or processes > 1:
                advice = "micro_batch" if size > 1 else "image_size"
                raise ValueError(f"out of memory with {size} images at once; set {advice} lower") from error
        micro_batch = size // 2
        free_memory(runtime.device)
        tqdm.write(f"out of memory: from now on {micro_batch} images at once, the batch stays as it is")


def set_training(model: nn.Module, keep_statistics: bool) -> None:
    """Put a model into training; with `keep_statistics` its batch norms go on with those that they have."""
    model.train()
    if keep_statistics:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    loader: Loader,
    loss: Callable[..., dict[str, torch.Tensor]],
    runtime: Runtime,
    reduce: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> dict[str, float]:
    """Means over all images of `loader`: every loss term, as in training, and `mse`, `mad` and `iou`.

    The last three compare the fused map with the alpha at the network's own size. Returns a dict of floats. `reduce`
    sums a tensor over the processes, each of which has its share of every batch.
    """
    model.eval()
    loader.batch_sampler.seek(0)
    sums: dict[str, torch.Tensor] = {}
    count = 0
    precise = torch.float32 if runtime.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    first = loader.batch_sampler.process == 0
    for batch in tqdm(loader, desc="validation", mininterval=1, leave=False, disable=not first):
        batch = Sample(*batch)
        outputs, terms = loss_of(model, batch, loss, runtime)
        for name, term in (terms | _errors(outputs[0], batch.alpha.to(runtime.device) / 255)).items():
            sums[name] = sums.get(name, 0) + term.to(precise) * len(batch.image)
        count += len(batch.image)
    totals = torch.stack([*sums.values(), torch.tensor(count, dtype=precise, device=runtime.device)])
    *means, count = (reduce(totals) if reduce else totals).tolist()
    return {name: total / count for name, total in zip(sums, means, strict=True)}


def _errors(pred, true):
    """Mean squared and absolute error and intersection over union, averaged over a batch (B, 1, H, W)."""
    difference, pred_on, true_on = pred - true, pred >= 0.5, true >= 0.5
    union = (pred_on | true_on).sum((1, 2, 3))
    overlap = (pred_on & true_on).sum((1, 2, 3))
    iou = torch.where(union > 0, overlap / union.clamp_min(1), 1.0)
    return {"mse": difference.square().mean(), "mad": difference.abs().mean(), "iou": iou.mean()}
