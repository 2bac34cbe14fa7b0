"""A trained network in a file for others.

    python -m helpers.export model_checkpoints/final_model_ckpt.pth portrait.safetensors

writes its weights in half precision, without optimiser and history: a tenth of the checkpoint.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from helpers.atomic import whole_file
from helpers.checkpoints import EXPORTED, read_checkpoint, weights_of
from helpers.networks import network_in


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


def main(arguments=None):
    """Command line: `python -m helpers.export WEIGHTS OUT.safetensors`."""
    parser = argparse.ArgumentParser(prog="python -m helpers.export", description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="a checkpoint or weight file")
    parser.add_argument("out", type=Path, metavar="OUT.safetensors", help="the file to write")
    options = parser.parse_args(arguments)
    if options.out.suffix != ".safetensors":
        parser.error(f"{options.out}: the name must end in .safetensors")
    try:
        write_safetensors(options.weights, options.out)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{options.out}: {options.out.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
