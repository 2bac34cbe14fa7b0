"""Files that are no photos, or no whole ones: each is told as what it is, with what to do."""

import io

import pytest
from PIL import Image

from helpers.files.kinds import kind_of, kind_of_picture
from helpers.files.photos import look_inside, open_photo, read_photo

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
AVIF = HEIC.replace(b"heic", b"avif")


@pytest.mark.parametrize("start, name, to_do", [
    (b"", "an empty file", "again"),
    (b"\n<!DOCTYPE html><title>404</title>", "a web page", "download the file itself"),
    (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "git lfs pull"),
    (b"\xff\x0a\xfa\x1f", "a JPEG XL picture", "JPEG or PNG"),
    (b"8BPS\0\1", "a Photoshop document", "JPEG or PNG"),
    (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing", "JPEG or PNG"),
    (b"PK\3\4", "a zip archive", "unpack it"),
    (b"II*\0\x08\0\0\0" + bytes(6), "a damaged TIFF, or one of a kind that is not read here", "8 or 16 bits"),
])  # fmt: skip
def test_what_is_no_photo_is_told_as_what_it_is(start, name, to_do, tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(start)
    for source in (path, start):
        for read in (open_photo, look_inside):
            with pytest.raises(ValueError, match=r"photo\.jpg: not a readable picture") as caught:
                read(source, path)
            assert f"({name}" in str(caught.value) and to_do in str(caught.value)
    with pytest.raises(ValueError, match=r"photo\.jpg: not a readable picture"):
        read_photo(path)


def test_a_photo_of_a_telephone_under_another_name_asks_for_its_package():
    kind = kind_of_picture(HEIC, ("JPEG", "AVIF"))
    assert "HEIF" in kind.name and "pip install pillow-heif" in kind.to_do
    assert kind_of_picture(HEIC, ("JPEG", "HEIF")).name == "a damaged HEIF"
    assert "'pillow>=11.3'" in kind_of_picture(AVIF, ("JPEG",)).to_do
    assert kind_of_picture(AVIF, ("JPEG", "AVIF")).to_do == "remove or replace the file"


def test_what_is_unknown_stays_so():
    assert kind_of(b"\x80\2") is kind_of_picture(b"\0\0\0\x18ftypqt  ", ()) is None


def test_half_a_photo_is_no_photo(tmp_path):
    stream = io.BytesIO()
    Image.effect_noise((64, 64), 80).save(stream, "JPEG")
    with pytest.raises(ValueError, match=r"the photo: not a readable picture \(image file is truncated"):
        open_photo(stream.getvalue()[: len(stream.getvalue()) // 2])
