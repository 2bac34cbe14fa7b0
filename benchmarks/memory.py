"""Memory of a training run over its epochs, with data sets of two sizes."""

import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.synthetic.dataset import write_dataset

COUNTS = (200, 2000)
EPOCHS = 4

MEASURE = """
import sys
from helpers.training.setup import assemble
from helpers.config import load_config
from helpers.samples.mixing import Source
from helpers.startup import begin_training
from helpers.training.loop import train_epoch, validate

def megabytes():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS")) / 1024

config = load_config("smoke", image_size=32, batch_size=20, epochs=int(sys.argv[2]))
begin_training(config.batch_size * config.image_size**2)
run, val_loader = assemble(config, [Source(sys.argv[1])])
for _ in range(config.epochs):
    train_epoch(run)
    validate(run, val_loader)
    print(f"{megabytes():.0f}")
"""


def table():
    """Markdown: resident memory in MB after each epoch, a row for each size. Reads Linux's /proc."""
    lines = ["| memory of a run, MB | " + " | ".join(f"epoch {i + 1}" for i in range(EPOCHS)) + " |",
             "|---|" + "---|" * EPOCHS]  # fmt: skip
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            data = _many(Path(folder), count)
            command = [sys.executable, "-c", MEASURE, str(data), str(EPOCHS)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        lines.append(f"| {count} portraits | " + " | ".join(done.stdout.split()) + " |")
    return "\n".join(lines)


def _many(folder, count):
    """A data set of `count` training portraits: a few made ones under many names."""
    made = write_dataset(folder / "made", 40, 96)
    for kind, suffix in (("images", ".jpg"), ("annotations", ".png")):
        sources = sorted((Path(made) / kind / "train").glob(f"*{suffix}"))
        for split in ("train", "val"):
            target = folder / "many" / kind / split
            target.mkdir(parents=True)
            for i in range(count if split == "train" else 10):
                (target / f"{split}{i:05d}{suffix}").symlink_to(sources[i % len(sources)])
    return folder / "many"
