"""A trained network in a file for others.

    python -m helpers.export model_checkpoints/final_model_ckpt.pth portrait.safetensors
    python -m helpers.export model_checkpoints/final_model_ckpt.pth portrait.onnx
    python -m helpers.export model_checkpoints/final_model_ckpt.pth small.onnx --int8 --calibrate PHOTOS --data DIR

.safetensors: its weights in half precision, without optimiser and history, a tenth of the checkpoint. .onnx: the whole
network for any picture size, as ONNX Runtime and rembg's custom U²-Net session load it; with --int8 in eight-bit
integers, at a quarter of the size. The change in MAD and in time is printed.
"""

import argparse
import sys

from helpers.export.files import write_int8, write_safetensors
from helpers.files.arguments import path
from helpers.startup import begin


def main(arguments: list[str] | None = None) -> int:
    """Command line: `python -m helpers.export WEIGHTS OUT.safetensors`, or `OUT.onnx`."""
    begin()
    options = _options(arguments)
    lines = []
    try:
        if options.out.suffix == ".safetensors":
            write_safetensors(options.weights, options.out)
        elif options.int8:
            lines = write_int8(options.weights, options.out, options.calibrate, options.data)
        else:
            from helpers.networks.onnx_export import write_onnx

            write_onnx(options.weights, options.out)
        print("\n".join([f"{options.out}: {options.out.stat().st_size:,} bytes", *lines]), flush=True)
    except ModuleNotFoundError as error:
        print(
            f"error: {error.name} is missing; pip install -e '.[export]' brings what exports to ONNX", file=sys.stderr
        )
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; {options.out} was not written", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m helpers.export", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("weights", type=path, metavar="WEIGHTS", help="a checkpoint or weight file")
    parser.add_argument("out", type=path, metavar="OUT", help="the file to write: .safetensors or .onnx")
    parser.add_argument("--int8", action="store_true", help="ONNX in eight-bit integers")
    parser.add_argument("--calibrate", type=path, metavar="DIR", help="int8: photos, or a data set, to find the ranges "
                        "on; default: synthetic portraits")  # fmt: skip
    parser.add_argument("--data", type=path, metavar="DIR", help="int8: data set whose test split is measured; "
                        "default: synthetic portraits")  # fmt: skip
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
