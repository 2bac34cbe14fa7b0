"""Cyclical learning: the one-cycle rate with its annihilation, the range test that finds its peak, and the plateau.

Smith and Topin, "Super-convergence: very fast training of neural networks using large learning rates", 2018;
Smith, "Cyclical learning rates for training neural networks", WACV 2017 (range test, section 3.3).
"""

import copy
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    CyclicLR,
    LambdaLR,
    LRScheduler,
    MultiStepLR,
    OneCycleLR,
    ReduceLROnPlateau,
)
from tqdm import tqdm


def one_cycle(optimizer: Optimizer, max_lr: float, total_steps: int) -> OneCycleLR:
    """The report's schedule, to be stepped after every batch: PyTorch's one-cycle with its default shape.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float
        The peak. The rate rises from max_lr / 25 to it over the first 30 % of the steps, by half a cosine, and falls by
        another one to max_lr / 250,000.
    total_steps : int
        Batches of the whole run.

    Returns
    -------
    OneCycleLR
        Adam's betas stay at .9 and .999, as the report states. They are not cycled with the rate.

    Notes
    -----
    The report; Smith and Topin, "Super-convergence", 2018.

    Examples
    --------
    >>> lrs = rates(lambda optimizer: one_cycle(optimizer, max_lr=0.1, total_steps=10), total_steps=10)
    >>> [round(lr, 4) for lr in lrs[:4]]
    [0.004, 0.052, 0.1, 0.095]
    """
    return OneCycleLR(optimizer, max_lr, total_steps=total_steps, cycle_momentum=False)


def plateau(optimizer: Optimizer, highest_is_best: bool = False) -> ReduceLROnPlateau:
    """The other schedule, RMBG-U2NET's: a tenth of the rate after 5 epochs in a row without improvement.

    To be stepped after each epoch with the value that is watched. PyTorch's `patience` counts the bad epochs that are
    still tolerated, so it is one less than the epochs after which the rate falls.
    """
    return ReduceLROnPlateau(optimizer, "max" if highest_is_best else "min", factor=0.1, patience=4, threshold=0.0)


CYCLES = 3
"""Rises and falls of the triangular schedule; Smith (2017) advises at least three."""

SCHEDULES: dict[str, Callable[[Optimizer, float, int], LRScheduler]] = {
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
        optimizer,
        max_lr / 25,
        max_lr,
        step_size_up=steps / CYCLES / 2,  # type: ignore[arg-type]  # a fraction of a step is as good
        cycle_momentum=False,
    ),
}
"""`schedule(optimizer, max_lr, steps)`, to be stepped after each of so many batches; the optimiser begins at max_lr."""


def rates(schedule_of: Callable[[Optimizer], LRScheduler], total_steps: int, lr: float = 1e-3) -> list[float]:
    """The learning rate of each of `total_steps` steps under `schedule_of(optimizer)`: a list of floats."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    schedule, result = schedule_of(optimizer), []
    for step in range(total_steps):
        result.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step < total_steps - 1:
            schedule.step()
    return result


def annihilation_start(lrs: Sequence[float]) -> int:
    """Index of the first step after the peak whose rate lies below the first step's: there annihilation begins.

    Raises ValueError if the rates never fall below where they began.
    """
    peak = max(range(len(lrs)), key=lrs.__getitem__)
    for step in range(peak, len(lrs)):
        if lrs[step] < lrs[0]:
            return step
    raise ValueError("these rates never fall below the first one: there is no annihilation phase")


def range_test(
    model: nn.Module,
    batches: Iterable[Any],
    step: Callable[[nn.Module, Optimizer, Any], float],
    low: float = 1e-6,
    high: float = 1.0,
    count: int = 100,
) -> tuple[list[float], list[float]]:
    """Learning-rate range test: raise the rate from `low` to `high`, a constant factor a step, and record the loss.

    Works on a copy of `model`, which stays as it is. `batches` is an iterable of batches, repeated as needed;
    `step(model, optimizer, batch)` trains on one and returns its loss as a float. Stops early once the smoothed loss
    is four times its minimum or not finite. Returns two lists of floats, rates and smoothed losses (exponential
    average with factor .9, corrected for its start).
    """
    model = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=low)
    lrs: list[float] = []
    losses: list[float] = []
    average = 0.0
    again = itertools.chain.from_iterable(
        itertools.repeat(batches)
    )  # reads the batches again: itertools.cycle would keep all of them in memory
    for i, batch in enumerate(tqdm(itertools.islice(again, count), total=count, desc="range test")):
        lr = low * (high / low) ** (i / (count - 1))
        optimizer.param_groups[0]["lr"] = lr
        average = 0.9 * average + 0.1 * step(model, optimizer, batch)
        smoothed = average / (1 - 0.9 ** (i + 1))
        if not smoothed < 4 * min(losses, default=float("inf")):
            break
        lrs.append(lr)
        losses.append(smoothed)
    return lrs, losses


def steepest(lrs: Sequence[float], losses: Sequence[float]) -> float:
    """The rate at which the loss of a range test falls fastest, per factor of the rate: a first guess for max_lr.

    Slopes are taken over a fifth of the curve, as single steps are noise. Raises ValueError for fewer than 20 points.
    """
    if len(losses) < 20:
        raise ValueError(
            f"a range test of {len(losses)} points is too short to read: 20 or more are needed; set max_lr to a "
            "number, or take larger batches"
        )
    reach = len(losses) // 10
    slopes = {i: losses[i + reach] - losses[i - reach] for i in range(reach, len(losses) - reach)}
    return lrs[min(slopes, key=slopes.__getitem__)]
