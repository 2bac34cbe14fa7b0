"""Finding the ground truths of a folder, the names that their predictions may have, and their trimaps."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.metrics.ground_truth import find_truths


def draw(folder, *names):
    """Small grey pictures under these names."""
    for name in names:
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 5), 255, np.uint8)).save(path)


def names(found):
    return [truth.names for truth in found.truths]


def trimaps(found, folder):
    return [truth.trimap and truth.trimap.relative_to(folder).as_posix() for truth in found.truths]


def test_plain_folder_with_sub_folders(tmp_path):
    draw(tmp_path, "b.png", "a/c.v2.png", "a/.hidden.png", "__MACOSX/b.png", "trimap/b.png", "trimap/a/c.v2.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = find_truths(tmp_path)
    assert found.layout == "plain folder"
    assert names(found) == [("a/c.v2",), ("b",)]
    assert trimaps(found, tmp_path) == ["trimap/a/c.v2.png", "trimap/b.png"]
    assert {truth.pair.reading for truth in found.truths} == {"grey"}


def test_p3m_500_is_known_by_its_name(tmp_path):
    folder = tmp_path / "P3M-500-P"
    draw(folder, "blurred_image/p_1.jpg", "blurred_image/p_2.jpg", "mask/p_1.png", "mask/p_2.png", "trimap/p_1.png",
         "facemask/p_1.png")  # fmt: skip
    found = find_truths(folder)
    assert found.layout == "p3m"
    assert names(found) == [(f"p_{i}", f"blurred_image/p_{i}", f"mask/p_{i}") for i in (1, 2)]
    assert trimaps(found, folder) == ["trimap/p_1.png", None]


def test_p3m_500_under_another_name(tmp_path):
    draw(tmp_path, "original_image/p_1.jpg", "mask/p_1.png", "trimap/p_1.png")
    found = find_truths(tmp_path)
    assert [truth.pair.truth for truth in found.truths] == [tmp_path / "mask" / "p_1.png"]
    assert names(found) == [("p_1", "original_image/p_1", "mask/p_1")]
    assert trimaps(found, tmp_path) == ["trimap/p_1.png"]


def test_both_sets_of_p3m_500_in_one_folder(tmp_path):
    for place, photos in (("P3M-500-P", "blurred_image"), ("P3M-500-NP", "original_image")):
        draw(tmp_path / "validation" / place, f"{photos}/1.jpg", "mask/1.png", "trimap/1.png")
    found = find_truths(tmp_path)
    assert [truth.names[0] for truth in found.truths] == ["validation/P3M-500-NP/1", "validation/P3M-500-P/1"]
    assert trimaps(found, tmp_path) == [f"validation/P3M-500-{place}/trimap/1.png" for place in ("NP", "P")]


def test_ppm_100(tmp_path):
    draw(tmp_path, *(f"image/{i}.jpg" for i in range(30)), *(f"matte/{i}.png" for i in range(30)))
    found = find_truths(tmp_path)
    assert found.layout == "pairs"
    assert len(found.truths) == 30  # the tenth that training would validate on among them
    assert found.truths[0].names == ("0", "image/0", "matte/0")
    assert not found.left_out


@pytest.mark.parametrize("mattes", [True, False])
def test_easyportrait_takes_its_mattes_if_it_has_some(tmp_path, mattes):
    for split in ("train", "val"):
        draw(tmp_path, f"images/{split}/a.jpg", f"annotations/{split}/a.png", *[f"mattes/{split}/a.png"] * mattes)
    found = find_truths(tmp_path)
    kind, reading = ("mattes", "grey") if mattes else ("annotations", "classes")
    assert found.layout == f"easyportrait, {kind}"
    assert [truth.pair.reading for truth in found.truths] == [reading] * 2
    assert names(found) == [(f"{split}/a", f"images/{split}/a", f"{kind}/{split}/a") for split in ("train", "val")]


def test_manifest(tmp_path):
    draw(tmp_path, "set/photos/a.jpg", "elsewhere/a-alpha.png")
    lines = f"image,mask\nphotos/a.jpg,{tmp_path / 'elsewhere' / 'a-alpha.png'}\n"
    (tmp_path / "set" / "manifest.csv").write_text(lines)
    for place in (tmp_path / "set", tmp_path / "set" / "manifest.csv"):
        assert names(find_truths(place)) == [("photos/a", "a-alpha")]


def test_a_name_that_two_truths_could_have_is_nobodys(tmp_path):
    for i in range(2):
        draw(tmp_path, f"clip_img/s/clip_{i}/a.jpg", f"matting/s/matting_{i}/a.png")
    assert names(find_truths(tmp_path)) == [(f"clip_img/s/clip_{i}/a", f"matting/s/matting_{i}/a") for i in range(2)]


def test_what_the_layout_leaves_out_is_told(tmp_path):
    draw(tmp_path, "image/a.jpg", "image/b.jpg", "matte/a.png", "matte/c.png")
    found = find_truths(tmp_path)
    assert [truth.names[0] for truth in found.truths] == ["a"]
    left_out = "photos without a ground truth: 1 (b.jpg); ground truths without a photo: 1 (c.png)"
    assert found.left_out == [f"left out of train: {left_out}"]


def test_folders_without_truths(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder; correct the path"):
        find_truths(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="no photos there"):
        find_truths(tmp_path)
    draw(tmp_path, "trimap/a.png")
    nothing = r"no ground truths there \(plain folder\): no photo formats outside trimap"
    with pytest.raises(FileNotFoundError, match=nothing):
        find_truths(tmp_path)
    draw(tmp_path, "image/a.jpg", "matte/b.png")
    with pytest.raises(FileNotFoundError, match=r"there \(pairs\): left out of train: .*1 \(a.jpg\).*1 \(b.png\)"):
        find_truths(tmp_path)
