"""What the trainings of a project are given."""

from pathlib import Path

import pytest
from PIL import Image

from helpers.datasets.pairs import Pair
from helpers.mine.lesson import Lesson
from helpers.mine.project import Project
from helpers.mine.train import _cutouts, parts_of, settings_for


def test_cutouts_of_equal_names_in_sub_folders_of_equal_names_are_told_apart(tmp_path):
    pairs = []
    for top, grey in (("a", 50), ("b", 200)):
        photo, truth = (tmp_path / kind / top / "x" / "1.png" for kind in ("photos", "truths"))
        for path, picture in ((photo, Image.new("RGB", (40, 40), (grey,) * 3)), (truth, Image.new("L", (40, 40), 255))):
            path.parent.mkdir(parents=True)
            picture.save(path)
        pairs.append(Pair(photo, truth, "grey"))
    cutouts = _cutouts(Project(tmp_path / "photos", tmp_path / "work"), pairs)
    assert [Image.open(pair.image).getpixel((20, 20))[0] for pair in cutouts] == [50, 200]
    Image.new("RGB", (40, 40), (90,) * 3).save(pairs[0].image)
    cutouts = _cutouts(Project(tmp_path / "photos", tmp_path / "work"), pairs)
    assert [Image.open(pair.image).getpixel((20, 20))[0] for pair in cutouts] == [90, 200]


@pytest.mark.parametrize("photos, epochs, steps", [(14, (60, 60), (60, 60)), (54, (60, 120), (360, 360)),
                                                   (200, (18, 38), (450, 456))])  # fmt: skip
def test_half_of_the_photos_are_trained_on_for_as_many_steps(photos, epochs, steps):
    lesson = Lesson([Pair(Path(f"{number}.jpg"), Path("x")) for number in range(photos)], [], [])
    parts = parts_of(lesson, settings_for(lesson))
    assert tuple(config.epochs for _, config in parts.values()) == epochs
    assert [taught.photos for taught, _ in parts.values()] == [photos, photos // 2]
    batches = [taught.photos // min(config.batch_size, taught.photos) for taught, config in parts.values()]
    assert tuple(config.epochs * count for (_, config), count in zip(parts.values(), batches, strict=True)) == steps


def test_a_u2net_learns_by_its_coarse_stages_unless_told_otherwise():
    few, many = (
        Lesson([Pair(Path(f"{number}.jpg"), Path("x")) for number in range(count)], [], []) for count in (9, 200)
    )

    def kept(lesson, **changes):
        config = settings_for(lesson, **changes)
        return config.coarse, config.freeze_encoder

    assert kept(few) == kept(many) == kept(few, network="u2net") == (True, False)
    assert kept(few, network="resnet50_unet") == (False, True)
    assert kept(many, network="resnet50_unet") == (False, False)
    assert kept(few, coarse=False) == (False, False) and kept(few, freeze_encoder=True) == (False, True)
