"""Finding portraits and their truths in EasyPortrait's layout, and reading them as training samples.

Light on purpose (no torch): worker processes and the portrait generator import it.
"""

import csv
import os
import random
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np

from helpers.photos import EXTENSIONS, read_grey, read_photo

CLASSES = ("BACKGROUND", "PERSON", "SKIN", "LEFT_BROW", "RIGHT_BROW", "LEFT_EYE", "RIGHT_EYE", "LIPS", "TEETH")
"""EasyPortrait's class names (table 1 of the report); the position is the pixel value in an annotation PNG."""

SPLITS = ("train", "val", "test")


class Pair(NamedTuple):
    """One portrait: its photo, its truth, and whether the truth is a soft matte or a PNG of class ids."""

    image: Path
    truth: Path
    is_matte: bool = False


def splits_in(folder, truth="annotations"):
    """The splits (of `SPLITS`) that a folder has images and truths for; v1, v2 and made sets have all three."""
    return [split for split in SPLITS if all(_existing(folder, kind, split) for kind in ("images", truth))]


def find_pairs(folder, split, truth="annotations"):
    """Pairs of a split of an EasyPortrait folder, matched by file name and sorted by it.

    Both layouts are understood: `images/train/x.jpg` with `annotations/train/x.png`, and `train/images/x.jpg` with
    `train/annotations/x.png`. `truth="mattes"` takes the exact alphas of the made data set instead.
    Images without a truth are left out with one warning that counts them and names the first ones.
    Raises FileNotFoundError naming the folder that is missing or holds no pair.
    """
    images, truths = (_split_folder(folder, kind, split) for kind in ("images", truth))
    masks = {path.stem: path for path in sorted(truths.iterdir()) if path.suffix.lower() == ".png"}
    photos = sorted(path for path in images.iterdir() if path.suffix.lower() in EXTENSIONS)
    pairs = [Pair(photo, masks[photo.stem], truth == "mattes") for photo in photos if photo.stem in masks]
    orphans = [photo.name for photo in photos if photo.stem not in masks]
    if not pairs:
        raise FileNotFoundError(f"{images}: no image has a mask of the same name in {truths}")
    if orphans:
        names = ", ".join(orphans[:3]) + (", …" if len(orphans) > 3 else "")
        warnings.warn(f"{images}: {len(orphans)} images without a mask in {truths} left out: {names}", stacklevel=2)
    return pairs


def _existing(folder, kind, split):
    """`folder/kind/split` or `folder/split/kind`, whichever is there; None if neither is."""
    candidates = (Path(folder) / kind / split, Path(folder) / split / kind)
    return next((path for path in candidates if path.is_dir()), None)


def _split_folder(folder, kind, split):
    path = _existing(folder, kind, split)
    if path is None:
        raise FileNotFoundError(
            f"{Path(folder) / kind / split}: no such folder. Expected EasyPortrait's layout, "
            "images/{train,val,test}/*.jpg with annotations/{train,val,test}/*.png; "
            f"unpack its zips into {folder}, or correct the path"
        )
    return path


def read_alpha(pair):
    """The truth of a pair as (H, W) uint8 alpha: class ids become 255 where not background, mattes stay as they are."""
    truth = read_grey(pair.truth)
    return truth if pair.is_matte else np.where(truth > 0, np.uint8(255), np.uint8(0))


def read_pair(pair):
    """Photo (H, W, 3) uint8 RGB and alpha (H, W) uint8 of a pair.

    Raises ValueError naming the file that is unreadable, or both files if their sizes differ.
    """
    image, alpha = read_photo(pair.image), read_alpha(pair)
    if image.shape[:2] != alpha.shape:
        (height, width), (mask_height, mask_width) = image.shape[:2], alpha.shape
        raise ValueError(
            f"{pair.truth}: {mask_width}×{mask_height} pixels, but its photo {pair.image} has {width}×{height} "
            "(after EXIF rotation); replace or remove the pair"
        )
    return image, alpha


def user_ids(folder, pairs):
    """The set of persons in `pairs`, by the `user_id` column of the folder's meta.csv.

    A picture that meta.csv doesn't tell about counts as a person of its own.
    """
    users = {}
    for place in ("", "annotations", "meta"):
        path = Path(folder) / place / "meta.csv"
        if path.is_file():
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            for row in csv.DictReader(lines, delimiter="\t" if lines and "\t" in lines[0] else ","):
                name = row.get("image_name") or row.get("attachment_id") or ""
                users[os.path.splitext(name)[0]] = row.get("user_id") or name
            break
    return {users.get(pair.image.stem, pair.image.stem) for pair in pairs}


class PortraitDataset:
    """Augmented samples, each determined by (seed, epoch, index) alone.

    So a sample is the same whichever process reads it, and however often the run was stopped and resumed.
    """

    def __init__(self, pairs, transform, seed=0):
        self.pairs, self.transform, self.seed = pairs, transform, seed

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, key):
        """Image (3, S, S) uint8 and alpha (1, S, S) uint8 for the key `(epoch, index)`."""
        epoch, index = key
        image, alpha = read_pair(self.pairs[index])
        numbers = np.random.default_rng((self.seed, epoch, index))
        # One stream for all transforms: set_random_seed would start each from the same number, so that the photos that
        # are cropped were those that are mirrored, and so on.
        self.transform.set_random_state(numbers, random.Random(int(numbers.integers(2**63))))
        sample = self.transform(image=image, mask=alpha)
        return np.ascontiguousarray(sample["image"].transpose(2, 0, 1)), sample["mask"][None]


class EpochBatches:
    """Batch sampler whose order depends on (seed, epoch) alone, and which can start at any batch of an epoch.

    Yields lists of keys `(epoch, index)` for `PortraitDataset`. Shuffled: incomplete last batches are dropped (another
    remainder every epoch). Not shuffled: all indices in order.
    """

    def __init__(self, count, batch_size, shuffle, seed=0):
        self.count, self.shuffle, self.seed = count, shuffle, seed
        self.batch_size = min(batch_size, count)
        self.epoch = self.first_batch = 0

    def __len__(self):
        """Batches in a whole epoch."""
        return self.count // self.batch_size if self.shuffle else -(-self.count // self.batch_size)

    def seek(self, epoch, batch=0):
        """Make the next iteration start at this batch of this epoch."""
        self.epoch, self.first_batch = epoch, batch

    def __iter__(self):
        order = np.arange(self.count)
        if self.shuffle:
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        for batch in range(self.first_batch, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield [(self.epoch, int(index)) for index in chosen]
