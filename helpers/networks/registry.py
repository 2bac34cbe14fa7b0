"""The networks by name: builds them, recognises them by their weights, and converts weights for files."""

from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import nn

from helpers.network_input import trained_size
from helpers.networks.knet import U2NetKNet, load_body
from helpers.networks.resnet_unet import ResNetUNet, load_imagenet
from helpers.networks.weights import EXPORTED, read_checkpoint, weights_of
from helpers.u2net import TABLES, Stage, U2Net, load_exactly, load_official, to_official

NETWORKS = (*TABLES, "u2net_knet", "resnet50_unet")
_PLACES = (*(f"stage{i}" for i in range(1, 7)), *(f"stage{i}d" for i in range(5, 0, -1)))  # of a U²-Net's table


def build(network: str) -> nn.Module:
    """A network by its name, with random weights; raises ValueError with `NETWORKS` for another name."""
    if network not in NETWORKS:
        raise ValueError(f"unknown network {network!r}: known are {', '.join(NETWORKS)}")
    if network in TABLES:
        return U2Net(TABLES[network])
    return U2NetKNet() if network == "u2net_knet" else ResNetUNet()


def weights_out(model: nn.Module) -> dict[str, torch.Tensor]:
    """The state dict to store: of a U²-Net under the original code's key names, of any other network its own."""
    return to_official(model) if isinstance(model, U2Net) else model.state_dict()


def weights_in(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load what `weights_out` gave, exactly.

    Raises ValueError that names the keys that do not fit; the model is unchanged.
    """
    if isinstance(model, U2Net):
        load_official(model, weights)
    else:
        load_exactly(model, weights)


def start_from(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load published weights to train on from: the whole network's, or those of a part of it.

    A part is a ResNet U-Net's encoder, from ImageNet, or the lite U²-Net under K-Net's head.

    Errors as in `weights_in`.
    """
    if isinstance(model, ResNetUNet) and "conv1.weight" in weights:  # torchvision's name; a whole one's: encoder.conv1
        load_imagenet(model, weights)
    elif isinstance(model, U2NetKNet) and "kernels" not in weights:
        load_body(model, weights)
    else:
        weights_in(model, weights)


def network_of(weights: dict[str, torch.Tensor]) -> str:
    """The name of the network that stored weights belong to. The width of the first stage tells which U²-Net it is.

    Raises ValueError for a state dict of anything else.
    """
    if "encoder.conv1.weight" in weights:
        return "resnet50_unet"
    if "kernels" in weights:
        return "u2net_knet"
    first = weights.get("stage1.rebnconv1.conv_s1.weight")
    for network, table in TABLES.items():
        if first is not None and first.shape[0] == table[0].mid:
            return network
    raise ValueError(
        "these are no U²-Net weights: stage1.rebnconv1.conv_s1.weight is missing or of another width; "
        "nor are they a ResNet U-Net's: encoder.conv1.weight is missing. Found "
        f"{', '.join(list(weights)[:2])} and so on; save the state dict of the network alone"
    )


def network_in(state: dict[str, Any], weights: dict[str, torch.Tensor]) -> nn.Module:
    """The network that the checkpoint `state` holds, with the `weights` found in it.

    It is built from the checkpoint's table of stages. If that is missing or empty, the weights tell which network it
    is. Raises ValueError if they belong to no known network or do not fit.
    """
    table = state.get("table")
    model = U2Net(_stages(table, weights)) if table else build(network_of(weights))
    weights_in(model, weights)
    return model


def _stages(table, weights):
    """The `Stage`s of a checkpoint's table; raises ValueError unless the weights have the heights and widths it tells.

    This is checked before the network is built: a damaged table could ask for a network of any size.
    """
    stages = []
    for place, row in zip_longest(_PLACES, table if isinstance(table, (list, tuple)) else [table]):
        try:
            stage = Stage(*row)
            widths = {"in": stage.out, 1: stage.mid, stage.height: stage.mid}
            known = [type(each) for each in stage] == [str, int, int, int, bool] and stage.height > 1 and all(
                weights[f"{place}.rebnconv{block}.conv_s1.weight"].shape[0] == width for block, width in widths.items()
            )  # fmt: skip
        except (TypeError, KeyError, IndexError):
            known = False
        if not known:
            raise ValueError(f"the table of stages does not fit the weights, at {place or 'its end'}: {row!r:.80}")
        stages.append(stage)
    return stages


def read_network(path: Path | str) -> tuple[nn.Module, dict[str, Any]]:
    """The network in a checkpoint or weight file, and what `EXPORTED` names of the file's notes, as a dict.

    Raises FileNotFoundError for a missing file, and ValueError that names one which holds no known network.
    """
    state = read_checkpoint(path)
    held = weights_of(state, path)
    notes = {key: state[key] for key in EXPORTED if key in state}
    try:
        trained_size(notes)
        model = network_in(state, held)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model, notes
