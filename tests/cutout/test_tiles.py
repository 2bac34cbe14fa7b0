"""Tiles: they cover the picture, and what is enlarged tile by tile is what is enlarged whole."""

import cv2
import numpy as np
import pytest

from helpers.cutout.tiles import SIDE, covered, enlarged, tiles


@pytest.mark.parametrize("height, width", [(1, 1), (SIDE, SIDE + 1), (3 * SIDE - 5, 70)])
def test_every_pixel_lies_in_one_tile(height, width):
    times = np.zeros((height, width), int)
    for rows, columns in tiles(height, width):
        times[rows, columns] += 1
        assert times[rows, columns].shape[0] <= SIDE and times[rows, columns].shape[1] <= SIDE
    assert np.array_equal(times, np.ones_like(times))


@pytest.mark.parametrize("low, large", [
    ((7, 5), (600, 333)), ((1, 1), (30, 40)), ((40, 30), (41, 30)), ((2, 90), (9, 91)),
])  # fmt: skip
def test_parts_are_those_of_the_whole_enlarged(low, large):
    maps = np.random.default_rng(0).random((2, *low), np.float32)
    whole = [cv2.resize(each, large[::-1], interpolation=cv2.INTER_LINEAR).reshape(large) for each in maps]
    for rows, columns in tiles(*large):
        part = enlarged(maps, large, rows, columns)
        assert part.dtype == np.float32
        assert np.allclose(part, np.array(whole)[:, rows, columns], atol=1e-5)
        assert np.array_equal(part[1], enlarged(maps[1], large, rows, columns))


def test_a_tile_depends_on_the_rows_that_cover_it_and_on_no_others():
    low, rows = np.random.default_rng(1).random((9, 4), np.float32), slice(256, 300)
    needed = covered(rows, 900, 9)
    changed = np.full_like(low, -5)
    changed[needed] = low[needed]
    everywhere = slice(0, 4)
    assert np.array_equal(enlarged(low, (900, 4), rows, everywhere), enlarged(changed, (900, 4), rows, everywhere))
    assert needed == slice(2, 4)  # the centres of 256 and of 299 lie at 2.065 and 2.495 of the small map
