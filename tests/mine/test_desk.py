"""What the page does with photos of unusual size, without a browser."""

import numpy as np
import pytest
from PIL import Image

from helpers.files.photos import read_grey
from helpers.mine.correct import CORRECTED, KEEP, REMOVE
from helpers.mine.desk import COLOURS, SHOWN, MineDesk
from helpers.mine.project import Photo, Project, stamp_of

HEIGHT, WIDTH = 6_000, 10_000


@pytest.fixture
def desk(tmp_path):
    """One photo of 60 megapixels, proposed as its left half."""
    folder = tmp_path / "photos"
    folder.mkdir()
    project, file = Project.open(folder), folder / "large.jpg"
    Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 60)).save(file)
    half = np.zeros((HEIGHT, WIDTH), np.uint8)
    half[:, : WIDTH // 2] = 255
    project.proposal("large").parent.mkdir(exist_ok=True)
    Image.fromarray(half).save(project.proposal("large"), compress_level=1)
    project.photos["large"] = Photo("large", "large.jpg", (HEIGHT, WIDTH), stamp_of(file))
    project.save()
    return MineDesk(folder)


def test_a_photo_of_60_megapixels_is_shown_small_and_saved_in_its_own_size(desk):
    shown = desk.open("large")
    height, width = shown.photo.shape[:2]
    assert max(height, width) == SHOWN
    layer = np.zeros((height, width, 4), np.uint8)
    layer[:100, :100] = *COLOURS[REMOVE], 255
    layer[-100:, -100:] = *COLOURS[KEEP], 255
    compared, note = desk.save(shown.ticket, layer, replace_own=False)
    assert "saved" in note and compared[1].shape == shown.photo.shape
    assert desk.corrections.how("large") == CORRECTED
    matte = read_grey(desk.corrections.folder / "masks" / "train" / "large.png")
    assert matte.shape == (HEIGHT, WIDTH)
    assert (matte[:900, :900] == 0).all() and (matte[-900:, -900:] == 255).all()
    assert (matte[1100:4900, : WIDTH // 2] == 255).all() and (matte[1100:4900, WIDTH // 2 :] == 0).all()
