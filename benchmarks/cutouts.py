"""From a photo to its cutout: the network alone against the original way and ONNX Runtime, and the whole command
against `rembg`, with the same photos and weights."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image, ImageOps

from benchmarks.timing import Row, alternate, seconds
from helpers.cutout.matter import load_matter
from helpers.cutout.predictors import OnnxPredictor
from helpers.devices import Runtime
from helpers.export.__main__ import write_int8
from helpers.files.photos import read_photo, sample_portraits
from helpers.networks.onnx_export import write_onnx
from helpers.networks.pretrained import find_shipped
from helpers.networks.registry import build, weights_out
from helpers.u2net import outputs_of

SIZE = 320
INT8_GOALS = {"u2net_lite": 2.0, "u2net": 2.8}
PHOTOS, WIDTH, HEIGHT = 20, 3000, 4000


def rows(repeats=9):
    """A `Row` for each network: against the original code's way of predicting, ONNX Runtime, and of 8 bits."""
    with tempfile.TemporaryDirectory() as folder:
        return [row for network, goal in INT8_GOALS.items() for row in _network(network, goal, Path(folder), repeats)]


def _network(network, goal, folder, repeats):
    torch.manual_seed(0)
    model = build(network).eval()
    weights = folder / f"{network}.pth"
    torch.save(weights_out(model), weights)
    write_onnx(weights, folder / f"{network}.onnx")
    write_int8(weights, folder / f"{network}-int8.onnx")
    images = np.random.default_rng(0).integers(0, 256, (1, 3, SIZE, SIZE), np.uint8)
    as_it_was = Runtime(torch.device("cpu"), None, torch.contiguous_format)

    def original():
        with torch.no_grad():
            outputs_of(model, torch.from_numpy(images), as_it_was)

    ours = load_matter(weights, "cpu").predict
    single, eight = (OnnxPredictor(folder / f"{network}{kind}.onnx", "cpu") for kind in ("", "-int8"))
    pairs = [
        (f"{ours.name}, against the original way", original, lambda: ours(images), 2.3),
        (f"{ours.name}, against ONNX Runtime in float32", lambda: single(images), lambda: ours(images), 0.95),
        (f"{network}, 8 bits, against ONNX Runtime in float32", lambda: single(images), lambda: eight(images), goal),
    ]
    for what, plain, mine, least in pairs:
        yield Row(f"one photo at {SIZE}²: {what}", *(1 / took for took in alternate(plain, mine, repeats)), least)


def command(repeats=2):
    """Markdown: a folder of 12-megapixel JPEGs to transparent PNGs by `rembg p` and by our command, by turns; the most
    memory that each took; and how long the help and a single cutout take."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        _write_photos(folder / "photos")
        weights = find_shipped("u2net_lite")
        write_onnx(weights, folder / "lite.onnx")
        os.environ["U2NET_HOME"] = str(folder)  # rembg takes models from there only
        model = json.dumps({"model_path": str(folder / "lite.onnx")})
        rembg = [
            str(Path(sys.executable).with_name("rembg")),
            "p",
            "-m",
            "u2net_custom",
            "-x",
            model,
            folder / "photos",
        ]
        ours = [sys.executable, "-m", "helpers.cutout", "--weights", folder / "lite.onnx", folder / "photos", "-o"]
        turns = []
        for turn in range(repeats):
            turns.append((_measured(*rembg, folder / f"rembg{turn}"), _measured(*ours, folder / f"ours{turn}")))
            for name in ("rembg", "ours"):
                if len(list((folder / f"{name}{turn}").glob("*.png"))) != PHOTOS:
                    raise RuntimeError(f"{name}: not all photos were cut out")
        os.environ["PORTRAIT_CACHE"] = str(folder / "kept")
        cutout = [
            sys.executable,
            "-m",
            "helpers.cutout",
            "--weights",
            weights,
            sample_portraits()[0],
            "-o",
            folder / "first",
        ]
        starts = {
            "the command's --help": [_measured(sys.executable, "-m", "helpers.cutout", "--help")[0] for _ in range(5)],
            "a cutout, 512 × 600, by weights used for the first time": [
                _first(cutout, folder / "kept") for _ in range(5)
            ],
            "the same, from the second time on": [_measured(*cutout)[0] for _ in range(5)],
        }
    lines = [
        f"| {PHOTOS} photos of {WIDTH} × {HEIGHT} → RGBA PNG | `rembg p` | ours | ratio | at least |",
        "|---|---|---|---|---|",
    ]
    for place, (what, unit, least) in enumerate((("time", "s", "2"), ("memory at most", "MB", "1"))):
        plain, mine = (median(turn[way][place] for turn in turns) for way in (0, 1))
        lines.append(f"| {what} | {plain:.0f} {unit} | {mine:.0f} {unit} | {plain / mine:.1f} | {least} |")
    lines += ["", "| start | seconds |", "|---|---|"]
    return "\n".join(lines + [f"| {what} | {median(times):.2f} |" for what, times in starts.items()])


MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
sys.stderr.buffer.write(done.stderr[-500:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""
"""Starts a command from a small process: the most memory a process took begins with what its parent had."""


def _measured(*arguments):
    """(seconds, megabytes at most) of a command, as the system counted them."""
    command, results = [sys.executable, "-S", "-c", MEASURE, *arguments], []

    def run():
        results.append(subprocess.run(command, capture_output=True, text=True))

    took, done = seconds(run), results[-1]
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, arguments))}: {done.stderr}")
    return took, int(done.stdout) / 1024


def _first(command, kept):
    """Seconds of a cutout where no converted network is `kept`."""
    shutil.rmtree(kept, ignore_errors=True)
    return _measured(*command)[0]


def _write_photos(folder):
    """Real portraits, enlarged and with the noise of a camera: photos compress worse with it than without."""
    folder.mkdir()
    noise = np.random.default_rng(0).normal(0, 4, (HEIGHT, WIDTH, 1)).astype(np.float32)
    portraits = [Image.fromarray(read_photo(path)) for path in sample_portraits()]
    for number in range(PHOTOS):
        portrait = ImageOps.fit(portraits[number % len(portraits)], (WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        pixels = (np.asarray(portrait) + np.roll(noise, 97 * number, axis=0)).clip(0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.jpg", quality=92)
