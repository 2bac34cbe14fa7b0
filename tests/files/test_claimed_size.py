"""Headers that claim more pixels than the file can hold."""

import zlib

import pytest
from PIL import Image

from helpers.files.claimed_size import check_claimed_size
from helpers.files.photos import open_photo


def claiming(path, width, height):
    """The bytes of a picture file whose head is changed to tell this size."""
    data = bytearray(path.read_bytes())
    if data.startswith(b"\x89PNG"):
        data[16:24] = width.to_bytes(4) + height.to_bytes(4)
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    else:
        place = data.index(b"\xff\xc0") + 5
        data[place : place + 4] = height.to_bytes(2) + width.to_bytes(2)
    path.write_bytes(data)
    return len(data)


@pytest.mark.parametrize("extension, mode", [("png", "L"), ("png", "RGBA"), ("png", "1"), ("jpg", "RGB"), ("jpg", "L")])
def test_a_head_that_claims_more_than_the_file_can_hold_is_not_believed(extension, mode, tmp_path):
    path = tmp_path / f"photo.{extension}"
    Image.new(mode, (10, 10)).save(path)
    size = claiming(path, 8_000, 5_000)
    with pytest.raises(ValueError, match=rf"photo\.{extension}: .*8000 × 5000 pixels are more than its {size} bytes"):
        open_photo(path)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "P"])
def test_the_emptiest_pictures_are_believed(mode, tmp_path):
    picture = Image.new(mode, (3000, 2000))
    picture.save(tmp_path / "photo.png", compress_level=9)
    assert open_photo(tmp_path / "photo.png").size == (3000, 2000)
    for options in ({"optimize": True}, {"progressive": True, "subsampling": 2}):
        picture.convert("L" if mode in ("1", "L") else "RGB").save(tmp_path / "photo.jpg", quality=1, **options)
        assert open_photo(tmp_path / "photo.jpg").size == (3000, 2000)


@pytest.mark.parametrize("extension", ["png", "jpg"])
def test_a_file_is_read_on_where_it_was(extension, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / f"photo.{extension}")
    with Image.open(tmp_path / f"photo.{extension}") as picture:
        place = picture.fp.tell()
        check_claimed_size(picture)
        assert picture.fp.tell() == place
