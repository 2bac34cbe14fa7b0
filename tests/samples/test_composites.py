"""Cutouts on backgrounds: the blend, the light, sizes and places, and what determines them."""

import numpy as np
import pytest
from PIL import Image

from helpers.augment import training_transform, validation_transform
from helpers.datasets.pairs import Pair
from helpers.samples import composites
from helpers.samples.composites import (
    CompositeDataset,
    blend,
    draw_far,
    draw_light,
    draw_piece,
    draw_place,
    stands_free,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def save(path, array):
    Image.fromarray(array).save(path)
    return path


def disc(colour=(200, 150, 100), hidden=(0, 255, 0), side=80):
    """A soft disc as RGBA cutout (side, side, 4) in the middle, 60 of 80 pixels high; `hidden`: its unseen colour."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    alpha = (255 * (side * 3 / 8 - np.hypot(x, y) + 0.5).clip(0, 4) / 4).round().astype(np.uint8)
    colours = np.where(alpha[..., None] > 0, np.array(colour, np.uint8), np.array(hidden, np.uint8))
    return np.dstack([colours, alpha])


def flat(colour, height=64, width=64):
    return np.full((height, width, 3), colour, np.uint8)


def dataset(folder, cutout, backgrounds, least=None, seed=0, transform=None):
    path = save(folder / "cutout.png", cutout)
    files = [save(folder / f"background{i}.png", picture) for i, picture in enumerate(backgrounds)]
    return CompositeDataset([Pair(path, path, "opacity")], transform, files, seed, least)


@pytest.fixture
def near(monkeypatch):
    """Only figures from near, and only backgrounds that are files."""
    for name in ("NOBODY", "FAR", "WALL"):
        monkeypatch.setattr(composites, name, 0)


@pytest.fixture
def same_light(near, monkeypatch):
    for name in ("GAIN", "WARMTH", "GAMMA"):
        monkeypatch.setattr(composites, name, 0)
    monkeypatch.setattr(composites, "ADAPTION", (0, 0))


# ---------------------------------------------------------------------------------------------------------------- blend


def test_a_blend_is_the_composite_equation():
    person, background = rng().integers(0, 256, (2, 40, 30, 3), np.uint8)
    alpha = rng().integers(0, 256, (40, 30), np.uint8)
    share = alpha[..., None] / 255
    assert np.abs(blend(person, background, alpha) - (person * share + background * (1 - share))).max() < 0.51


def test_a_composite_is_person_over_background_by_its_alpha(same_light, tmp_path):
    drawn = dataset(tmp_path, disc(), [flat((10, 60, 250))])
    between = 0
    for seed in range(20):
        picture, alpha = drawn.read(0, rng(seed))
        assert picture.dtype == alpha.dtype == np.uint8
        share = alpha[..., None] / 255
        assert np.abs(picture - (share * (200, 150, 100) + (1 - share) * (10, 60, 250))).max() < 2  # four roundings
        between += ((alpha > 0) & (alpha < 255)).sum()
    assert between > 1000


@pytest.mark.parametrize("hidden", [(0, 0, 0), (0, 255, 0)])
def test_colours_of_transparent_pixels_leave_no_fringe(hidden, same_light, tmp_path):
    drawn = dataset(tmp_path, disc((255, 255, 255), hidden), [flat(255)])
    for seed in range(20):
        assert drawn.read(0, rng(seed))[0].min() == 255


# ---------------------------------------------------------------------------------------------------------------- light


def test_the_persons_colour_moves_to_the_backgrounds(same_light, monkeypatch):
    monkeypatch.setattr(composites, "ADAPTION", (0.5, 0.5))
    alpha = np.full((8, 8), 255, np.uint8)
    person, background = draw_light(flat(100, 8, 8), alpha, flat((24, 100, 201), 8, 8), rng())
    assert np.array_equal(background, flat((24, 100, 201), 8, 8))
    expected = 100 * np.sqrt(np.array((25, 101, 202)) / 101)
    assert np.abs(person - expected).max() <= 0.5


def test_light_varies_but_keeps_to_its_bounds():
    seen = []
    for seed in range(300):
        person, background = draw_light(flat(120, 4, 4), np.full((4, 4), 255, np.uint8), flat(120, 4, 4), rng(seed))
        seen.append((*person[0, 0], *background[0, 0]))
    seen = np.array(seen, float)
    assert (np.abs(seen - 120).mean(0) > 3).all()
    assert seen.min() > 50 and seen.max() < 220
    together = np.corrcoef(seen[:, 1], seen[:, 4])[0, 1]
    assert 0.2 < together < 0.95  # the person follows the background, and has a little light of its own


def test_black_stays_black_and_an_empty_picture_has_no_colour_to_fit():
    person, background = draw_light(flat(0, 5, 5), np.zeros((5, 5), np.uint8), flat(0, 5, 5), rng())
    assert person.max() == background.max() == 0


# ------------------------------------------------------------------------------------------------------------ the place


def placed(cutout, frame, count=200):
    return [draw_place(cutout, frame, rng(seed))[1] for seed in range(count)]


def extent(alpha, axis):
    """First and last row (axis 1) or column (axis 0) with somebody in it."""
    there = np.flatnonzero((alpha > 127).any(axis))
    return there[0], there[-1]


def test_persons_are_6_to_13_tenths_of_the_picture_and_differ(same_light):
    cutout = np.zeros((100, 100, 4), np.uint8)
    cutout[20:80, 40:60] = 255  # three times as high as wide: the width shows the height even when the frame cuts it
    heights = 3 * np.array([np.diff(extent(alpha, 0))[0] + 1 for alpha in placed(cutout, (300, 300))]) / 300
    assert 0.59 <= heights.min() < 0.65
    assert 1.25 < heights.max() <= 1.31
    assert len(np.unique(heights)) > 40


def test_feet_are_never_in_the_air_and_heads_hardly_ever_out_of_the_picture():
    tops = []
    cutout = np.zeros((100, 90, 4), np.uint8)
    cutout[10:90, 30:60] = 255
    for alpha in placed(cutout, (120, 90)):
        first, last = extent(alpha, 1)
        assert last == 119
        tops.append(first)
    assert 0 <= np.median(tops) < 40
    assert np.mean(np.array(tops) == 0) < 0.3


def test_persons_stand_left_and_right_and_may_be_cut():
    middles = [np.mean(extent(alpha, 0)) for alpha in placed(disc(), (120, 120))]
    assert min(middles) < 40
    assert max(middles) > 80
    assert any(extent(alpha, 0)[0] == 0 for alpha in placed(disc(), (120, 120)))


@pytest.mark.parametrize("edge, axis, position", [
    (np.s_[30:50, :40], 0, 0), (np.s_[30:50, 40:], 0, -1), (np.s_[:40, 30:50], 1, 0),
], ids=["left", "right", "top"])  # fmt: skip
def test_a_side_that_the_cutout_cuts_stays_at_the_edge(edge, axis, position):
    cutout = np.zeros((80, 80, 4), np.uint8)
    cutout[edge] = 255
    for alpha in placed(cutout, (120, 100), 50):
        assert extent(alpha, axis)[position] == (0 if position == 0 else 99)


def test_a_person_cut_at_both_sides_fills_the_width():
    cutout = np.zeros((80, 80, 4), np.uint8)
    cutout[40:] = 255
    for alpha in placed(cutout, (100, 120), 50):
        assert extent(alpha, 0) == (0, 119)


def test_a_hair_that_touches_the_edge_does_not_count_as_cut():
    cutout = np.zeros((100, 100, 4), np.uint8)
    cutout[3:, 30:70] = 255
    cutout[:3, 50] = 255
    assert max(extent(alpha, 1)[0] for alpha in placed(cutout, (100, 100), 50)) > 20


def test_a_cutout_without_anybody_is_background(same_light, tmp_path):
    empty = np.zeros((30, 20, 4), np.uint8)
    picture, alpha = dataset(tmp_path, empty, [flat((7, 8, 9))]).read(0, rng())
    assert np.array_equal(picture, flat((7, 8, 9), 30, 20))
    assert not alpha.any()


@pytest.mark.parametrize("background", [(1, 1), (1, 50), (50, 1)])
@pytest.mark.parametrize("cutout", [(1, 1), (1, 60), (60, 1)])
def test_pictures_of_one_pixel_are_pictures(near, cutout, background, tmp_path):
    drawn = dataset(tmp_path, np.full((*cutout, 4), 255, np.uint8), [flat(9, *background)])
    for seed in range(20):
        picture, alpha = drawn.read(0, rng(seed))
        assert picture.shape == (*cutout, 3)
        assert alpha.shape == cutout


@pytest.mark.parametrize("kind", ["NOBODY", "FAR", "WALL"])
@pytest.mark.parametrize("cutout", [(1, 1), (1, 60), (60, 1)])
def test_pictures_of_one_pixel_are_pictures_of_every_kind(cutout, kind, near, monkeypatch, tmp_path):
    monkeypatch.setattr(composites, kind, 1)
    drawn = dataset(tmp_path, np.full((*cutout, 4), 255, np.uint8), [flat(9, 1, 1)])
    for seed in range(20):
        picture, alpha = drawn.read(0, rng(seed))
        assert picture.shape == (*alpha.shape, 3)


@pytest.mark.parametrize("line", [np.s_[0], np.s_[:, 0], np.s_[100]], ids=["top", "left", "middle"])
def test_slivers_do_not_become_gigantic(line):
    cutout = np.zeros((200, 200, 4), np.uint8)
    cutout[line] = 255
    for alpha in placed(cutout, (200, 200), 10):
        assert alpha.any()


# ----------------------------------------------------------------------------------------------------- far and nobody


def figure(left=60, right=40, height=160, width=100, below=0):
    """The cutout of a whole figure: transparent but for a rectangle, which may reach the lower edge."""
    cutout = np.zeros((height + 40, width, 4), np.uint8)
    cutout[20 : 20 + height + below, right:left] = (200, 150, 100, 255)
    return cutout


def far(cutout, frame=(400, 400), count=300):
    numbers = rng()
    return [draw_far(cutout, frame, numbers)[1] for _ in range(count)]


def test_far_figures_are_5_to_40_hundredths_of_the_height_and_stand_anywhere():
    spans = np.array([extent(alpha, 1) for alpha in far(figure())])
    heights, feet = (np.diff(spans)[:, 0] + 1) / 400, (spans[:, 1] + 1) / 400
    assert 0.045 <= heights.min() < 0.06 and 0.36 < heights.max() <= 0.405
    assert np.mean(heights < (0.05 * 0.4) ** 0.5) == pytest.approx(0.5, abs=0.08)  # evenly by ratio
    assert 0.49 < feet.min() < 0.55 and 0.95 < feet.max() <= 1
    middles = [np.mean(extent(alpha, 0)) / 400 for alpha in far(figure())]
    assert min(middles) < 0.1 and max(middles) > 0.9


def test_a_far_figure_that_its_cutout_cuts_stands_on_the_pictures_edge():
    assert all(extent(alpha, 1)[1] == 399 for alpha in far(figure(below=20), count=40))
    for edge, position, place in ((np.s_[:, :40], 0, 0), (np.s_[:, 60:], 1, 399)):
        cutout = np.zeros((100, 100, 4), np.uint8)
        cutout[20:90][edge] = 255
        assert all(extent(alpha, 0)[position] == place for alpha in far(cutout, count=40))


def test_nothing_is_shown_far_away_of_who_fills_the_width_or_has_no_head():
    wide, headless, nobody = (np.zeros((80, 80, 4), np.uint8) for _ in range(3))
    wide[40:] = 255
    headless[:60, 20:60] = 255
    for cutout in (wide, headless, nobody):
        assert not stands_free(cutout)
        assert not any(alpha.any() for alpha in far(cutout, count=5))
    assert stands_free(figure())


def test_another_cutout_comes_where_one_cannot_stand_far_away(near, monkeypatch, tmp_path):
    monkeypatch.setattr(composites, "FAR", 1)
    wide = np.full((200, 100, 4), 255, np.uint8)
    files = [save(tmp_path / f"{name}.png", cutout) for name, cutout in (("wide", wide), ("whole", figure()))]
    ground = [save(tmp_path / "ground.png", flat(9))]
    drawn = CompositeDataset([Pair(file, file, "opacity") for file in files], None, ground)
    assert np.mean([drawn.read(0, rng(seed))[1].any() for seed in range(60)]) > 0.9


def test_far_pictures_have_one_to_four_figures_and_the_alpha_of_all(same_light, monkeypatch, tmp_path):
    monkeypatch.setattr(composites, "FAR", 1)
    drawn, counts = dataset(tmp_path, figure(), [flat((10, 60, 250))]), []
    for seed in range(60):
        picture, alpha = drawn.read(0, rng(seed))
        assert picture.shape == (200, 200, 3) and alpha.shape == (200, 200)  # square
        share = alpha[..., None] / 255
        assert np.abs(picture - (share * (200, 150, 100) + (1 - share) * (10, 60, 250))).max() < 5
        counts.append((np.diff(np.flatnonzero(np.r_[0, (alpha > 127).any(0), 0])) > 1).sum() + 1)
    assert min(counts) == 1 and max(counts) >= 3


def test_with_nobody_there_the_alpha_is_0_and_the_picture_the_background(same_light, monkeypatch, tmp_path):
    monkeypatch.setattr(composites, "NOBODY", 1)
    picture, alpha = dataset(tmp_path, figure(), [flat((10, 60, 250))]).read(0, rng())
    assert np.array_equal(picture, flat((10, 60, 250), 200, 200))
    assert alpha.shape == (200, 200) and not alpha.any()


def test_as_many_pictures_with_far_figures_as_with_nobody(tmp_path):
    assert composites.NOBODY == composites.FAR
    shares = np.array(
        [(dataset(tmp_path, figure(), [flat(9)]).read(0, rng(seed))[1] > 127).mean() for seed in range(300)]
    )
    assert np.mean(shares == 0) == pytest.approx(composites.NOBODY, abs=0.06)
    assert np.mean((shares > 0) & (shares < 0.1)) == pytest.approx(composites.FAR, abs=0.06)


def test_a_share_of_the_composites_is_before_a_plain_wall(same_light, monkeypatch, tmp_path):
    monkeypatch.setattr(composites, "NOBODY", 1)
    monkeypatch.setattr(composites, "WALL", 0.25)
    drawn = dataset(tmp_path, figure(), [flat((10, 60, 250))])
    walls = [not np.array_equal(drawn.read(0, rng(seed))[0], flat((10, 60, 250), 200, 200)) for seed in range(200)]
    assert np.mean(walls) == pytest.approx(0.25, abs=0.08)


# ----------------------------------------------------------------------------------------------------------- background


def test_pieces_of_the_background_differ_in_place_size_and_direction():
    ramp = flat(0, 100, 200)
    ramp[:] = np.arange(200)[:, None]
    spans, mirrored = [], 0
    for seed in range(300):
        row = draw_piece(ramp, (60, 60), rng(seed))[30, :, 0].astype(int)
        spans.append(abs(row[-1] - row[0]))
        mirrored += row[-1] < row[0]
        assert (np.sign(np.diff(row)) == np.sign(row[-1] - row[0])).mean() > 0.7
    assert 45 <= min(spans) <= 55  # half of the largest square, which is 100 pixels wide
    assert 90 <= max(spans) <= 100
    assert 120 < mirrored < 180


def test_every_background_is_used(near, tmp_path):
    drawn = dataset(tmp_path, np.zeros((8, 8, 4), np.uint8), [flat(50), flat(200)])
    bright = [drawn.read(0, rng(seed))[0].mean() > 125 for seed in range(40)]
    assert 8 < sum(bright) < 32


# ------------------------------------------------------------------------------------------------------------- samples


@pytest.mark.parametrize("least, shape", [(None, (80, 80)), (200, (80, 80)), (40, (40, 40)), (10, (10, 10))])
def test_huge_cutouts_make_pictures_as_large_as_needed(near, least, shape, tmp_path):
    picture, alpha = dataset(tmp_path, disc(), [flat(9)], least).read(0, rng())
    assert alpha.shape == picture.shape[:2] == shape


def test_the_shorter_side_decides(near, tmp_path):
    assert dataset(tmp_path, disc()[:40], [flat(9)], least=20).read(0, rng())[1].shape == (20, 40)


def test_a_sample_is_determined_by_seed_visit_and_index(tmp_path):
    backgrounds = [rng(i).integers(0, 256, (50, 70, 3), np.uint8) for i in range(3)]
    first = dataset(tmp_path, disc(), backgrounds, transform=training_transform(32))
    second = dataset(tmp_path, disc(), backgrounds, transform=training_transform(32))
    _ = [first[visit, 0] for visit in range(5)]  # whatever was read before
    for visit in range(10):
        assert np.array_equal(first[visit, 0].image, second[visit, 0].image)
        assert np.array_equal(first[visit, 0].alpha, second[visit, 0].alpha)
    assert len({first[visit, 0].image.tobytes() for visit in range(10)}) == 10
    assert len({alpha.tobytes() for visit in range(10) if (alpha := first[visit, 0].alpha).any()}) >= 7
    other = dataset(tmp_path, disc(), backgrounds, seed=1, transform=training_transform(32))
    assert not np.array_equal(first[0, 0].image, other[0, 0].image)


def test_validation_sees_composites_as_well(near, tmp_path):
    shown = dataset(tmp_path, disc(), [flat(9)], transform=validation_transform(32))
    assert shown[0, 0].image.shape == (3, 32, 32)
    assert 0 < (shown[0, 0].alpha > 127).mean() < 1
    assert np.array_equal(shown[0, 0].image, shown[0, 0].image)


def test_the_recipe_names_the_backgrounds(tmp_path):
    one, two = ([flat(9)] * count for count in (1, 2))
    recipes = [dataset(tmp_path, disc(), backgrounds, transform=validation_transform(32)).recipe()
               for backgrounds in (one, two)]  # fmt: skip
    assert [recipe.pop("backgrounds") for recipe in recipes] == [
        ["background0.png"], ["background0.png", "background1.png"]]  # fmt: skip
    assert recipes[0] == recipes[1]


# --------------------------------------------------------------------------------------------------------------- errors


def test_cutouts_without_backgrounds_are_refused(tmp_path):
    with pytest.raises(ValueError, match="backgrounds"):
        dataset(tmp_path, disc(), [])


def test_unreadable_backgrounds_are_named(near, tmp_path):
    drawn = dataset(tmp_path, disc(), [flat(9)])
    drawn.backgrounds[0].write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"background0\.png: not a readable picture"):
        drawn.read(0, rng())


def test_cutouts_that_cannot_be_transparent_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"cutout\.png: has no alpha channel"):
        dataset(tmp_path, flat(9), [flat(9)]).read(0, rng())
