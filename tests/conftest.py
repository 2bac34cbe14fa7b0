"""What several tests share: a tiny portrait folder, runs on it, and the files beside the repository."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from helpers import assembly, training
from helpers.assembly import assemble
from helpers.checkpoints import read_checkpoint
from helpers.config import FINAL, load_config
from helpers.devices import Runtime
from helpers.mixing import Source
from helpers.u2net import LITE, TABLES

ROOT = Path(__file__).resolve().parents[1]

torch.set_num_threads(1)  # tiny networks get slower, not faster, on more

# a shell's background job ignores Ctrl-C, and so would every process that the tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared():
    """The folder `shared` beside the repository, which holds real weights and real portraits."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared is not there")
    return folder


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


@pytest.fixture(scope="session")
def portrait_folder(tmp_path_factory):
    """A data set in EasyPortrait's layout with 12 training, 4 validation and 4 test pictures; not to be changed."""
    folder, numbers = tmp_path_factory.mktemp("portraits"), np.random.default_rng(0)
    rows = ["image_name,user_id,height,width,set,brightness"]
    for split, count in (("train", 12), ("val", 4), ("test", 4)):
        for kind in ("images", "annotations"):
            (folder / kind / split).mkdir(parents=True)
        for i in range(count):
            photo, ids = draw_portrait(numbers)
            Image.fromarray(photo).save(folder / "images" / split / f"{split}-{i}.jpg", quality=95)
            Image.fromarray(ids).save(folder / "annotations" / split / f"{split}-{i}.png")
            rows.append(f"{split}-{i}.jpg,{split}-user-{i // 2},{ids.shape[0]},{ids.shape[1]},{split},{photo.mean()}")
    (folder / "meta.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def float32():
    """The CPU without mixed precision."""
    return Runtime(torch.device("cpu"), None, torch.contiguous_format)


@pytest.fixture(scope="session")
def tiny():
    """The table of a network with three channels everywhere: the stages of `u2net_lite` in a tenth of the time."""
    return tuple(stage._replace(mid=3, out=3) for stage in LITE)


@pytest.fixture(scope="session")
def make_run(tiny, portrait_folder, float32):
    """`make_run(epochs=2, …)` → a run of the tiny network on the tiny portraits, and its validation loader.

    Four batches of three an epoch; validation in batches of three and one.
    """

    def make(data=portrait_folder, weights=None, runtime=float32, folder=None, **settings):
        settings = {"image_size": 32, "batch_size": 3, "epochs": 2} | settings
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(TABLES, "u2net_lite", tiny)
            return assemble(load_config("smoke", **settings), [Source(data)], weights, runtime, folder)

    return make


@contextmanager
def tiny_headless_runs(tiny, runtime):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TABLES, "u2net_lite", tiny)
        patch.setattr(assembly, "best_runtime", lambda *_: runtime)
        patch.setattr(threading, "excepthook", threading.excepthook)  # put back what they change
        yield


@pytest.fixture
def headless(tiny, float32):
    """Headless runs in this process train the tiny network, without mixed precision."""
    with tiny_headless_runs(tiny, float32):
        yield


@pytest.fixture(scope="session")
def ended(tiny, float32, portrait_folder, tmp_path_factory):
    """The folder of a `headless` run with `arguments(…, "checkpoint_every=1")` that nothing disturbed."""
    folder = tmp_path_factory.mktemp("ended")
    with tiny_headless_runs(tiny, float32):
        assert training.main(arguments(portrait_folder, folder, "checkpoint_every=1")) == 0
    return folder


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


@pytest.fixture
def copy(portrait_folder, tmp_path):
    """The tiny portraits, to be broken."""
    return Path(shutil.copytree(portrait_folder, tmp_path / "copy"))


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
