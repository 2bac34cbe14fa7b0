"""Cutouts on other backgrounds: a new picture at every visit, with another size, place and light.

Light on purpose (no torch), as worker processes import it.
"""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from helpers.datasets.ground_truth import open_transparent
from helpers.files.photos import read_reduced
from helpers.samples.samples import PortraitDataset
from helpers.samples.walls import draw_wall

NOBODY = FAR = 0.2
"""Shares of the composites in which nobody is, and in which all figures are far away.

They are equal on purpose: pictures with nobody alone teach the network to overlook small figures as well.
"""

WALL = 0.25
"""Share of the composites before a plain wall instead of a background."""

FAR_HEIGHTS = (0.05, 0.4)
"""How tall a far figure is, as a share of the picture's height; small ones are as frequent as large ones, by ratio."""

CROWD = 4
"""Most far figures in one picture."""

TRIES = 5
"""Cutouts that are looked at for one that can stand far away; if none can, the figure is left out."""

HEIGHTS = (0.6, 1.3)
"""How tall the person becomes, as a share of the picture's height."""

PIECES = (0.5, 1.0)
"""Sides of the piece of a background that is shown, as a share of the largest piece of the picture's shape."""

GAIN, WARMTH, GAMMA = 0.12, 0.05, 0.12
"""How far light varies: standard deviations of the logarithms of brightness, red against blue, and gamma."""

ADAPTION = (0.1, 0.5)
"""How far the person's mean colour moves to the background's, as an exponent of their ratio."""


class CompositeDataset(PortraitDataset):
    """Samples from cutouts (pairs whose image and truth are one RGBA file), each on one of `backgrounds` (files).

    Most show one person from near. In the share `FAR` stand one or several figures far away, in the share `NOBODY`
    there is nobody and the alpha is 0; both on square pictures.

    A composite is drawn before the augmentation, from the same stream of numbers: a sample is determined by (seed,
    visit, index) alone, and validation, which shows visit 0 only, always sees the same pictures. Composites have the
    cutout's shape, and its size unless its shorter side has more than `least` pixels, so that huge ones cost little.
    Raises ValueError without backgrounds, and on reading for files that are unreadable or not transparent, naming them.
    """

    def __init__(self, pairs, transform, backgrounds, seed=0, least=None):
        super().__init__(pairs, transform, seed, least)
        self.backgrounds = [Path(path) for path in backgrounds]
        if not self.backgrounds:
            raise ValueError("cutouts need backgrounds to be put on, but the list of them is empty")

    def read(self, index: int, numbers: np.random.Generator) -> tuple[NDArray, NDArray]:
        """Composite (H, W, 3) and alpha (H, W), both uint8, drawn from `numbers`."""
        cutout = self._cutout(index)
        reduction = min(1, (self.least or np.inf) / min(cutout.shape[:2]))
        frame = tuple(max(1, round(side * reduction)) for side in cutout.shape[:2])
        kind = numbers.random()
        if kind < NOBODY:
            background = self._background((max(frame),) * 2, numbers)
            nobody = np.zeros(background.shape[:2], np.uint8)
            return draw_light(background, nobody, background, numbers)[1], nobody
        if kind < NOBODY + FAR:
            return self._far(cutout, (max(frame),) * 2, numbers)
        background = self._background(frame, numbers)
        person, alpha = draw_place(cutout, frame, numbers)
        person, background = draw_light(person, alpha, background, numbers)
        return blend(person, background, alpha), alpha

    def _cutout(self, index):
        return np.array(open_transparent(self.pairs[index].image))

    def _background(self, frame, numbers):
        """What is behind the person, (H, W, 3) for a `frame` (H, W)."""
        if numbers.random() < WALL:
            return draw_wall(frame, numbers)
        path = self.backgrounds[numbers.integers(len(self.backgrounds))]
        picture, _ = read_reduced(path, round(max(frame) / PIECES[0]))
        return draw_piece(picture, frame, numbers)

    def _far(self, cutout, frame, numbers):
        """Composite and alpha with one to `CROWD` far figures: the `cutout` and others drawn from the data set."""
        picture, alpha = self._background(frame, numbers), np.zeros(frame, np.uint8)
        for number in range(numbers.integers(1, CROWD, endpoint=True)):
            for _ in range(TRIES):
                if stands_free(cutout):
                    break
                cutout = self._cutout(numbers.integers(len(self.pairs)))
            person, own = draw_far(cutout, frame, numbers)
            person, lit = draw_light(person, own, picture, numbers)
            picture = blend(person, picture if number else lit, own)
            alpha = cv2.add(alpha, cv2.multiply(own, 255 - alpha, scale=1 / 255))  # who is in front hides the others
            cutout = self._cutout(numbers.integers(len(self.pairs)))
        return picture, alpha

    def recipe(self) -> dict:
        return super().recipe() | {"backgrounds": [path.name for path in self.backgrounds]}


def draw_piece(picture: NDArray, frame: tuple[int, int], numbers: np.random.Generator) -> NDArray:
    """A random piece of a picture (h, w, 3), mirrored or not, resized to `frame`, which is (H, W)."""
    sides = np.array(picture.shape[:2])
    piece = np.array(frame) * (sides / frame).min() * numbers.uniform(*PIECES)
    piece = np.maximum(1, piece.astype(int))
    top, left = numbers.integers(sides - piece, endpoint=True)
    picture = picture[top : top + piece[0], left : left + piece[1]]
    return _resized(picture[:, ::-1] if numbers.random() < 0.5 else picture, frame)


def draw_place(cutout: NDArray, frame: tuple[int, int], numbers: np.random.Generator) -> tuple[NDArray, NDArray]:
    """The person of a cutout (h, w, 4), scaled and put somewhere in `frame`: colours (H, W, 3) and alpha (H, W).

    The feet stand on the lower edge or below it, and the head is hardly cut. A side where the cutout's own edge cuts
    the person stays at the edge or goes beyond it, with a larger scale if need be: nobody's arm ends in mid-air.
    """
    placed = np.zeros((*frame, 4), np.uint8)
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(cutout[..., 3]))
    if width == 0:  # nobody there
        return placed[..., :3], placed[..., 3]
    cut_top, cut_left, cut_right = map(_is_cut, (cutout[0], cutout[:, 0], cutout[:, -1]))
    scale = numbers.uniform(*HEIGHTS) * frame[0] / height
    if cut_top:
        scale = max(scale, frame[0] / height)
    if cut_left and cut_right:
        scale = max(scale, frame[1] / width)
    scale = min(scale, 2 * max(frame) / max(height, width))  # a sliver or somebody lying there
    size = max(1, round(scale * height)), max(1, round(scale * width))
    spare = frame[0] - size[0], frame[1] - size[1]  # negative where the frame cuts the person
    top = max(spare[0], round(numbers.uniform(-0.05, 0.2) * frame[0]))
    top = min(top, 0) if cut_top else top
    left = round(spare[1] / 2 + numbers.uniform(-0.25, 0.25) * frame[1])
    left = min(left, 0) if cut_left else left
    left = max(left, spare[1]) if cut_right else left

    person = _resized_cutout(cutout[y : y + height, x : x + width], size)
    target = placed[max(top, 0) : max(top + size[0], 0), max(left, 0) : max(left + size[1], 0)]
    target[:] = person[max(-top, 0) :, max(-left, 0) :][: target.shape[0], : target.shape[1]]
    return placed[..., :3], placed[..., 3]


def stands_free(cutout: NDArray) -> bool:
    """Whether a cutout (h, w, 4) can stand far away: somebody is there, cut neither above nor on both sides."""
    somebody = bool(cutout[..., 3].any())
    return somebody and not _is_cut(cutout[0]) and not (_is_cut(cutout[:, 0]) and _is_cut(cutout[:, -1]))


def draw_far(cutout: NDArray, frame: tuple[int, int], numbers: np.random.Generator) -> tuple[NDArray, NDArray]:
    """The person of a cutout (h, w, 4) far away in `frame`: colours (H, W, 3) and alpha (H, W).

    A whole figure stands anywhere from the middle down; one that the cutout's lower edge cuts stands on the picture's
    lower edge, and one cut at a side stands at that side. Nothing is shown of a cutout that cannot stand free.
    """
    placed = np.zeros((*frame, 4), np.uint8)
    if not stands_free(cutout):
        return placed[..., :3], placed[..., 3]
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(cutout[..., 3]))
    cut_bottom, cut_left, cut_right = map(_is_cut, (cutout[-1], cutout[:, 0], cutout[:, -1]))
    low, high = FAR_HEIGHTS
    tall = low * (high / low) ** numbers.random() * frame[0]
    scale = min(tall / height, frame[1] / width)
    size = max(1, round(scale * height)), max(1, round(scale * width))
    feet = frame[0] if cut_bottom else round(numbers.uniform(max(0.5 * frame[0], size[0]), frame[0]))
    left = round(numbers.uniform(0, frame[1] - size[1]))
    left = 0 if cut_left else frame[1] - size[1] if cut_right else left
    person = _resized_cutout(cutout[y : y + height, x : x + width], size)
    placed[feet - size[0] : feet, left : left + size[1]] = person
    return placed[..., :3], placed[..., 3]


def _is_cut(edge):
    """Whether the person goes on beyond this edge (n, 4) of a cutout, and doesn't just touch it."""
    return (edge[:, 3] > 127).mean() > 0.05


def draw_light(
    person: NDArray, alpha: NDArray, background: NDArray, numbers: np.random.Generator
) -> tuple[NDArray, NDArray]:
    """Another light on the background (H, W, 3) and, tied to it, on the person's colours (H, W, 3); returns both."""
    background = _lit(background, *_draw_lamp(numbers))
    gains, gamma = _draw_lamp(numbers)
    shares = alpha[::4, ::4, None] / 255  # every fourth pixel tells the mean colours well enough
    colour = (person[::4, ::4] * shares).sum((0, 1)) / max(shares.sum(), 1)
    fitting = (background[::4, ::4].mean((0, 1)) + 1) / (colour + 1)
    return _lit(person, np.sqrt(gains) * fitting ** numbers.uniform(*ADAPTION), np.sqrt(gamma)), background


def _draw_lamp(numbers):
    """A light: its gains of red, green and blue, and its gamma."""
    brightness, warmth, gamma = numbers.normal(0, (GAIN, WARMTH, GAMMA))
    return np.exp(brightness + np.array([warmth, 0, -warmth])), np.exp(gamma)


def _lit(picture, gains, gamma):
    """A picture (H, W, 3) under other light: (value · gain) ** gamma, for values from 0 to 1."""
    table = np.outer(np.linspace(0, 1, 256), gains).clip(0, 1) ** gamma
    return cv2.LUT(picture, (255 * table).round().astype(np.uint8)[None])


def blend(person: NDArray, background: NDArray, alpha: NDArray) -> NDArray:
    """person · α + background · (1 − α) for colours (H, W, 3) and alpha (H, W), all uint8."""
    weight = alpha * np.float32(1 / 255)
    return cv2.blendLinear(person, background, weight, 1 - weight)


def _resized(picture, size):
    """A picture (h, w, …) resized to `size` (H, W): area averages on the way down, linear on the way up."""
    smaller = size[0] <= picture.shape[0] and size[1] <= picture.shape[1]
    return cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _resized_cutout(cutout, size):
    """RGBA (h, w, 4) resized with its colours premultiplied: those of transparent pixels don't come in as a fringe."""
    colours, alpha = cutout[..., :3], cv2.cvtColor(cutout[..., 3], cv2.COLOR_GRAY2RGB)
    premultiplied = cv2.merge((cv2.multiply(colours, alpha, scale=1 / 255), cutout[..., 3]))
    smaller = _resized(premultiplied, size)
    alpha = cv2.cvtColor(smaller[..., 3], cv2.COLOR_GRAY2RGB)
    return cv2.merge((cv2.divide(smaller[..., :3], alpha, scale=255), smaller[..., 3]))  # x / 0 is 0
