"""Does one thing again and again in this process, and prints what it holds meanwhile; started by test_long_run.py.

python again_and_again.py torch|onnx|leak|train COUNT FOLDER
"""

import gc
import json
import sys
from itertools import cycle
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image

from helpers.cutout.batch import cut_files, plan
from helpers.cutout.matter import Matter
from helpers.cutout.output import Look
from helpers.cutout.predictors import OnnxPredictor, TorchPredictor
from helpers.devices import Runtime
from helpers.u2net import LITE, TABLES, U2Net

CPU = Runtime(torch.device("cpu"), None, torch.contiguous_format)
SAMPLES = 30
MODES = ("RGB", "RGBA", "L", "LA", "P", "CMYK", "I;16", "1")


def tell():
    """Print resident memory in bytes, open files, threads."""
    gc.collect()
    process = psutil.Process()
    print(json.dumps([process.memory_info().rss, process.num_fds(), process.num_threads()]), flush=True)


def photos():
    """Photos of several sizes and all modes, again and again."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 3), np.uint8)
    made = []
    for number, mode in enumerate(MODES):
        photo = Image.fromarray(pixels).resize((120 + 20 * number, 240 - 15 * number), Image.Resampling.BICUBIC)
        grey = Image.fromarray(np.asarray(photo.convert("L"), np.uint16) * 257)
        made.append(grey if mode == "I;16" else photo.convert(mode))
    return made


def predictor(kind):
    """The tiny network by torch or by ONNX Runtime; to leak something, none is needed."""
    torch.manual_seed(0)
    model = U2Net(TABLES["u2net_lite"])
    if kind == "onnx":
        from helpers.networks.onnx_export import to_onnx

        return OnnxPredictor(to_onnx(model, {"network": "tiny"}).SerializeToString(), "cpu")
    return TorchPredictor(model, CPU) if kind == "torch" else lambda images: np.zeros(images[:, 0].shape, np.float32)


def cut_out(kind, count, folder):
    """Half of the cutouts by `Matter.cutout`, half by the command's way from files to files, three at a time."""
    matter, leaked, each = Matter(predictor(kind), 64), [], count // SAMPLES
    (folder / "in").mkdir()
    for number, photo in enumerate(photos()):
        photo.save(folder / "in" / f"{number}.{'tif' if photo.mode == 'CMYK' else 'png'}")
    files, given = cycle(plan([folder / "in"], folder / "out").outputs), cycle(photos())
    for _ in range(SAMPLES):
        for _ in range(each // 2):
            matter.cutout(next(given))
        assert not cut_files(matter, [next(files) for _ in range(each - each // 2)], Look(), 3).skipped
        if kind == "leak":
            leaked += [np.ones(100_000, np.uint8) for _ in range(each)]
        tell()


def train(epochs, data):
    """A headless run's epochs, its network the tiny one."""
    from helpers.config import load_config
    from helpers.samples.mixing import Source
    from helpers.training.loop import train_epoch, validate
    from helpers.training.setup import assemble  # with all that only training needs

    run, val_loader = assemble(load_config("smoke", image_size=32, batch_size=3, epochs=epochs), [Source(data)])
    for _ in range(epochs):
        train_epoch(run)
        validate(run, val_loader)
        tell()


if __name__ == "__main__":
    TABLES["u2net_lite"] = tuple(stage._replace(mid=3, out=3) for stage in LITE)
    kind, count, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    train(count, folder) if kind == "train" else cut_out(kind, count, folder)
