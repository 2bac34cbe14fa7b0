"""From files to augmented pairs at 320²: JPEG photos of 1440 × 1920 with PNG masks, on one core, in one process.

    python -m benchmarks.input FOLDER VISITS

prints the seconds of processor time that `VISITS` passes over a folder's training pairs take.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import cv2
import numpy as np
from PIL import Image

from benchmarks.timing import Row
from helpers.augment import least_side, training_transform
from helpers.datasets.layouts import find_pairs
from helpers.datasets.prepare import prepare
from helpers.samples.samples import PortraitDataset
from helpers.startup import begin_worker
from helpers.synthetic.dataset import make_portrait

SIZE, COUNT = 320, 24


def rows(repeats=3, visits=8):
    """Two `Row`s: our pairs a second from the originals and from a prepared copy, against the plain way.

    Each way runs in a process of its own, by turns; all draw the same crops, flips and changes. Processor time is
    counted, so that other programs on the machine matter less.
    """
    with tempfile.TemporaryDirectory() as folder:
        originals, prepared = Path(folder) / "originals", Path(folder) / "prepared"
        make_originals(originals, COUNT)
        prepare(originals, prepared, workers=1)
        sizes = [path.stat().st_size / 1e6 for path in (originals / "images" / "train").iterdir()]
        ways = ("benchmarks.plain_input", originals), ("benchmarks.input", originals), ("benchmarks.input", prepared)
        turns = [[_seconds(*way, visits) for way in ways] for _ in range(repeats)]
    plain, *ours = (COUNT * visits / median(times) for times in zip(*turns))
    what = f"augmented {SIZE}² pairs, 1440 × 1920 JPEG ({min(sizes):.1f} to {max(sizes):.1f} MB) and PNG, "
    found = []
    for i, (source, least) in enumerate((("from the originals", 5), ("from a prepared copy", 12))):
        ratios = [turn[0] / turn[i + 1] for turn in turns]
        found.append(Row(what + source, plain, ours[i], least, "pairs/s", (min(ratios), max(ratios))))
    return found


def make_originals(folder, count):
    """A data set of `count` training and 8 validation portraits in EasyPortrait's layout, as large as a phone's.

    The synthetic portraits are enlarged and get the noise of a sensor: without it their files would be too small. The
    masks are their class ids. Returns the folder.
    """
    for split, numbers in (("train", range(count)), ("val", range(count, count + 8))):
        images, annotations = (Path(folder) / kind / split for kind in ("images", "annotations"))
        images.mkdir(parents=True)
        annotations.mkdir(parents=True)
        for number in numbers:
            portrait = make_portrait(number, 1024)
            upright = np.s_[:, 128:-128]  # three to four
            photo = cv2.resize(portrait.image[upright], (1440, 1920), interpolation=cv2.INTER_CUBIC)
            noise = np.random.default_rng(number).normal(0, 4, photo.shape)
            photo = (photo + noise).round().clip(0, 255).astype(np.uint8)
            ids = cv2.resize(portrait.annotation[upright], (1440, 1920), interpolation=cv2.INTER_NEAREST)
            Image.fromarray(photo).save(images / f"{number}.jpg", quality=92)
            Image.fromarray(ids).save(annotations / f"{number}.png")
    return folder


def _seconds(module, folder, visits):
    command = [sys.executable, "-m", module, str(folder), str(visits)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(folder, visits):
    begin_worker()
    pairs = find_pairs(folder, "train")
    dataset = PortraitDataset(pairs, training_transform(SIZE), least=least_side(SIZE))
    dataset[0, 0]
    start = time.process_time()
    for visit in range(int(visits)):
        for index in range(len(pairs)):
            dataset[visit, index]
    print(time.process_time() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
