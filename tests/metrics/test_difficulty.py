import math

import numpy as np
import pytest

from helpers.metrics.difficulty import TRAITS, group, group_table, traits


def scene(left, right, colour=(200, 40, 40), ground=(40, 40, 200), size=64):
    """A person of one colour between two columns, on a background of another."""
    true = np.zeros((size, size))
    true[:, left:right] = 1
    photo = np.where(true[..., None] > 0, colour, ground).astype(np.uint8)
    return photo, true


def test_framing_is_the_distance_of_the_persons_share_from_a_half():
    assert traits(*scene(16, 48))["framing"] == pytest.approx(0)
    assert traits(*scene(0, 64))["framing"] == pytest.approx(0.5)
    assert traits(*scene(0, 16))["framing"] == pytest.approx(0.25)


def test_hair_counts_half_transparent_pixels():
    photo, true = scene(16, 48)
    assert traits(photo, true)["hair"] == 0
    soft = true.copy()
    soft[:, 48:64] = 0.4
    assert traits(photo, soft)["hair"] > 0.4


def test_colours_are_similar_where_person_and_background_are_one_colour():
    alike = traits(*scene(16, 48, (90, 90, 90), (90, 90, 90)))["similar colours"]
    apart = traits(*scene(16, 48, (255, 255, 255), (0, 0, 0)))["similar colours"]
    assert alike == pytest.approx(0, abs=0.1)
    assert apart == pytest.approx(-100, abs=1)  # L of white minus L of black


def test_a_second_person_is_the_share_outside_the_largest_part():
    photo, true = scene(0, 32)
    true[:, 48:] = 1
    assert traits(photo, true)["loose parts"] == pytest.approx(1 / 3, abs=0.01)
    assert traits(*scene(0, 32))["loose parts"] == 0


def test_nobody_in_the_picture_is_no_error():
    assert set(traits(np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30)))) == set(TRAITS)


def test_the_hardest_quarter_is_compared_with_the_rest():
    rows = [{"framing": i / 10, "hair": 0.0, "similar colours": -i, "loose parts": 0.0} for i in range(8)]
    mads = [0.1] * 6 + [0.3, 0.5]
    framing, hair, colours, _ = group(rows, mads)
    assert framing.members == [6, 7] and (framing.mad, framing.rest) == pytest.approx((0.4, 0.1))
    assert colours.members == [0, 1] and colours.mad == pytest.approx(0.1)
    assert hair.members == [] and math.isnan(hair.mad)
    table = group_table([framing, hair])
    assert "4.00" in table.splitlines()[1] and "no such portrait" in table.splitlines()[2]


def test_one_portrait_makes_no_group():
    assert [found.members for found in group([dict.fromkeys(TRAITS, 0.5)], [0.1])] == [[], [], [], []]
