"""The second step: a matte for every photo by the network, the most doubtful first, and all of them on one sheet."""

from pathlib import Path
from time import perf_counter

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from helpers.cutout import Matter
from helpers.files.atomic import whole_file
from helpers.files.photos import open_photo, read_grey, read_reduced, to_rgb
from helpers.files.png import encode_png
from helpers.files.text import fault_of
from helpers.mine.measure import shrunk
from helpers.mine.project import Project, stamp_of
from helpers.soft_labels import is_sure

SEEN = 384
"""Longer side in pixels at which a matte is judged."""

SMALLER = 0.7
"""The network also looks at the photo at this part of its size. Where it is sure, both looks agree."""

BETWEEN = 0.1
"""An alpha that is further than this from 0 and 1 is soft."""

FAR = 0.02
"""Distance from the edge, as a part of the longer side, from which on a soft alpha is a doubt and no hair."""

SAVE_EVERY = 20  # photos
SHEET = "contact.png"
CELL, COLUMNS = 144, 10  # pixels of a picture on the contact sheet; pictures in a row


def propose(project: Project, matter: Matter, weights: str) -> int:
    """Propose a matte for every photo that has none by these weights; returns how many. Writes the state as it goes.

    `weights` is the fingerprint of the network's file. The proposal is the mean of the photo's matte and of its mirror
    image's. Photos with a mask of their owner's get one, too: it tells how far the network is from that. A photo that
    is gone or has become unreadable is left out. Interrupted, it goes on where it stopped.
    """
    waiting = [photo for photo in project.photos.values() if not _is_proposed(project, photo.name, weights)]
    begin, done = perf_counter(), 0
    try:
        for photo in tqdm(waiting, desc="proposing", unit="photo", mininterval=1):
            try:
                file = project.folder / photo.file
                stamp = stamp_of(file)
                pixels = to_rgb(open_photo(file))
            except (OSError, ValueError) as error:
                gone = isinstance(error, FileNotFoundError)
                project.leave_out(photo.name, "deleted meanwhile" if gone else fault_of(file, error))
                continue
            alpha, mirrored, smaller = three_mattes(matter, pixels)
            mean = (alpha + mirrored) / 2
            with whole_file(project.proposal(photo.name)) as temporary:
                temporary.write_bytes(encode_png(Image.fromarray((mean * 255).round().astype(np.uint8))))
            project.set(photo.name, proposed_by=weights, doubt=round(doubt_of(alpha, mirrored, smaller), 4),
                        sure=is_sure(mean), stamp=stamp, size=alpha.shape)  # fmt: skip
            done += 1
            project.pace = (perf_counter() - begin) / done / (2 + SMALLER**2)
            if done % SAVE_EVERY == 0:
                project.save()
    finally:
        project.save()
    return done


def _is_proposed(project: Project, name: str, weights: str) -> bool:
    return project.photos[name].proposed_by == weights and project.proposal(name).is_file()


def three_mattes(matter: Matter, photo: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """The alpha (H, W) of a photo (H, W, 3), that of its mirror image, mirrored back, and that of a smaller look at it.

    The smaller look has `SMALLER` times the sides of the network's input.
    """
    alpha, mirrored = matter.alphas([photo, np.ascontiguousarray(photo[:, ::-1])])
    return [alpha, mirrored[:, ::-1], Matter(matter.predict, round(SMALLER * matter.size)).alpha(photo)]


def doubt_of(alpha: NDArray[np.float32], mirrored: NDArray[np.float32], smaller: NDArray[np.float32]) -> float:
    """How doubtful the matte of a photo is, 0 for not at all; all (H, W) in [0, 1], as of `three_mattes`.

    The sum of four shares of the person's area: what the first two mattes disagree about, what the first and the last
    disagree about, what is soft far from the edge of the first two's mean, and what lies apart from its largest part.
    Nobody found, or hardly anybody, is the largest doubt.
    """
    first, second, third = _reduced(alpha), _reduced(mirrored), _reduced(smaller)
    mean = (first + second) / 2
    area = float(mean.sum())
    if area < 1e-3 * mean.size:
        return 10.0
    disagreement = float(np.abs(first - second).sum() + np.abs(first - third).sum())
    return (disagreement + _soft_far_from_edge(mean) + _apart(mean)) / area


def _reduced(alpha: NDArray) -> NDArray:
    return shrunk(np.ascontiguousarray(alpha), SEEN)


def _soft_far_from_edge(alpha: NDArray) -> float:
    """Pixels whose alpha is soft and that lie further than `FAR` from where it crosses a half."""
    reach = max(1, round(FAR * max(alpha.shape)))
    square = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    person = (alpha >= 0.5).astype(np.uint8)
    far = cv2.dilate(person, square) == cv2.erode(person, square)
    return float(np.count_nonzero(far & (alpha > BETWEEN) & (alpha < 1 - BETWEEN)))


def _apart(alpha: NDArray) -> float:
    """Pixels of the person that do not hang together with the largest part."""
    count, _, boxes, _ = cv2.connectedComponentsWithStats((alpha >= 0.5).astype(np.uint8))
    areas = boxes[1:, cv2.CC_STAT_AREA]
    return float(areas.sum() - areas.max()) if count > 1 else 0.0


def draw_sheet(project: Project) -> Path:
    """Draw the contact sheet: photos, one at least, by their doubt; what is not the person is red. Returns the file."""
    photos = project.by_doubt()
    rows = -(-len(photos) // COLUMNS)
    height = CELL + 14
    sheet = Image.new("RGB", (min(len(photos), COLUMNS) * CELL, max(rows, 1) * height), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for number, photo in enumerate(photos):
        left, top = number % COLUMNS * CELL, number // COLUMNS * height
        try:
            pixels, _ = read_reduced(project.photo_file(photo), CELL)
            alpha = read_grey(project.proposal(photo.name))
            picture = Image.fromarray(tinted(pixels, alpha, CELL - 4))
            sheet.paste(picture, (left + (CELL - picture.width) // 2, top + (CELL - picture.height) // 2))
        except (OSError, ValueError):
            draw.text((left + 6, top + CELL // 2), "gone", "black", font)
        label = f"{number + 1} · {photo.name.rpartition('/')[2]}"
        draw.text((left + 3, top + CELL), label[:24], "black", font)
    path = project.work / SHEET
    with whole_file(path) as temporary:
        temporary.write_bytes(encode_png(sheet))
    return path


def tinted(photo: NDArray[np.uint8], alpha: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """A photo (H, W, 3) at most `longest` pixels long, red where the alpha (any size) is 0."""
    photo = shrunk(photo, longest)
    share = cv2.resize(alpha, photo.shape[1::-1], interpolation=cv2.INTER_AREA)[..., None] / 255
    red = 0.35 * photo + 0.65 * np.array([214, 40, 57])
    return (photo * share + red * (1 - share)).round().astype(np.uint8)
