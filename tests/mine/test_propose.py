"""The order of doubt by worked examples, and the intervals of what was gained."""

import numpy as np
import pytest

from helpers.cutout import Matter
from helpers.mine.measure import FEWEST, gain, interval
from helpers.mine.propose import doubt_of, three_mattes
from helpers.mine.verdict import Measured, verdict_of


def person(shift=0):
    """A hard matte of 100 × 100 pixels: 40 × 60 pixels in the middle."""
    alpha = np.zeros((100, 100), np.float32)
    alpha[30:90, 30 + shift : 70 + shift] = 1
    return alpha


def test_a_matte_that_nothing_speaks_against_has_no_doubt():
    assert doubt_of(person(), person(), person()) == 0


def test_disagreement_counts_by_its_share_of_the_person():
    assert doubt_of(person(), person(1), person()) == pytest.approx(2 * 60 / (40 * 60))
    assert doubt_of(person(), person(), person(2)) == pytest.approx(4 * 60 / (40 * 60))


def test_softness_far_from_the_edge_is_a_doubt_and_a_soft_edge_is_none():
    inside = person()
    inside[50:60, 45:55] = 0.7
    area = inside.sum()
    assert doubt_of(inside, inside, inside) == pytest.approx(100 / area)
    edge = person()
    edge[30:90, 29] = edge[30:90, 70] = 0.4
    assert doubt_of(edge, edge, edge) == 0


def test_what_lies_apart_is_a_doubt():
    apart = person()
    apart[5:15, 5:15] = 1
    assert doubt_of(apart, apart, apart) == pytest.approx(100 / 2500)


def test_nobody_is_the_largest_doubt():
    nobody = np.zeros((50, 50), np.float32)
    assert doubt_of(nobody, nobody, nobody) > doubt_of(person(), person(25), person(-25))


def test_the_network_looks_at_the_photo_itself_its_mirror_image_and_a_smaller_copy():
    seen = []

    def predict(images):  # the left half of whatever it sees
        seen.append(images.shape)
        maps = np.zeros((len(images), *images.shape[2:]), np.float32)
        maps[:, :, : images.shape[3] // 2] = 1
        return maps

    alpha, mirrored, smaller = three_mattes(Matter(predict, 160), np.full((120, 160, 3), 128, np.uint8))
    assert alpha.shape == mirrored.shape == smaller.shape == (120, 160)
    assert alpha[:, :70].min() == 1 and alpha[:, 90:].max() == 0
    assert mirrored[:, :70].max() == 0 and mirrored[:, 90:].min() == 1
    assert smaller[:, :70].min() == 1 and smaller[:, 90:].max() == 0
    assert sum(batch for batch, *_ in seen) == 3
    assert min(height * width for *_, height, width in seen) < 0.6 * 160**2


def test_an_interval_holds_the_mean_and_of_equal_values_nothing_else():
    assert interval(np.full(7, 0.5)) == (0.5, 0.5, 0.5)
    values = np.random.default_rng(0).normal(0.3, 0.1, 200)
    mean, low, high = interval(values)
    assert mean == pytest.approx(values.mean())
    standard_error = values.std() / 200**0.5
    assert low == pytest.approx(mean - 1.96 * standard_error, abs=0.3 * standard_error)
    assert high == pytest.approx(mean + 1.96 * standard_error, abs=0.3 * standard_error)


def errors(iou, mad, count=12):
    numbers = np.random.default_rng(1)
    return np.stack([np.full(count, iou), np.full(count, mad), np.full(count, mad)], 1) + numbers.normal(
        0, 1e-4, (count, 3)
    )


@pytest.mark.parametrize("iou, mad, better, worse", [
    (0.95, 0.02, True, False), (0.85, 0.04, False, True), (0.9, 0.03, False, False), (0.92, 0.05, False, True),
])  # fmt: skip
def test_better_is_what_is_surely_so_and_nothing_else_surely_worse(iou, mad, better, worse):
    before = errors(0.9, 0.03)
    after = before.copy() if (iou, mad) == (0.9, 0.03) else errors(iou, mad)
    found = gain(before, after)
    assert (found.is_better, found.is_worse) == (better, worse)


def test_the_verdict_tells_whether_more_photos_would_help():
    before, half, after = errors(0.9, 0.03), errors(0.92, 0.025), errors(0.94, 0.02)
    verdict = verdict_of(Measured(before, half, after, []), {})
    assert verdict.is_better
    assert verdict.more.startswith("More photos would help")
    verdict = verdict_of(Measured(before, after, after, []), {"dark": (1, 3, 0.8), "bright": (20, 9, 0.95)})
    assert "not shown to help" in verdict.more
    assert "dark (IoU 0.800, 1 trained on)" in verdict.more


@pytest.mark.parametrize("count, text", [(1, "1 photo kept out: too few"), (5, "5 photos kept out: too few")])
def test_few_photos_kept_out_tell_nothing_and_the_old_network_is_kept(count, text):
    before, half, after = (errors(iou, 0.03, count) for iou in (0.8, 0.9, 0.95))
    verdict = verdict_of(Measured(before, half, after, []), {"dark": (1, 3, 0.8), "bright": (20, 2, 0.95)})
    assert not verdict.is_better
    assert verdict.better.startswith(text)
    assert "The old one is kept. At least 6 are needed" in verdict.better
    assert verdict.more == "Whether more photos to train on would help cannot be told either."


def test_six_photos_that_all_become_better_are_enough():
    before, after = errors(0.8, 0.03, FEWEST), errors(0.95, 0.02, FEWEST)
    assert verdict_of(Measured(before, before, after, []), {}).is_better


def test_of_few_values_the_mean_is_told_without_an_interval():
    assert interval(np.array([0.5, 0.7])) == (pytest.approx(0.6), float("-inf"), float("inf"))
    assert str(interval(np.array([0.5, 0.7]))) == "0.6000"
    assert str(interval(np.full(6, 0.5))) == "0.5000 (0.5000 to 0.5000)"
