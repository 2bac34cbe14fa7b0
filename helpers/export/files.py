"""A trained network as a file for others: its weights in half precision, or int8 ONNX."""

import json
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import torch
from numpy.typing import NDArray
from safetensors.torch import save

from helpers.datasets.layouts import find_pairs, splits_in
from helpers.datasets.pairs import read_pair
from helpers.files.atomic import whole_file
from helpers.files.folders import pictures_below
from helpers.files.photos import read_photo
from helpers.network_input import trained_size
from helpers.networks.registry import network_in, read_network
from helpers.networks.weights import EXPORTED, read_checkpoint, weights_of
from helpers.synthetic.dataset import make_portrait

T = TypeVar("T")

CALIBRATED, MEASURED = 16, 64
"""The largest numbers of pictures to calibrate an int8 file with, and to measure its error on."""


def write_safetensors(weights: Path | str, out: Path | str) -> None:
    """Write the weights of the checkpoint `weights` to `out` in half precision, with its network, table and config.

    Batch norms' counters of batches are left out, as in the published u2net.pth: nothing uses them. Raises ValueError
    for a file that holds no known network, and for values beyond half precision.
    """
    state = read_checkpoint(weights)
    tensors = {
        name: tensor.half().contiguous()
        for name, tensor in weights_of(state, weights).items() if not name.endswith("num_batches_tracked")
    }  # fmt: skip
    network_in(state, tensors)  # check that it can be read back
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(
                f"{weights}: {name} holds values that half precision cannot; export as .onnx, or train anew"
            )
    with whole_file(out) as temporary:
        temporary.write_bytes(save(tensors, {key: json.dumps(state[key]) for key in EXPORTED if key in state}))


def write_int8(
    weights: Path | str, out: Path | str, calibrate: Path | None = None, data: Path | None = None
) -> list[str]:
    """Write the network in the file `weights` to `out` as int8 ONNX; returns lines on its cost and its gain.

    It is calibrated on photos in `calibrate`, a data set or a folder of photos. It is measured on the test split of
    the data set `data`. Synthetic portraits take the place of either if it is None. Errors as in
    `helpers.networks.registry.read_network`, and FileNotFoundError if there are no photos or no test split.
    """
    from helpers.export.int8 import cost_of, quantise
    from helpers.networks.onnx_export import save, to_onnx  # only this export needs onnx

    model, notes = read_network(weights)
    size = trained_size(notes)
    pairs = _tested(data, size)
    quantised, left = quantise(model, notes, _calibrating(calibrate, size), size)
    with TemporaryDirectory(prefix="portrait-int8-") as folder:
        exact, rounded = Path(folder, "exact.onnx"), Path(folder, "int8.onnx")
        save(to_onnx(model, notes), exact)
        save(quantised, rounded)
        cost = cost_of(exact, rounded, pairs, size)
    save(quantised, out)
    gain = cost.exact_seconds / cost.seconds
    return [
        f"left in float, as rounding costs too much: {', '.join(left)}" if left else "int8 but for the side outputs",
        f"on {cost.pictures} pictures ({f'test split of {data}' if data else 'synthetic portraits'}) at {size}²:",
        f"  MAD        {cost.mad:.5f} instead of {cost.exact_mad:.5f} ({cost.mad - cost.exact_mad:+.5f})",
        f"  s/picture  {cost.seconds:.3f} instead of {cost.exact_seconds:.3f} ({gain:.2f}×)",
    ]


def _calibrating(folder: Path | None, size: int) -> Iterable[NDArray]:
    """Photos of a data set, of its training split if it has one, or of a folder: `CALIBRATED` at most, one by one."""
    if folder is None:
        return (make_portrait(seed, size).image for seed in range(CALIBRATED))
    splits = splits_in(folder)
    if splits:  # the first of train, val and test; never the masks
        paths = [pair.image for pair in find_pairs(folder, splits[0])]
    else:
        paths = [path for files in pictures_below(folder).values() for path in files]
    return map(read_photo, _spread(paths, CALIBRATED))


def _tested(data: Path | None, size: int) -> Iterable[tuple[NDArray, NDArray]]:
    """Photos and ground truths of a data set's test split: `MEASURED` at most, read one by one."""
    if data is None:
        drawn = (make_portrait(seed, size) for seed in range(CALIBRATED, 2 * CALIBRATED))
        return ((portrait.image, portrait.matte) for portrait in drawn)
    for truth in ("mattes", "annotations"):
        if "test" in splits_in(data, truth):
            return map(read_pair, _spread(find_pairs(data, "test", truth), MEASURED))
    raise FileNotFoundError(f"{data}: no test split there; name another --data, or none for synthetic portraits")


def _spread(items: list[T], count: int) -> list[T]:
    """At most `count` of a list's items, evenly spread over it."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else items
