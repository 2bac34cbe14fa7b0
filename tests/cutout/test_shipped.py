"""The weights that come with the project: small, of this project's own format, and they find people."""

import re
from statistics import mean

import numpy as np
import pytest

from helpers.cutout import load_matter
from helpers.datasets.layouts import find_pairs
from helpers.datasets.pairs import read_pair
from helpers.files.photos import open_picture, sample_portraits
from helpers.metrics.errors import matting_metrics
from helpers.networks.pretrained import FOLDER, SHIPPED, find_shipped
from helpers.networks.weights import read_checkpoint


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


def test_they_cut_out_real_portraits_that_they_were_not_trained_on(matter, shared):
    ious = []
    for pair in find_pairs(shared / "data" / "ccp", "val")[:12]:
        photo, alpha = read_pair(pair)
        ious.append(matting_metrics(matter.alpha(photo), alpha / 255.0)["iou"])
    assert mean(ious) > 0.9
    assert np.median(ious) > 0.9
