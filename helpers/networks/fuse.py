"""A network made ready to predict: batch norms become part of the convolutions before them."""

import copy

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from helpers.u2net import TABLES


def fused(model: nn.Module) -> nn.Module:
    """A copy of `model` for prediction only, with every batch norm made part of the convolution before it.

    Before it means: registered in the same module just before it, as in all networks of `helpers.networks.registry`.
    The outputs are the same but for rounding.
    """
    model = copy.deepcopy(model).eval()
    for module in list(model.modules()):
        children = list(module.named_children())
        for (_, convolution), (second, norm) in zip(children, children[1:]):
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                mean, variance = norm.running_mean, norm.running_var
                assert mean is not None and variance is not None  # every batch norm here keeps its statistics
                convolution.weight, convolution.bias = fuse_conv_bn_weights(
                    convolution.weight, convolution.bias, mean, variance, norm.eps, norm.weight, norm.bias
                )
                setattr(module, second, nn.Identity())
    return model


def name_of(model: nn.Module) -> str:
    """The name of a network in `helpers.networks.registry`, or its class's where the table of stages is its own."""
    names = (name for name, table in TABLES.items() if table == getattr(model, "table", None))
    return next(names, type(model).__name__)
