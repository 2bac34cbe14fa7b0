"""Trains a U²-Net only where it decides what is a person: at a quarter of the picture's size and below.

Of the lite network, the stages at full and at half size take nine tenths of the arithmetic (of the full one, a half),
and they add little but the edge. Without them a step of the lite network takes a fifth of the time on a CPU, so that
many more pictures can be shown.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from helpers.devices import forward_layout
from helpers.u2net import Stage, U2Net, levels_of, pool, probabilities

FINE = 2
"""Stages of the encoder, and of the decoder, that are finer than a quarter of the size. They keep their weights."""


class CoarseU2Net(U2Net):
    """A U²-Net whose stages at a quarter of the size and below are trained, by their own maps; the others are kept.

    In training it returns `[side3, side4, side5, side6]`, each (B, 1, H, W): the finest of them stands in the place of
    the fused map. In evaluation it is the whole network, with `[fused, side1, …, side6]`: so the training loss adds up
    four maps, and the validation loss seven. Made as `U2Net`.
    """

    def __init__(self, table: Sequence[Stage]) -> None:
        super().__init__(table)
        for part in (*self.encoder[:FINE], *self.decoder[-FINE:], *self.sides[:FINE], self.fuse):
            part.requires_grad_(False)

    def train(self, mode: bool = True) -> "CoarseU2Net":
        """As of any network; the stages that are kept also keep the statistics of their batch norms."""
        super().train(mode)
        self.encoder[:FINE].eval()
        return self

    def encode(self, x: Tensor) -> list[Tensor]:
        """As of any U²-Net; in training, the stages that are kept compute in `helpers.devices.forward_layout`."""
        if not self.training:
            return super().encode(x)
        own = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        kept = levels_of(self.encoder[:FINE], x.contiguous(memory_format=forward_layout(x.device)))
        return kept + levels_of(self.encoder[FINE:], pool(kept[-1]).contiguous(memory_format=own))

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised images → maps, each (B, 1, H, W) float32 in [0, 1]."""
        if not self.training:
            return super().forward(x)
        return probabilities(self.side_logits(x, FINE))
