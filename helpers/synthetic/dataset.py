"""Synthetic portraits with exact soft mattes, drawn from seeds, in EasyPortrait's layout.

    from helpers.synthetic.dataset import make_portrait, write_dataset
    portrait = make_portrait(seed=7)                 # one picture, its class ids and its alpha
    write_dataset("data/synthetic", count=2000)      # images/, annotations/, mattes/ and meta.csv

or `python -m helpers.synthetic DIR --count N --size S --seed K`. `helpers.synthetic.drawing` paints the pictures.
LEFT and RIGHT in the class names are the person's own: in an unmirrored frontal picture the left eye is on the right.
"""

import csv
import json
import shutil
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from helpers.datasets.layouts import SPLITS
from helpers.files.atomic import naming
from helpers.files.parallel import in_parallel
from helpers.startup import usable_cores
from helpers.synthetic.drawing.scene import draw_scene

GENERATOR_VERSION = 1
"""Increased whenever the same seed gives another picture. So old data sets are not mistaken for new ones."""

MINIMUM_COUNT = 8
"""Fewer pictures cannot fill three splits that share no person."""

PICTURES_PER_USER = 3
SMALLEST, LARGEST = 32, 2048
_RECORD = "synthetic.json"


class Portrait(NamedTuple):
    """One synthetic picture; all arrays share the pixel grid."""

    image: NDArray[np.uint8]
    """(H, W, 3) uint8 RGB: matte · person + (1 - matte) · background, seen through a simulated camera."""
    annotation: NDArray[np.uint8]
    """(H, W) uint8, indices into `helpers.datasets.layouts.CLASSES`; not 0 where the matte is at least 128, else 0."""
    matte: NDArray[np.uint8]
    """(H, W) uint8, 255 · alpha: exact, with strands of hair finer than a pixel."""


def make_portrait(seed: int, size: int = 256, user: int | None = None) -> Portrait:
    """Draw the portrait number `seed`.

    Parameters
    ----------
    seed : int
        Pose, framing, clothes, light and background. The same seed at another size gives the same scene.
    size : int
        Height and width in pixels, from `SMALLEST` to `LARGEST`.
    user : int, optional
        The person: skin, hair colour, face, build and beard are the same in all pictures of a user. Without it every
        seed is a person of its own.

    Returns
    -------
    Portrait
        The same arguments always give the same arrays.

    Raises
    ------
    ValueError
        For a negative seed or user, and for other sizes.

    Examples
    --------
    >>> portrait = make_portrait(seed=7, size=64)
    >>> portrait.image.shape, portrait.matte.dtype
    ((64, 64, 3), dtype('uint8'))
    >>> bool(((portrait.annotation > 0) == (portrait.matte >= 128)).all())
    True
    """
    _check(size, seed, user)
    identity = np.random.default_rng([seed, 1] if user is None else [user, 2])
    picture = draw_scene(size, identity, np.random.default_rng([seed, 0]))
    return Portrait(picture.image, picture.labels, picture.alpha)


def _check(size: int, seed: int, user: int | None = None) -> None:
    """Raise ValueError for a size, a seed or a user that no portrait has."""
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(f"size is {size}, but must lie between {SMALLEST} and {LARGEST} pixels")
    for name, number in (("seed", seed), ("user", user)):
        if number is not None and number < 0:
            raise ValueError(f"{name} is {number}, but must not be negative")


def write_dataset(folder: Path | str, count: int, size: int = 256, seed: int = 0, workers: int | None = None) -> Path:
    """Write synthetic portraits in EasyPortrait's layout.

    Parameters
    ----------
    folder : Path or str
    count : int
        Pictures, at least `MINIMUM_COUNT`.
    size : int
        Their side in pixels.
    seed : int
        Another seed gives other pictures.
    workers : int, optional
        Number of processes. None: one for each core. 1: no other process. The files do not depend on it. A script
        that calls this with more than one worker needs the usual `if __name__ == "__main__":` around the call.

    Returns
    -------
    Path
        The folder: `images/SPLIT/ID.jpg` (RGB), `annotations/SPLIT/ID.png` (class ids), `mattes/SPLIT/ID.png` (8-bit
        alpha), `meta.csv`, and a record of the arguments. The splits train, val and test hold 70, 10 and 20 % of the
        persons, none of them in two splits.

    Raises
    ------
    ValueError
        If `count` is below `MINIMUM_COUNT`, `size` not from `SMALLEST` to `LARGEST`, or `seed` negative, and for the
        current folder.
    FileExistsError
        If the folder holds anything else. Nothing in it is changed.

    Notes
    -----
    If the folder already holds the complete data set of the same arguments, nothing is written. All files are first
    written beside the folder and renamed at the end, so an interrupted run leaves nothing that looks complete.
    """
    folder = Path(folder)
    place = folder.resolve()  # the folder itself, where a link leads to it
    _check(size, seed)
    if count < MINIMUM_COUNT:
        raise ValueError(
            f"count is {count}, but at least {MINIMUM_COUNT} pictures are needed to fill the splits "
            f"{', '.join(SPLITS)} without sharing a person"
        )
    record = {"generator": GENERATOR_VERSION, "count": int(count), "size": int(size), "seed": int(seed)}
    if _is_complete(folder, record):
        return folder
    _refuse_foreign(folder, record)
    if place == Path.cwd():
        raise ValueError(f"{folder}: is the current folder, which cannot be replaced; name one that is not there yet")
    partial = place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        with naming(folder, partial):
            partial.mkdir(parents=True)
            _write_all(partial, record, workers or usable_cores())
            if place.is_dir():
                place.rmdir()  # fails, and deletes nothing, if the folder is no longer empty
            partial.rename(place)
    except OSError:
        if not _is_complete(folder, record):  # otherwise another process has just written the same data set
            raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


class _Task(NamedTuple):
    """One picture to be written into `folder`."""

    folder: Path
    split: str
    name: str
    user_id: str
    user: int
    seed: int
    size: int
    quality: int


def _is_complete(folder: Path, record: dict[str, int]) -> bool:
    """Whether `folder` holds the data set of these arguments. The record is the last file that appears."""
    try:
        return json.loads((folder / _RECORD).read_text(encoding="utf-8")) == record and (folder / "meta.csv").is_file()
    except (OSError, ValueError):
        return False


def _refuse_foreign(folder: Path, record: dict[str, int]) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    raise FileExistsError(
        f"{folder} exists and is not the data set asked for ({record}); nothing in it was changed. "
        "Choose another folder, or move this one away first."
    )


def _plan(folder: Path, record: dict[str, int]) -> list[_Task]:
    """The tasks in order: the person, the split and the file name of each picture."""
    rng = np.random.default_rng([record["seed"], record["count"]])
    count = record["count"]
    users = max(len(SPLITS), round(count / PICTURES_PER_USER))
    order = rng.permutation(users)
    val, test = max(1, round(0.1 * users)), max(1, round(0.2 * users))
    split_of = {
        user: "val" if place < val else "test" if place < val + test else "train"
        for place, user in enumerate(order.tolist())
    }
    user_ids = [rng.bytes(16).hex() for _ in range(users)]
    traits = rng.integers(2**62, size=users).tolist()
    tasks = []
    for number in range(count):
        user = number % users
        name = str(uuid.UUID(bytes=rng.bytes(16), version=4))
        tasks.append(
            _Task(
                folder,
                split_of[user],
                name,
                user_ids[user],
                traits[user],
                int(rng.integers(2**62)),
                record["size"],
                int(rng.integers(70, 98)),
            )
        )
    return tasks


def _write_all(folder: Path, record: dict[str, int], workers: int) -> None:
    for kind in ("images", "annotations", "mattes"):
        for split in SPLITS:
            (folder / kind / split).mkdir(parents=True)
    tasks = _plan(folder, record)
    rows = list(in_parallel(_write_picture, tasks, workers, "portraits"))
    with open(folder / "meta.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image_name", "user_id", "height", "width", "set", "brightness"))
        writer.writerows(rows)
    (folder / _RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")


def _write_picture(task: _Task) -> tuple[Any, ...]:
    """Draw one picture, write its three files and return its row of `meta.csv`."""
    portrait = make_portrait(task.seed, task.size, task.user)
    pixels = cv2.cvtColor(portrait.image, cv2.COLOR_RGB2BGR)
    files: tuple[tuple[str, str, NDArray, list[int]], ...] = (
        ("images", ".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, task.quality]),
        ("annotations", ".png", portrait.annotation, []),
        ("mattes", ".png", portrait.matte, []),
    )
    for kind, suffix, array, options in files:
        done, data = cv2.imencode(suffix, array, options)
        if not done:
            raise OSError(f"OpenCV could not encode {task.name}{suffix}")
        (task.folder / kind / task.split / (task.name + suffix)).write_bytes(data.tobytes())
    brightness = cv2.cvtColor(portrait.image, cv2.COLOR_RGB2GRAY).mean()
    return task.name, task.user_id, task.size, task.size, task.split, f"{brightness:.2f}"
