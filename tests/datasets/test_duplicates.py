"""The same bytes and the same look: found where they are, and not where they are not."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from helpers.datasets import duplicates
from helpers.datasets.duplicates import ALIKE, TOLD, digest, first_alike, look, same_photos
from helpers.datasets.pairs import Pair
from helpers.files.photos import read_photo


def picture(seed, height=160, width=120):
    """A smooth photo like no other: random colours, blended."""
    colours = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), np.uint8)
    return cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC)


def pairs(folder, **contents):
    """Pairs whose photos hold these bytes."""
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [Pair(folder / name, folder / "truth.png") for name in contents]


# ---------------------------------------------------------------------------------------------------------------- bytes


def test_a_digest_tells_contents_apart(tmp_path):
    one, same, other = pairs(tmp_path, a=b"photo", b=b"photo", c=b"Photo")
    assert digest(one.image) == digest(same.image) != digest(other.image)
    assert len(digest(one.image)) == 16


def test_the_same_photos_are_found_by_their_bytes_under_any_name(tmp_path):
    kept = pairs(tmp_path / "kept", a=b"1234", b=b"wxyz", c=b"another size", d=b"wxyz")
    others = pairs(tmp_path / "others", a=b"abcd", x=b"wxyz", y=b"wxyz", z=b"of no size there")
    assert same_photos(kept, others) == {1, 3}
    assert same_photos(kept, kept[:1]) == {0}
    assert same_photos(kept, []) == same_photos([], others) == set()


def test_only_files_whose_size_occurs_on_both_sides_are_read(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(duplicates, "digest", lambda path: read.append(path.name) or digest(path))
    same_photos(pairs(tmp_path / "kept", a=b"1", b=b"22", c=b"333"), pairs(tmp_path / "others", x=b"22", y=b"4444"))
    assert sorted(read) == ["b", "x"]


def test_a_missing_photo_is_named(tmp_path):
    missing = [Pair(tmp_path / "nowhere.jpg", tmp_path / "truth.png")]
    for kept, others in ((missing, []), ([], missing)):
        with pytest.raises(FileNotFoundError, match="nowhere.jpg"):
            same_photos(kept, others)


# ----------------------------------------------------------------------------------------------------------------- look


def alike(first, second):
    return first_alike([look(first), look(second)]).tolist() == [-1, 0]


@pytest.mark.parametrize("change", [
    lambda photo: cv2.resize(photo, (55, 73), interpolation=cv2.INTER_AREA),
    lambda photo: cv2.resize(photo, (240, 320)),
    lambda photo: cv2.resize(photo, (160, 120)),
    lambda photo: (photo * 0.7).astype(np.uint8),
    lambda photo: cv2.GaussianBlur(photo, (5, 5), 0),
    lambda photo: photo + np.random.default_rng(0).integers(0, 9, photo.shape, np.uint8) // 2,
], ids=["smaller", "larger", "stretched", "darker", "blurred", "noisy"])  # fmt: skip
def test_a_changed_copy_looks_the_same(change):
    photo = (picture(0) // 2 + 40).astype(np.uint8)
    assert alike(photo, change(photo))


@pytest.mark.parametrize("form, options", [("JPEG", {"quality": 40}), ("WEBP", {"quality": 60}), ("PNG", {})])
def test_a_re_encoded_copy_looks_the_same(form, options, tmp_path):
    Image.fromarray(picture(0)).save(tmp_path / "copy", form, **options)
    assert alike(picture(0), read_photo(tmp_path / "copy"))


def test_other_pictures_look_different():
    photos = [picture(seed) for seed in range(40)] + [picture(0)[:, ::-1].copy(), 255 - picture(0)]
    assert (first_alike([look(photo) for photo in photos]) == -1).all()


@pytest.mark.parametrize("value", [0, 90, 255])
def test_flat_pictures_are_like_none(value):
    flat = np.full((50, 70, 3), value, np.uint8)
    speck = flat.copy()
    speck[20:24, 20:24] = 128
    for photo in (flat, speck):
        assert not look(photo).any()
    assert not alike(flat, flat)


def test_a_look_is_where_the_grey_falls_stays_and_rises():
    ramp = np.dstack([np.tile(np.arange(0, 255, 5, np.uint8), (20, 1))] * 3)
    right, down = look(ramp).reshape(2, -1)
    assert (right == 1).all()
    assert (down == 0).all()
    assert (look(ramp[:, ::-1].copy()).reshape(2, -1)[0] == -1).all()
    assert look(ramp).dtype == np.int8


def test_a_picture_of_one_pixel_has_a_look():
    assert look(np.zeros((1, 1, 3), np.uint8)).shape == (512,)


# ------------------------------------------------------------------------------------------------------------ comparing


def flipped(signs, count):
    """The look with its first `count` differences reversed; each takes two from what both have in common."""
    return np.concatenate([-signs[:count], signs[count:]])


def test_three_quarters_of_the_differences_must_agree():
    signs = np.random.default_rng(0).choice([-1, 1], 512).astype(np.int8)
    assert ALIKE == 0.75
    assert first_alike([signs, flipped(signs, 64)]).tolist() == [-1, 0]
    assert first_alike([signs, flipped(signs, 65)]).tolist() == [-1, -1]
    few = signs * (np.arange(512) < TOLD)
    assert first_alike([few, signs]).tolist() == [-1, -1]  # what one of them doesn't tell counts, too


@pytest.mark.parametrize("block", [1, 3, 4, 100])
def test_the_first_one_is_found_whatever_the_blocks(block, monkeypatch):
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    numbers = np.random.default_rng(0)
    kinds = [0, 1, 2, 1, 3, 0, 0, 3, 4, 2]
    looks = numbers.choice([-1, 0, 1], (5, 512)).astype(np.int8)
    assert first_alike([looks[kind] for kind in kinds]).tolist() == [-1, -1, -1, 1, -1, 0, 0, 4, -1, 2]


def test_nothing_to_compare():
    assert first_alike([]).tolist() == []


def test_jpegs_of_real_portraits_are_recognised_after_another_encoding(shared):
    files = sorted((shared / "data" / "ccp" / "images" / "val").glob("*.jpg"))
    if not files:
        pytest.skip("../shared/data/ccp is not there")
    looks = []
    for path in files:
        buffer = io.BytesIO()
        with Image.open(path) as photo:
            photo.reduce(2).save(buffer, "JPEG", quality=60)
        looks += [look(read_photo(path)), look(read_photo(buffer))]
    assert first_alike(looks).tolist() == [place for i in range(len(files)) for place in (-1, 2 * i)]
