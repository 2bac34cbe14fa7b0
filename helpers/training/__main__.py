"""Headless training, by one process or many.

python -m helpers.training --preset paper --data DIR --out DIR [--weights FILE] [--set epochs=5 …]
accelerate launch --multi_gpu --num_processes 8 -m helpers.training …
"""

import argparse
import signal
import sys
import threading
import warnings
from collections.abc import Sequence

import torch

from helpers.config import FINAL, PRESETS, field_rules, load_config, parse_setting
from helpers.files.arguments import not_empty
from helpers.samples.mixing import parse_source
from helpers.startup import begin, begin_training
from helpers.training.checkpoints import resume
from helpers.training.logs import told_elsewhere
from helpers.training.loop import fit
from helpers.training.setup import assemble


def main(arguments: Sequence[str] | None = None) -> int:
    """The headless run: train, or resume if `--out` holds an unfinished run of the same recipe."""
    begin()
    parser = argparse.ArgumentParser(prog="python -m helpers.training", description=main.__doc__)
    parser.add_argument("--preset", choices=list(PRESETS), help="default: $PORTRAIT_PRESET, else quick")
    parser.add_argument("--data", type=not_empty, required=True, action="append", help="a data set; several are mixed",
                        metavar="DIR[,weight=2][,rough=true][,layout=NAME][,backgrounds=DIR]")  # fmt: skip
    parser.add_argument("--out", type=not_empty, required=True, help="folder for the checkpoints")
    parser.add_argument("--weights", type=not_empty, metavar="FILE|pretrained|own|random",
                        help="weights to start from; pretrained: the original authors', fetched if they are missing; "
                             "own: this project's; random: none (a ResNet U-Net's encoder: ImageNet's); "
                             "default: what the preset names")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field")
    options = parser.parse_args(arguments)
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        settings, weights = dict(parse_setting(text) for text in options.set), options.weights
        if drawn := [name for name in settings if name.startswith("synthetic_")]:
            raise ValueError(
                f"{drawn[0]}: only the notebook draws portraits; draw a data set with python -m helpers.synthetic, and "
                "name it by --data"
            )
        if weights in field_rules()["start"]["enum"]:
            settings["start"], weights = weights, None
        config = load_config(options.preset, **settings)
        begin_training(config.batch_size * config.image_size**2)
        if config.tensorboard:
            threading.excepthook = told_elsewhere
        sources = [parse_source(text) for text in options.data]
        run, val_loader = assemble(config, sources, weights, folder=options.out)
        resumed = resume(run, options.out)
        if run.accelerator.is_main_process:
            print(_described(run, val_loader))
            if resumed:
                print(f"resumed at epoch {run.epoch}, batch {run.batch}")
        fit(run, val_loader, options.out)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        text = str(error).strip()
        text = text.splitlines()[-1] if "Traceback" in text else text  # a worker's error begins with its traceback
        print(f"error: {text}", file=sys.stderr)
        return 1
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        # torch tells of it at any moment, between two halves of a step, too: the run is not saved as it stands
        print("error: a loader's process was killed, as happens when memory runs out; set workers lower, and the same "
              "command goes on from the last checkpoint", file=sys.stderr)  # fmt: skip
        return 1
    if run.accelerator.is_main_process:
        best = f"best of epoch {run.best_epoch}" if run.best_epoch < run.epoch else "its best"
        loss = run.history["val"][-1][1]
        print(f"trained {run.epoch} epochs, validation loss {loss:.4f} ({best}): {options.out}/{FINAL}")
    return 0


def _described(run, val_loader):
    """One line: what is trained, from which weights, on what, and where."""
    batches, processes = run.loader.batch_sampler, run.accelerator.num_processes
    shared = f" by {processes} processes" if processes > 1 else ""
    precision = str(run.runtime.amp_dtype or torch.float32).removeprefix("torch.")
    return (
        f"{run.config.network} at {run.config.image_size}² from {run.start} "
        f"on {run.runtime.device.type} in {precision}{shared}: "
        f"{len(batches)} batches of {batches.batch_size} an epoch from {len(run.loader.dataset)} portraits, "
        f"{len(val_loader.dataset)} to validate on"
    )


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # saves the run as Ctrl-C does
    sys.exit(main())
