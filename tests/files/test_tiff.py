"""TIFF files as cameras and scanners arrange them: the photo itself is read, or the reason is told."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from helpers.files.photos import look_inside, open_photo, picture_size, read_photo
from helpers.files.tiff import RAW

LARGE = np.random.default_rng(0).integers(0, 256, (96, 64, 3), np.uint8)
SMALL = Image.fromarray(LARGE).resize((16, 24))


def directory(picture, start, end, extra):
    """A TIFF directory at `start` of an RGB picture (H, W, 3) whose pixels begin at `end`; and what follows it."""
    height, width = picture.shape[:2]
    entries = {256: width, 257: height, 259: 1, 262: 2, 273: end + 6, 277: 3, 278: height, 279: picture.size}
    fields = [(258, struct.pack("<HHII", 258, 3, 3, end))] + [
        (tag, struct.pack("<HHII", tag, 4, 1, value)) for tag, value in (entries | dict(extra)).items()
    ]
    return struct.pack("<H", len(fields)) + b"".join(field for _, field in sorted(fields)) + bytes(4)


def with_a_preview(first=(254, 1), tags=()):
    """A TIFF whose first directory is a preview, and whose sub-directory is the photo."""
    preview, size = np.asarray(SMALL), 2 + 12 * (11 + len(tags)) + 4
    second = 8 + size
    pixels = second + size - 12 * (len(tags) + 2)
    later = pixels + 6 + preview.size
    return (b"II*\0" + struct.pack("<I", 8) + directory(preview, 8, pixels, [first, (330, second), *tags])
            + directory(LARGE, second, later, []) + struct.pack("<3H", 8, 8, 8) + preview.tobytes()
            + struct.pack("<3H", 8, 8, 8) + LARGE.tobytes())  # fmt: skip


@pytest.mark.parametrize("first", [(254, 1), (255, 2), (254, 4), (254, 5)], ids=["reduced", "old", "mask", "both"])
@pytest.mark.parametrize("read", [open_photo, look_inside, read_photo, picture_size])
def test_a_preview_is_not_taken_for_the_photo_in_a_sub_directory(read, first, tmp_path):
    (tmp_path / "scan.tif").write_bytes(with_a_preview(first))
    with pytest.raises(ValueError, match=r"scan\.tif: .*only a preview or mask of 16 × 24 pixels.*sub-directory.*save"):
        read(tmp_path / "scan.tif")


@pytest.mark.parametrize("extension", ["dng", "NEF", "tif"])
def test_a_cameras_raw_file_is_refused_with_the_way_to_a_photo(extension, tmp_path):
    path = tmp_path / f"photo.{extension}"
    path.write_bytes(with_a_preview((254, 0), [(50706, 1)] if extension != "NEF" else []))
    if extension == "NEF":  # whose preview says what it is
        path.write_bytes(with_a_preview())
    for read in (open_photo, look_inside):
        with pytest.raises(ValueError, match=r"photo\.\w+: .*camera's raw file.*develop it with a raw converter"):
            read(path)


def test_canons_raw_file_is_known_by_its_mark(tmp_path):
    data = with_a_preview((254, 0))
    place = len(data)
    first = data[8 : 8 + 2 + 12 * 11 + 4]
    data = data[:4] + struct.pack("<I", place) + b"CR\2\0" + data[12:] + first
    for name in ("photo.cr2", "photo.tif"):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match="camera's raw file"):
            open_photo(tmp_path / name)


@pytest.mark.parametrize("extension", sorted(RAW))
def test_raw_files_of_every_maker_are_named_as_what_they_are(extension, tmp_path):
    (tmp_path / f"photo{extension}").write_bytes(b"FUJIFILMCCD-RAW 0201")
    with pytest.raises(ValueError, match="camera's raw file"):
        open_photo(tmp_path / f"photo{extension}")


def saved(path, *pages, kinds=()):
    """A TIFF file of several pages, with the kind of page (NewSubfileType) that each says it is."""
    with TiffImagePlugin.AppendingTiffWriter(str(path), True) as file:
        for number, page in enumerate(pages):
            page.save(file, "TIFF", tiffinfo={254: kinds[number]} if kinds else {})
            file.newFrame()


@pytest.mark.parametrize("kinds", [(), (1, 0)], ids=["unsaid", "said"])
def test_of_a_preview_and_the_photo_as_pages_the_photo_is_read(kinds, tmp_path):
    path = tmp_path / "pages.tif"
    saved(path, SMALL, Image.fromarray(LARGE), kinds=kinds)
    assert look_inside(path) == (96 * 64, "has a preview or mask as its first page; page 2 is cut out")
    assert np.array_equal(np.asarray(open_photo(path)), LARGE)
    assert np.array_equal(read_photo(path), LARGE)
    assert picture_size(path) == (96, 64)


def test_pages_of_their_own_are_no_photo_and_preview(tmp_path):
    """The first counts: of another shape, nearly as large, or followed by its previews."""
    first = "has several frames or pages; the first is cut out"
    for size in ((96, 64), (40, 60), (8, 12)):
        saved(tmp_path / "pages.tif", Image.fromarray(LARGE).resize((32, 48)), Image.new("RGB", size))
        assert look_inside(tmp_path / "pages.tif") == (32 * 48, first)
        assert open_photo(tmp_path / "pages.tif").size == (32, 48)
    saved(tmp_path / "pyramid.tif", Image.fromarray(LARGE), SMALL, kinds=(0, 1))
    assert look_inside(tmp_path / "pyramid.tif") == (96 * 64, first)
    assert np.array_equal(np.asarray(open_photo(tmp_path / "pyramid.tif")), LARGE)


@pytest.mark.parametrize("colours", [2, 6], ids=["RGB", "YCbCr"])
def test_jpeg_in_the_way_before_technical_note_2(colours, tmp_path):
    """Compression 6: a whole JPEG file, named by tags 513 and 514."""
    jpeg, smooth = io.BytesIO(), SMALL.resize((64, 96))
    smooth.save(jpeg, "JPEG", subsampling=0)  # what is subsampled may be enlarged in several ways
    length, end = len(jpeg.getvalue()), 8 + 2 + 12 * 11 + 4
    tags = [(259, 6), (262, colours), (279, length), (513, end + 6), (514, length)]
    start = b"II*\0" + struct.pack("<I", 8) + directory(np.asarray(smooth), 8, end, tags)
    assert len(start) == end
    (tmp_path / "scan.tif").write_bytes(start + struct.pack("<3H", 8, 8, 8) + jpeg.getvalue())
    assert np.array_equal(read_photo(tmp_path / "scan.tif"), np.asarray(Image.open(jpeg)))


@pytest.mark.parametrize("bits", [8, 16])
def test_numbers_with_a_sign_are_refused(bits, tmp_path):
    """Nobody knows whether 127, 255 or 65535 is white."""
    picture = Image.fromarray(np.full((4, 4), 100, np.uint8 if bits == 8 else np.uint16))
    picture.save(tmp_path / "signed.tif", tiffinfo={339: 2})
    for read in (open_photo, read_photo):
        with pytest.raises(ValueError, match=r"signed\.tif: .*its numbers are signed; save it in 8 or 16 bits"):
            read(tmp_path / "signed.tif")


def test_tiles_of_16_bits_with_a_plane_for_each_colour_are_refused(tmp_path):
    """Pillow reads them as 8 bits."""
    planes = np.full((3, 16, 16), 40000, "<u2")
    tags = [(256, 4, 16), (257, 4, 16), (258, 3, None), (259, 3, 1), (262, 3, 2), (277, 3, 3), (284, 3, 2),
            (322, 4, 16), (323, 4, 16), (324, 4, None), (325, 4, None)]  # fmt: skip
    behind = 8 + 2 + 12 * len(tags) + 4
    lists = {258: struct.pack("<3H", 16, 16, 16), 325: struct.pack("<3I", *[512] * 3)}
    places, extra = {258: behind, 325: behind + 6, 324: behind + 18}, behind + 30
    lists[324] = struct.pack("<3I", *(extra + 512 * plane for plane in range(3)))
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 3, places[tag]) if value is None else struct.pack("<HHII", tag, kind, 1, value)
        for tag, kind, value in tags
    )
    (tmp_path / "tiles.tif").write_bytes(
        b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + lists[258] + lists[325] + lists[324]
        + planes.tobytes()
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"tiles\.tif: .*its own plane of 16 bits; save it with interleaved channels"):
        read_photo(tmp_path / "tiles.tif")
