"""A trained network in a file for others.

    python -m helpers.export model_checkpoints/final_model_ckpt.pth portrait.safetensors
    python -m helpers.export model_checkpoints/final_model_ckpt.pth portrait.onnx
    python -m helpers.export model_checkpoints/final_model_ckpt.pth small.onnx --int8 --calibrate PHOTOS --data DIR

.safetensors: its weights in half precision, without optimiser and history, a tenth of the checkpoint. .onnx: the whole
network for any picture size, as ONNX Runtime and rembg's custom U²-Net session load it; with --int8 in eight-bit
integers, a quarter of that, whose price in MAD and gain in time are printed.
"""

import argparse
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import save_file

from helpers.atomic import whole_file
from helpers.checkpoints import EXPORTED, read_checkpoint, weights_of
from helpers.config import trained_size
from helpers.layouts import find_pairs, splits_in
from helpers.networks import network_in, read_network
from helpers.pairs import read_pair
from helpers.photos import read_photo
from helpers.synthetic import make_portrait
from helpers.truths import pictures_below

CALIBRATED, MEASURED = 16, 64
"""The most pictures to find the ranges of an int8 file on, and to measure its price on."""


def write_safetensors(weights, out):
    """Write the weights of the checkpoint `weights` to `out` in half precision, with its network, table and config.

    Batch norms' counters of batches are left out, as in the published u2net.pth: nothing uses them. Raises ValueError
    for a file that holds no known network, and for values beyond half precision.
    """
    state = read_checkpoint(weights)
    tensors = {
        name: tensor.half().contiguous()
        for name, tensor in weights_of(state, weights).items() if not name.endswith("num_batches_tracked")
    }  # fmt: skip
    network_in(state, tensors)  # whether it can be read back
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{weights}: {name} holds values that half precision cannot")
    with whole_file(out) as temporary:
        save_file(tensors, temporary, {key: json.dumps(state[key]) for key in EXPORTED if key in state})


def write_int8(weights, out, calibrate=None, data=None):
    """Write the network in the file `weights` to `out` as int8 ONNX; returns lines that tell what that costs and gains.

    Its ranges are those of photos in `calibrate`, a data set or a folder of photos; it is measured on the test split of
    the data set `data`. Either is made portraits if None. Errors as in `helpers.networks.read_network`, and
    FileNotFoundError if there are no photos or no test split.
    """
    from helpers.onnx_export import save, to_onnx  # onnx is for those who export to it
    from helpers.quantise import cost_of, quantise

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
    return [
        f"left in float, as rounding would drown it: {', '.join(left)}" if left else "all but the side maps is int8",
        f"on {cost.pictures} pictures ({f'test split of {data}' if data else 'made portraits'}) at {size}²:",
        f"  MAD        {cost.mad:.5f} instead of {cost.exact_mad:.5f} ({cost.mad - cost.exact_mad:+.5f})",
        f"  s/picture  {cost.seconds:.3f} instead of {cost.exact_seconds:.3f} ({cost.exact_seconds / cost.seconds:.2f}×)",
    ]


def _calibrating(folder, size):
    """Photos of a data set's training split, or of a folder: `CALIBRATED` at most, read one by one."""
    if folder is None:
        return (make_portrait(seed, size).image for seed in range(CALIBRATED))
    if "train" in splits_in(folder):
        paths = [pair.image for pair in find_pairs(folder, "train")]
    else:
        paths = [path for files in pictures_below(folder).values() for path in files]
    return map(read_photo, _spread(paths, CALIBRATED))


def _tested(data, size):
    """Photos and true alphas of a data set's test split: `MEASURED` at most, read one by one."""
    if data is None:
        made = (make_portrait(seed, size) for seed in range(CALIBRATED, 2 * CALIBRATED))
        return ((portrait.image, portrait.matte) for portrait in made)
    for truth in ("mattes", "annotations"):
        if "test" in splits_in(data, truth):
            return map(read_pair, _spread(find_pairs(data, "test", truth), MEASURED))
    raise FileNotFoundError(f"{data}: no test split there; name another --data, or none to measure on made portraits")


def _spread(items, count):
    """At most `count` of a list's items, evenly spread over it."""
    return [items[i * len(items) // count] for i in range(count)] if len(items) > count else items


def main(arguments=None):
    """Command line: `python -m helpers.export WEIGHTS OUT.safetensors`, or `OUT.onnx`."""
    options = _options(arguments)
    lines = []
    try:
        if options.out.suffix == ".safetensors":
            write_safetensors(options.weights, options.out)
        elif options.int8:
            lines = write_int8(options.weights, options.out, options.calibrate, options.data)
        else:
            from helpers.onnx_export import write_onnx

            write_onnx(options.weights, options.out)
    except ModuleNotFoundError as error:
        print(f"error: {error.name} is missing; pip install -e '.[export]' brings what exports to ONNX", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\n".join([f"{options.out}: {options.out.stat().st_size:,} bytes", *lines]))
    return 0


def _options(arguments):
    parser = argparse.ArgumentParser(prog="python -m helpers.export", description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="a checkpoint or weight file")
    parser.add_argument("out", type=Path, metavar="OUT", help="the file to write: .safetensors or .onnx")
    parser.add_argument("--int8", action="store_true", help="ONNX in eight-bit integers")
    parser.add_argument("--calibrate", type=Path, metavar="DIR", help="int8: photos, or a data set, to find the ranges "
                        "on; default: made portraits")  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="DIR", help="int8: data set whose test split is measured; "
                        "default: made portraits")  # fmt: skip
    options = parser.parse_args(arguments)
    if options.out.suffix not in (".safetensors", ".onnx"):
        parser.error(f"{options.out}: the name must end in .safetensors or .onnx")
    if options.int8 and options.out.suffix != ".onnx":
        parser.error(f"{options.out}: --int8 is for .onnx")
    if not options.int8 and (options.calibrate or options.data):
        parser.error("--calibrate and --data are for --int8")
    return options


if __name__ == "__main__":
    sys.exit(main())
