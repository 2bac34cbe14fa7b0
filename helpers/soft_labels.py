"""Training data from photos of people without masks. Teachers, networks that cut people out well, write the masks.

    python -m helpers.soft_labels PHOTOS OUT [--weights teacher.pth …] [--whole]

writes two data sets. `OUT/portraits` holds the upper bodies, and the whole photos of people who stand. Their ground
truths are the teachers' mean alphas ("soft labels", Hinton et al., "Distilling the knowledge in a neural network",
2015). `OUT/composites` holds the upper bodies cut out, and the parts of the photos beside them as other backgrounds.
With `--whole`, both hold the photos as they are instead, and whole figures: of one person each, without backgrounds.
"""

import argparse
import csv
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from helpers.cutout import Matter, foreground_colours, load_matter
from helpers.files.arguments import not_empty, path
from helpers.files.atomic import whole_file
from helpers.files.folders import find_pictures, in_words, no_photos, unread_folder
from helpers.files.photos import read_photo
from helpers.startup import begin

DOUBT = 0.1
"""The largest doubt: the mean distance of alpha to the nearer of 0 and 1, as a share of the mean alpha."""

LEAST_SHARE = 0.05
"""The least share of the picture that a person has."""

STANDING = 0.7
"""If the upper body is a smaller part of the photo's longer side, the whole photo becomes a portrait as well."""

WHOLE = "-whole"
"""The end of the name of a whole photo, which lies beside the close one."""

VEIL = 0.05
"""Alphas of a whole figure that are this close to 0 or 1 become exactly 0 or 1: there the teacher is sure."""

ALONE = 0.9
"""The least share that the largest part has of all the person's pixels.

Below it there are several people, or one in pieces.
"""

WRITTEN = ("portraits", "composites")
"""The folders that are written."""

NARROWEST = 80
"""The least width in pixels of a strip beside a person that becomes a background."""


def soft_alpha(teachers: Sequence[Matter], photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The alpha (H, W) float32 of a photo (H, W, 3) uint8: the mean over all `Matter`s, and over its mirror image."""
    mirrored = np.ascontiguousarray(photo[:, ::-1])
    return np.mean([alpha for each in teachers for alpha in (each.alpha(photo), each.alpha(mirrored)[:, ::-1])], axis=0)


def is_sure(alpha: NDArray) -> bool:
    """Whether the teachers see a person and agree on its outline. An unsure alpha would be a bad ground truth."""
    share, doubt = alpha.mean(), np.minimum(alpha, 1 - alpha).mean()
    return bool(share >= LEAST_SHARE and doubt <= DOUBT * share)


def upper_body(alpha: NDArray) -> tuple[int, int, int] | None:
    """The square `(y, x, side)` around the upper body of the person in an alpha (H, W), in pixels, within the picture.

    A person more than twice as tall as wide stands: then it is the upper half with a little space around it. Otherwise
    it holds the whole person. None if there is no person.
    """
    count, _, boxes, _ = cv2.connectedComponentsWithStats((alpha >= 0.5).astype(np.uint8))
    if count < 2:
        return None
    x, y, width, height, _ = max(boxes[1:], key=lambda box: box[cv2.CC_STAT_AREA])
    side = 1.12 * (height / 2 if height > 2 * width else max(width, height))
    side = min(round(side), *alpha.shape)
    top, left = round(y - 0.06 * side), round(x + width / 2 - side / 2)
    return min(max(top, 0), alpha.shape[0] - side), min(max(left, 0), alpha.shape[1] - side), side


def beside(photo: NDArray[np.uint8], alpha: NDArray) -> list[NDArray[np.uint8]]:
    """The strips of a photo (H, W, 3) left and right of the person in its alpha (H, W) that are wide enough."""
    columns = np.flatnonzero(alpha.max(0) > 0.02)
    strips = (photo[:, : columns[0]], photo[:, columns[-1] + 1 :]) if len(columns) else (photo,)
    return [strip for strip in strips if strip.shape[1] >= NARROWEST]


def find_photos(folder: Path, out: Path) -> tuple[list[Path], int]:
    """The photos in a folder and below it, without those that earlier runs wrote into `out`, should it lie there.

    Files that are no photos and folders that are passed over are named. The number of folders that cannot be read is
    returned, too.
    Raises FileNotFoundError if there is no photo.
    """
    unread: list[str] = []
    written = [(out / name).resolve() for name in WRITTEN]
    paths, passed_over = find_pictures(
        folder, lambda error: unread.append(unread_folder(error)), lambda below: below.resolve() in written
    )
    if not paths:
        raise FileNotFoundError(no_photos(folder, passed_over, unread))
    if passed_over:
        print(f"passed over, not photos by their names: {in_words(passed_over)}", file=sys.stderr)
    for line in unread:
        print(f"skipped: {line}", file=sys.stderr)
    for place in written:
        if place.is_dir() and place.is_relative_to(folder.resolve()):
            print(f"passed over, what this command writes: {place}", file=sys.stderr)
    return paths, len(unread)


def label(teachers: Sequence[Matter], paths: Sequence[Path], out: Path | str) -> int:
    """Write both data sets for the photos in `paths`, with a progress bar; returns how many portraits there are.

    `teachers` are `Matter`s. A photo that is unreadable, or whose alpha is unsure, is named and left out.
    """
    out, written = Path(out), 0
    for file, name, photo in _readable(paths):
        whole = soft_alpha(teachers, photo)
        square = upper_body(whole)
        if square is None:
            tqdm.write(f"skipped: {file}: nobody there")
            continue
        y, x, side = square
        portrait = np.ascontiguousarray(photo[y : y + side, x : x + side])
        alpha = soft_alpha(teachers, portrait)
        if not is_sure(alpha):
            tqdm.write(f"skipped: {file}: the teachers are not sure")
            continue
        _save_pair(out / "portraits", name, portrait, alpha)
        if side < STANDING * max(whole.shape) and is_sure(whole):
            _add_person(out / "portraits" / "meta.csv", name)
            _save_pair(out / "portraits", name + WHOLE, photo, whole)
        cutout = np.dstack([foreground_colours(portrait, alpha), _grey(alpha)])
        _save(out / "composites" / "cutouts" / "train" / f"{name}.png", cutout)
        for place, strip in enumerate(beside(photo, whole)):
            _save(out / "composites" / "backgrounds" / f"{name}-{place}.jpg", strip)
        written += 1
    return written


def _readable(paths: Sequence[Path]) -> Iterator[tuple[Path, str, NDArray[np.uint8]]]:
    """Yield file, name and photo (H, W, 3) of each photo that can be read, under a progress bar; others are named.

    The name, under which it is written, holds a checksum of the file: stems alone may be equal, and a second run with
    more photos, or with those of another folder, must not give the name of one photo to another.
    """
    for file in tqdm(paths, desc="soft labels", mininterval=1):
        try:
            photo, checksum = read_photo(file), zlib.crc32(file.read_bytes())
        except (ValueError, OSError) as error:
            tqdm.write(f"skipped: {error}")
            continue
        stem = os.fsencode(file.stem).decode(errors="replace")  # meta.csv holds no other names
        yield file, f"{checksum:08x}-{stem[:40]}", photo


def _add_person(path: Path, name: str) -> None:
    """Add to meta.csv what ties the close and the whole picture of a photo: one person, so one split.

    The person id is the name of the photo's close cutout in `composites/`, so that both data sets decide alike. A run
    that is repeated adds the same lines again, which changes nothing.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([["image_name", "user_id"]] * is_new)
        writer.writerows([f"{name}{ending}.jpg", name] for ending in ("", WHOLE))


def label_whole(teachers: Sequence[Matter], paths: Sequence[Path], out: str | Path) -> int:
    """Write the portraits and cutouts of whole photos that show one person, as `label`; returns how many there are."""
    out, written = Path(out), 0
    for file, name, photo in _readable(paths):
        alpha = soft_alpha(teachers, photo)
        if not is_sure(alpha) or not is_alone(alpha):
            tqdm.write(f"skipped: {file}: the teachers are not sure of one person")
            continue
        alpha = ((alpha - VEIL) / (1 - 2 * VEIL)).clip(0, 1)
        for part in ("portraits", "composites"):  # the close picture may be there
            _add_person(out / part / "meta.csv", name)
        _save_pair(out / "portraits", name + WHOLE, photo, alpha)
        cutout = np.dstack([foreground_colours(photo, alpha.astype(np.float32)), _grey(alpha)])
        _save(out / "composites" / "cutouts" / "train" / f"{name}{WHOLE}.png", cutout)
        written += 1
    return written


def is_alone(alpha: NDArray) -> bool:
    """Whether the person in an alpha (H, W) is in one piece, but for small parts."""
    areas = cv2.connectedComponentsWithStats((alpha >= 0.5).astype(np.uint8))[2][1:, cv2.CC_STAT_AREA]
    return len(areas) > 0 and bool(areas.max() >= ALONE * areas.sum())


def _save_pair(folder: Path, name: str, photo: NDArray[np.uint8], alpha: NDArray) -> None:
    _save(folder / "images" / "train" / f"{name}.jpg", photo)
    _save(folder / "mattes" / "train" / f"{name}.png", _grey(alpha))


def _grey(alpha: NDArray) -> NDArray[np.uint8]:
    return (alpha * 255).round().astype(np.uint8)


def _save(path: Path, pixels: NDArray[np.uint8]) -> None:
    with whole_file(path) as temporary:
        Image.fromarray(pixels).save(temporary, "JPEG" if path.suffix == ".jpg" else "PNG", quality=93)


def main(arguments: list[str] | None = None) -> int:
    """Command line: `python -m helpers.soft_labels PHOTOS OUT [--weights FILE …]`."""
    begin()
    parser = argparse.ArgumentParser(
        prog="python -m helpers.soft_labels", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("photos", type=path, help="folder of photos with people")
    parser.add_argument("out", type=path, help="where portraits/ and composites/ are written")
    parser.add_argument("--weights", type=not_empty, action="append", metavar="FILE", help="a teacher's; given again, "
                        "the mean of several teaches; default: the weights of this project")  # fmt: skip
    parser.add_argument("--size", type=int, metavar="PIXELS", help="side of its input; default: what it was trained at")
    parser.add_argument("--whole", action="store_true", help="the photos as they are, for whole figures of one person")
    options = parser.parse_args(arguments)
    try:
        paths, unread = find_photos(options.photos, options.out)
        teachers = [load_matter(file, size=options.size) for file in options.weights or [None]]
        written = (label_whole if options.whole else label)(teachers, paths, options.out)
    except KeyboardInterrupt:
        print("\ninterrupted: the files written so far are whole; run again, it writes the same names", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{written} of {len(paths)} photos labelled: {options.out}")
    return 0 if written == len(paths) and not unread else 1


if __name__ == "__main__":
    sys.exit(main())
