"""What several tests call: a synthetic portrait, headless runs and their comparison, processes."""

import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import zlib
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from helpers.config import FINAL
from helpers.files.png import _chunk
from helpers.networks.weights import read_checkpoint

ROOT = Path(__file__).resolve().parents[1]


def draw_portrait(numbers):
    """A head and shoulders from ellipses: photo (H, W, 3) and class ids (H, W), both uint8, 48 to 80 pixels a side."""
    height, width = numbers.integers(48, 81, 2)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    ids = np.zeros((height, width), np.uint8)
    ids[(x / 0.8) ** 2 + ((y - 1) / 0.7) ** 2 < 1] = 1
    ids[(x / 0.4) ** 2 + ((y + 0.2) / 0.55) ** 2 < 1] = 2
    for name, across, down in (("eye", -0.15, -0.3), ("eye", 0.15, -0.3), ("lips", 0, 0.1)):
        ids[((x - across) / 0.08) ** 2 + ((y - down) / 0.06) ** 2 < 1] = 7 if name == "lips" else 5
    photo = numbers.integers(0, 256, (9, 3), np.uint8)[ids].astype(float) + numbers.normal(0, 8, (height, width, 3))
    return photo.clip(0, 255).astype(np.uint8), ids


def assert_same_end(folder, ended):
    """A folder holds the files of the run that ended undisturbed, and its weights, but for settings that may differ."""
    assert sorted(path.name for path in folder.glob("*.*")) == sorted(path.name for path in ended.iterdir())
    ours, theirs = ({**read_checkpoint(place / FINAL), "config": None} for place in (folder, ended))
    assert same_run(ours, theirs)


def error_of(code, capsys):
    """The one line of a run that failed as it should."""
    printed = capsys.readouterr()
    assert code == 1
    lines = [line for line in printed.err.splitlines() if line.strip() and "%|" not in line]  # no progress bars
    assert len(lines) == 1, printed.err
    assert lines[0].startswith("error: ")
    return lines[0]


class Stop(Exception):
    """The machine is switched off."""


def stop_at(step):
    """Something to call after every batch that switches the machine off after this step."""

    def after(run):
        if run.step == step:
            raise Stop

    return after


def equal(first, second):
    """Whether two nested states are the same, bit by bit."""
    if isinstance(first, torch.Tensor):
        return torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(equal(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(equal, first, second))
    return first == second


def same_run(first, second):
    """Whether two checkpoints are the same in all but the time they took, and the random numbers, which other tests
    have drawn from as well."""
    free = {"rng": None, "timing": None}
    return equal(first | free, second | free)


def arguments(data, out, *settings, preset="smoke"):
    """The command line of a small headless run."""
    settings = ("image_size=32", "batch_size=3", "epochs=2", *settings)
    return ["--preset", preset, "--data", str(data), "--out", str(out),
            *(part for setting in settings for part in ("--set", setting))]  # fmt: skip


def start(*arguments):
    """A Python process in the repository, on one core and no GPU, whose outputs are pipes."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment, **pipes)


def read_until(process, text):
    """Read the error output of a process, its progress bars, until `text` appears in it."""
    seen = b""
    while text not in seen:
        piece = process.stderr.read1()
        assert piece, seen.decode()
        seen += piece


def mattes(seed=0, shape=(23, 31)):
    """Two different smooth mattes that reach 0 and 1: soft discs, the second one shifted and with noise inside."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    true = np.clip((9 - np.hypot(y - 11, x - 14)) / 4, 0, 1)
    pred = np.clip((9 - np.hypot(y - 12, x - 16)) / 5, 0, 1) * np.random.default_rng(seed).uniform(0.7, 1, shape)
    return pred, true


def write_shallow_png(path, values, bits, **chunks):
    """Grey values (h, w) as a PNG of 1, 2, 4 or 8 bits, which Pillow does not write, with these chunks; its path."""
    height, width = values.shape
    packed = np.packbits(np.unpackbits(values[..., None], axis=2)[..., 8 - bits :].reshape(height, -1), axis=1)
    rows = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
    head = struct.pack(">II5B", width, height, bits, 0, 0, 0, 0)
    before = [(name.encode(), value) for name, value in chunks.items()]
    parts = [(b"IHDR", head), *before, (b"IDAT", rows), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))
    return path


def add_chunks(path, **chunks):
    """Put chunks that Pillow does not write into a PNG file, behind its head; its path."""
    data = path.read_bytes()
    path.write_bytes(data[:33] + b"".join(_chunk(name.encode(), value) for name, value in chunks.items()) + data[33:])
    return path


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def serving(code, *arguments, weights, temporary):
    """Run the page on a free port, its temporary files in a folder: the process, and its address once it answers."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TMPDIR": str(temporary)}
    environment.pop("GRADIO_TEMP_DIR", None)
    command = [sys.executable, *code, "--weights", str(weights), "--port", str(free_port()), *arguments]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process, process.stdout.readline().split()[0]
        finally:
            process.send_signal(signal.SIGTERM)


def without_truths(folder, out, *splits):
    """A copy of a data set whose `splits` have no ground truths."""
    copy = shutil.copytree(folder, out / "set")
    for split in splits:
        shutil.rmtree(copy / "annotations" / split)
    return copy
