"""Plain walls: smooth, of any colour, and the same for the same numbers."""

import cv2
import numpy as np
import pytest

from helpers.samples import walls
from helpers.samples.walls import draw_wall


def drawn(count=40, frame=(60, 90)):
    return [draw_wall(frame, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("frame", [(60, 90), (1, 1), (1, 50), (50, 1)])
def test_a_wall_is_a_picture_of_the_size_asked_for(frame):
    for wall in drawn(20, frame):
        assert wall.shape == (*frame, 3) and wall.dtype == np.uint8


def test_the_same_numbers_draw_the_same_wall_and_others_another():
    assert all(np.array_equal(*pair) for pair in zip(drawn(), drawn()))
    assert len({wall.tobytes() for wall in drawn()}) == 40


def test_walls_without_joints_are_smooth(monkeypatch):
    monkeypatch.setattr(walls, "JOINTS", 0)
    for wall in drawn():
        smooth = cv2.GaussianBlur(wall, (0, 0), 4).astype(float)
        assert np.abs(np.diff(smooth, axis=1)).max() < 6 and np.abs(np.diff(smooth, axis=0)).max() < 6


def test_joints_make_lines(monkeypatch):
    monkeypatch.setattr(walls, "JOINTS", 1)
    steps = [np.abs(np.diff(wall.astype(float).mean((1, 2)))).max() for wall in drawn(frame=(200, 200))]
    assert np.median(steps) > 5


def test_colours_are_mostly_pale_and_sometimes_any():
    means = np.array([wall.mean((0, 1)) for wall in drawn(200)])
    assert np.median(means) > 130
    assert (np.ptp(means, axis=1) > 60).mean() == pytest.approx(0.2, abs=0.12)
