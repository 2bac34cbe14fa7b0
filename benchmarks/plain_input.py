"""The plain way to a training pair: everything decoded and augmented at full size, then resized.

    python -m benchmarks.plain_input FOLDER VISITS

prints the seconds of processor time that `VISITS` passes over the training pairs take. It has a process of its own, and
imports nothing of `helpers` but the list of transforms, so that what makes ours fast doesn't make it faster as well.
"""

import random
import sys
import time
from pathlib import Path

import albumentations as A
import numpy as np
from PIL import Image

from helpers.augment import crop_group, geometric_group, visual_group

SIZE = 320


def read(image, annotation, transform, key):
    """Photo (320, 320, 3) and alpha (320, 320), uint8; the key gives the numbers as in `helpers.samples`."""
    photo = np.array(Image.open(image).convert("RGB"))
    alpha = np.where(np.array(Image.open(annotation)) > 0, 255, 0).astype(np.uint8)
    numbers = np.random.default_rng(key)
    transform.set_random_state(numbers, random.Random(int(numbers.integers(2**63))))
    changed = transform(image=photo, mask=alpha)
    return [Image.fromarray(changed[name]).resize((SIZE, SIZE), Image.LANCZOS) for name in ("image", "mask")]


def main(folder, visits):
    images = sorted(Path(folder, "images", "train").glob("*.jpg"))
    annotations = [Path(folder, "annotations", "train", f"{path.stem}.png") for path in images]
    visual = visual_group()
    for group in visual:
        group.transforms = [A.GlassBlur(p=1) if isinstance(step, A.GlassBlur) else step for step in group.transforms]
    transform = A.Compose([*crop_group(), *geometric_group(), *visual])
    read(images[0], annotations[0], transform, (0, 0, 0))
    start = time.process_time()
    for visit in range(int(visits)):
        for index, paths in enumerate(zip(images, annotations)):
            read(*paths, transform, (0, visit, index))
    print(time.process_time() - start)


if __name__ == "__main__":
    main(*sys.argv[1:])
