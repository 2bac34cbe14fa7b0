"""What several tests share: a tiny portrait folder, runs on it, and the files beside the repository."""

import os
import shutil
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import ROOT, arguments, draw_portrait

from helpers.config import load_config
from helpers.devices import Runtime
from helpers.networks.registry import weights_out
from helpers.samples.mixing import Source
from helpers.training import setup as assembly
from helpers.training.__main__ import main
from helpers.training.loop import train_epoch
from helpers.training.setup import assemble
from helpers.u2net import LITE, TABLES, U2Net

os.environ["OMP_NUM_THREADS"] = "1"  # tiny networks get slower, not faster, on more

# a shell's background job ignores Ctrl-C, and so would every process that the tests interrupt
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """One thread before each test and its fixtures: importing pymatting, as rembg does, sets torch to more again."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared():
    """The folder `shared` beside the repository, which holds real weights and real portraits."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder ../shared is not there")
    return folder


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


@pytest.fixture
def trained_weights(make_run, tmp_path):
    """A weight file whose batch norms have statistics of their own."""
    run, _ = make_run(seed=7)
    train_epoch(run)
    torch.save(weights_out(run.model), tmp_path / "w.pth")
    return tmp_path / "w.pth"


@pytest.fixture
def chromium(browser):
    """A headless Chromium, to look at the page with. In the end its windows are closed: an open one goes on drawing."""
    yield browser
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("gradio", reason="the web page needs gradio")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright to drive a browser")
    path = shutil.which("chromium")
    if not path:
        pytest.skip("needs Debian's chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory):
    """A weight file of a lite network with random weights."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "random.pth"
    torch.save({"model_state_dict": weights_out(U2Net.lite()), "config": {"image_size": 64}}, path)
    return path


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
        assert main(arguments(portrait_folder, folder, "checkpoint_every=1")) == 0
    return folder


@pytest.fixture
def copy(portrait_folder, tmp_path):
    """The tiny portraits, to be broken."""
    return Path(shutil.copytree(portrait_folder, tmp_path / "copy"))
