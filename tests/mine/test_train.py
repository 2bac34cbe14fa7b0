"""What the trainings of a project are given."""

from PIL import Image

from helpers.datasets.pairs import Pair
from helpers.mine.project import Project
from helpers.mine.train import _cutouts


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
