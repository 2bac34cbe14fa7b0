"""Plain walls: one colour or a slow gradient, with the noise of a camera; now and then tiles or bricks.

Light on purpose (no torch), as worker processes import it.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

JOINTS = 0.2
"""Share of walls with a grid of joints, as tiles, bricks, panels and shutters have."""

SLOPE = 40
"""Grey levels between one side of a wall and the other, at most."""

SHADE = 12
"""Standard deviation in grey levels of large soft patches of light, at most."""

GRAIN = 5
"""Standard deviation in grey levels of the camera's noise, at most."""


def draw_wall(frame: tuple[int, int], numbers: np.random.Generator) -> NDArray[np.uint8]:
    """A wall with nobody before it, (H, W, 3) uint8; `frame` is (H, W), `numbers` a NumPy generator."""
    height, width = frame
    colour = draw_colour(numbers)
    y, x = np.mgrid[-0.5 : 0.5 : height * 1j, -0.5 : 0.5 : width * 1j].astype(np.float32)
    down, across = numbers.uniform(-SLOPE, SLOPE, 2).astype(np.float32)
    patches = numbers.normal(0, numbers.uniform(0, SHADE), (4, 4)).astype(np.float32)
    grain = numbers.normal(0, numbers.uniform(0, GRAIN), frame).astype(np.float32)
    light = down * y + across * x + cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC) + grain
    if numbers.random() < JOINTS:
        light += numbers.uniform(-60, 60) * _joints(frame, numbers)
    return (colour + light[..., None]).clip(0, 255).astype(np.uint8)


def draw_colour(numbers: np.random.Generator) -> NDArray:
    """A wall's colour, three floats from 0 to 255: mostly pale and nearly grey, now and then any."""
    if numbers.random() < 0.3:
        return numbers.uniform(0, 255, 3).astype(np.float32)
    brightness = 255 * numbers.beta(2.5, 1.2)
    return (brightness + numbers.normal(0, 10, 3)).clip(0, 255).astype(np.float32)


def _joints(frame, numbers):
    """1 in the joints of a wall (H, W), else 0; courses lie on each other straight or shifted by a half."""
    row = max(4, round(numbers.uniform(0.03, 0.3) * frame[0]))
    column = max(4, round(row * numbers.uniform(0.5, 3)))
    thick = max(1, round(row * numbers.uniform(0.02, 0.12)))
    y, x = np.mgrid[: frame[0], : frame[1]]
    shifted = x + (column // 2) * (y // row % 2) * numbers.integers(2)
    return ((y % row < thick) | (shifted % column < thick)).astype(np.float32)
