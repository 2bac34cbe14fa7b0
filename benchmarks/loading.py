"""How long training waits for its data: the loop's own counter, with 8 workers from a prepared copy."""

import tempfile
from pathlib import Path

import torch

from benchmarks.input import make_originals
from helpers.config import load_config
from helpers.datasets.prepare import prepare
from helpers.samples.mixing import Source
from helpers.training.loop import train_epoch
from helpers.training.setup import assemble

VISITS = 40  # so that an epoch lasts


def line():
    """A Markdown line: the share of an epoch at 320² for which a GPU's training waits; not measured without a GPU."""
    what = "Waiting for data while training u2net on a GPU, 320², 8 workers, from a prepared copy (at most 5 %):"
    if not torch.cuda.is_available():
        return f"{what} not measured, no GPU."
    with tempfile.TemporaryDirectory() as folder:
        originals, prepared = make_originals(Path(folder) / "originals", 24), Path(folder) / "prepared"
        prepare(originals, prepared)
        run, _ = assemble(load_config("paper", workers=8, epochs=2), [Source(prepared, weight=VISITS)])
        for _ in range(2):  # the workers start in the first
            train_epoch(run)
    return f"{what} {run.timing[-1][1]:.1%}."
