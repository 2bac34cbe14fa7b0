"""The weights that come with the project: small, of this project's own format, and they find people."""

import re

import numpy as np
import pytest
from PIL import Image

from helpers.cutout import load_matter
from helpers.datasets.pairs import read_pair
from helpers.experiments.validation import empty_means, empty_places, held_out, row_of
from helpers.files.photos import open_picture, sample_portraits
from helpers.networks.pretrained import FOLDER, SHIPPED, find_shipped
from helpers.networks.weights import read_checkpoint

FLOORS = {"selfies": (5, 0.916, 0.0565), "people": (1, 0.873, 0.0360), "ccp": (4, 0.971, 0.0115)}
"""By data set: every how manyth validation photo is cut out, the lowest mean IoU and the highest MAD; a hair from what
was measured."""

EMPTY = 0.038
"""Highest mean alpha of every fourth of the places with nobody, a hair above what was measured."""


@pytest.fixture(scope="module")
def matter():
    return load_matter(find_shipped("u2net_lite"), "cpu")


@pytest.mark.parametrize("network", SHIPPED)
def test_they_are_there_and_small(network):
    path = find_shipped(network)
    assert path.stat().st_size <= 2_400_000
    assert read_checkpoint(path)["network"] == network


@pytest.mark.parametrize("network", SHIPPED)
def test_their_card_tells_how_they_came_about(network):
    card = (FOLDER / SHIPPED[network]).with_suffix(".md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)", card, re.MULTILINE)
    assert headings == ["Data", "Recipe", "Numbers", "Licence", "Limits"]
    [script] = set(re.findall(r"saved_models/\w+\.sh", card))
    assert (FOLDER.parent / script).stat().st_mode & 0o100


def test_they_find_the_person_in_both_public_photos(matter):
    hopper, collins = (matter.alpha(open_picture(path)) for path in sample_portraits())
    assert hopper[250:330, 230:300].mean() > 0.95  # the face
    assert hopper[:60, :60].mean() < 0.005 and hopper[:60, :60].max() < 0.05  # the wall above her shoulder
    assert collins[90:150, 200:260].mean() > 0.95
    assert collins[:60, 330:].mean() < 0.005 and collins[:60, 330:].max() < 0.05  # the wall


@pytest.mark.parametrize("name", FLOORS)
def test_they_cut_out_photos_that_they_were_not_trained_on(name, matter, shared):
    every, iou, mad = FLOORS[name]
    row = row_of(name, matter, map(read_pair, held_out(shared / "data" / name)[::every]))
    assert row.iou > iou and row.mad < mad


def test_they_keep_no_more_of_places_with_nobody_than_was_measured(matter, shared):
    places = empty_places(shared / "data" / "backgrounds")[::4]
    assert empty_means(matter, places).mean() < EMPTY


def wall():
    """A plain wall (1200, 900, 3): light that falls off slowly, and the noise of a camera."""
    light = np.linspace(205, 175, 1200)[:, None, None] + np.random.default_rng(0).normal(0, 3, (1200, 900, 1))
    return (light + np.array([6, 2, -6])).clip(0, 255).astype(np.uint8)


def test_an_empty_wall_stays_empty(matter):
    assert matter.alpha(wall()).mean() < 0.002


@pytest.mark.parametrize("height", [200, 400])
def test_a_far_figure_comes_without_its_wall(height, matter):
    """Grace Hopper's bust, a sixth and a third of the picture's height, cut out before by the same weights."""
    person = matter.cutout(open_picture(sample_portraits()[0]))
    person = person.resize((round(height * person.width / person.height), height), Image.Resampling.LANCZOS)
    picture = Image.fromarray(wall()).convert("RGBA")
    place = (450 - person.width // 2, 1200 - height)
    picture.alpha_composite(person, place)
    true = Image.new("L", picture.size)
    true.paste(person.getchannel("A"), place)
    alpha, true = matter.alpha(picture.convert("RGB")), np.asarray(true) / 255.0
    assert (alpha * true).sum() / true.sum() > 0.9
    assert (alpha * (1 - true)).sum() / (1 - true).sum() < 0.01
