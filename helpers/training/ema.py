"""EMA: a running average of the weights. It changes less from step to step than the weights themselves."""

import copy

import torch
from torch import nn


class EMA:
    """Exponential moving average of a model's weights; `model` is the average, ready to evaluate.

    After step t the weights move towards the trained ones by 1 − min(decay, (1 + t) / (10 + t)): the memory is short at
    first, so that the random start is forgotten. The statistics of batch norm are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model, self.decay = copy.deepcopy(model).requires_grad_(False).eval(), decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move the average towards the weights of `model` after `step` steps (1 for the first)."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        for average, parameter in zip(self.model.parameters(), model.parameters(), strict=True):
            average.lerp_(parameter, share)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)
