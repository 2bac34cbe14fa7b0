"""Pictures of every mode, turned and broken, with the values that must come out."""

import os
import struct
import subprocess
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, features
from support import add_chunks

from helpers.files.photos import (
    look_inside,
    open_photo,
    open_picture,
    photo_extensions,
    picture_size,
    read_grey,
    read_photo,
    sample_portraits,
    to_rgb,
)

TEAL = (10, 120, 130)


def quarters():
    """A picture (20, 30, 3) whose four quarters are 200, 150, 100 and 50 bright, row by row."""
    grey = np.zeros((20, 30), np.uint8)
    grey[:10, :15], grey[:10, 15:], grey[10:, :15], grey[10:, 15:] = 200, 150, 100, 50
    return np.dstack([grey] * 3)


def corners(array):
    """Red values near the four corners, clockwise from the top left."""
    return [int(array[y, x].flat[0]) for y, x in ((2, 2), (2, -3), (-3, -3), (-3, 2))]


# ----------------------------------------------------------------------------------------------------------------- EXIF


@pytest.mark.parametrize("orientation, shown", [
    (1, [200, 150, 50, 100]), (2, [150, 200, 100, 50]), (3, [50, 100, 200, 150]), (4, [100, 50, 150, 200]),
    (5, [200, 100, 50, 150]), (6, [100, 200, 150, 50]), (7, [50, 150, 200, 100]), (8, [150, 50, 100, 200]),
])  # fmt: skip
@pytest.mark.parametrize("extension", ["png", "jpg", "webp", "tif"])
def test_photos_are_turned_as_they_are_shown(orientation, shown, extension, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{extension}"
    Image.fromarray(quarters()).save(path, exif=exif)
    photo = read_photo(path)
    assert photo.shape == ((30, 20, 3) if orientation > 4 else (20, 30, 3))
    assert np.abs(np.subtract(corners(photo), shown)).max() <= 3


# ---------------------------------------------------------------------------------------------------------------- modes


def rgb_of(picture):
    """What `to_rgb` makes of a picture, checked for shape and type: the one colour it holds."""
    array = to_rgb(picture)
    assert array.shape == (picture.height, picture.width, 3)
    assert array.dtype == np.uint8
    assert array.flags.writeable
    colours = np.unique(array.reshape(-1, 3), axis=0)
    assert len(colours) == 1
    return tuple(colours[0].tolist())


@pytest.mark.parametrize("mode, colour, rgb", [
    ("RGB", TEAL, TEAL), ("RGBA", (*TEAL, 255), TEAL), ("RGBA", (*TEAL, 0), TEAL), ("RGBA", (*TEAL, 90), TEAL),
    ("L", 77, (77, 77, 77)), ("LA", (77, 0), (77, 77, 77)), ("1", 1, (255, 255, 255)), ("1", 0, (0, 0, 0)),
    ("CMYK", (0, 0, 0, 0), (255, 255, 255)), ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
    ("CMYK", (0, 0, 0, 255), (0, 0, 0)),
    ("I;16", 65535, (255, 255, 255)), ("I;16", 257 * 77, (77, 77, 77)), ("I;16B", 257 * 77, (77, 77, 77)),
    ("I", 65535, (255, 255, 255)), ("I", 257 * 77, (77, 77, 77)),
    ("F", 77.4, (77, 77, 77)), ("F", 260.0, (255, 255, 255)), ("F", 0.6, (153, 153, 153)),
])  # fmt: skip
def test_every_mode_gives_its_colour(mode, colour, rgb):
    assert rgb_of(Image.new(mode, (5, 4), colour)) == rgb


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)[None].repeat(3, axis=0)
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    assert np.array_equal(read_photo(tmp_path / "deep.png")[0, :, 1], np.arange(256))


def palette_picture(**options):
    picture = Image.new("P", (5, 4), 3)
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, *TEAL])
    picture.info.update(options)
    return picture


@pytest.mark.parametrize("transparency", [{}, {"transparency": 3}, {"transparency": b"\xff\xff\xff\x00"}],
                         ids=["none", "index", "bytes"])  # fmt: skip
def test_palettes_give_their_colours(transparency, tmp_path):
    picture = palette_picture(**transparency)
    assert rgb_of(picture) == TEAL
    picture.save(tmp_path / "palette.png")
    assert rgb_of(open_picture(tmp_path / "palette.png")) == TEAL


def test_transparent_grey_and_rgb_files_keep_their_colour(tmp_path):
    Image.new("L", (5, 4), 77).save(tmp_path / "grey.png", transparency=77)
    Image.new("RGB", (5, 4), TEAL).save(tmp_path / "rgb.png", transparency=TEAL)
    assert rgb_of(open_picture(tmp_path / "grey.png")) == (77, 77, 77)
    assert rgb_of(open_picture(tmp_path / "rgb.png")) == TEAL


def test_the_transparent_colour_of_16_bits_is_that_colour(tmp_path):
    """Pillow compares colours of 8 bits with it, and so hides black where magenta is meant."""
    rows = np.array([[(255, 0, 255), (0, 0, 0), (9, 200, 0)]], np.uint8)
    assert cv2.imwrite(str(tmp_path / "whole.png"), rows[..., ::-1].astype(np.uint16) * 256)
    shown = open_photo(add_chunks(tmp_path / "whole.png", tRNS=struct.pack(">HHH", 0xFF00, 0, 0xFF00)))
    assert np.asarray(shown).tolist() == [[[255, 0, 255, 0], [0, 0, 0, 255], [9, 200, 0, 255]]]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser reads everything")
def test_a_photo_that_may_not_be_read_is_no_broken_one(tmp_path):
    Image.new("L", (5, 4)).save(tmp_path / "secret.png")
    (tmp_path / "secret.png").chmod(0)
    with pytest.raises(ValueError, match=r"not allowed to read it\); allow it$"):
        open_picture(tmp_path / "secret.png")


def test_a_cmyk_file_is_not_read_as_rgba(tmp_path):
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "print.jpg", quality=100)
    red, green, blue = read_photo(tmp_path / "print.jpg")[8, 8].tolist()
    assert red <= 3
    assert min(green, blue) >= 252


def test_the_result_is_a_copy():
    picture = Image.new("RGB", (5, 4), TEAL)
    to_rgb(picture)[:] = 0
    assert picture.getpixel((0, 0)) == TEAL


# --------------------------------------------------------------------------------------------------------------- errors


def broken(path, damage):
    """A file that is no picture, or only the beginning of one."""
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(path)
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "text": b"<html>not found</html>", "head": whole[:40],
                      "half": whole[: len(whole) // 2]}[damage])  # fmt: skip
    return path


@pytest.mark.parametrize("damage", ["empty", "text", "head", "half"])
@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "bmp"])
@pytest.mark.parametrize("read", [open_picture, read_photo, read_grey])
def test_unreadable_files_are_named(read, extension, damage, tmp_path):
    path = broken(tmp_path / f"photo.{extension}", damage)
    to_do = {"empty": "copy or download it again", "text": "download the file itself"}.get(damage, "")
    with pytest.raises(ValueError, match=rf"photo\.{extension}: not a readable picture .*; {to_do}"):
        read(path)


@pytest.mark.parametrize("read", [open_picture, read_photo, read_grey])
def test_missing_files_are_named(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        read(tmp_path / "nowhere.jpg")


def test_the_sample_portraits_are_there():
    hopper, collins = (read_photo(path) for path in sample_portraits())
    assert hopper.shape[1:] == collins.shape[1:] == (512, 3)


# ---------------------------------------------------------------------------------------- photos that are to be cut out


def test_a_photo_keeps_profile_and_resolution_and_nothing_else(tmp_path):
    profile, exif = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    options = {"icc_profile": profile, "dpi": (300, 300), "exif": exif, "comment": b"mine"}
    Image.fromarray(quarters()).save(tmp_path / "photo.jpg", quality=100, **options)
    photo = open_photo(tmp_path / "photo.jpg")
    assert photo.mode == "RGB"
    assert photo.info == {"icc_profile": profile, "dpi": (300, 300)}
    assert np.abs(np.subtract(corners(np.asarray(photo)), [100, 200, 150, 50])).max() <= 3


@pytest.mark.parametrize("dpi", [(0, 0), (-1, 72), (float("nan"), 72), (72, 1e300), "high", 300, (1,), None])
def test_a_resolution_that_cannot_be_is_left_out(dpi, monkeypatch, tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.png")
    load = PngImagePlugin.PngImageFile.load

    def loaded(picture):
        picture.info["dpi"] = dpi
        return load(picture)

    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load", loaded)
    assert open_photo(tmp_path / "photo.png").info == {}


@pytest.mark.parametrize("mode, colour, shown", [
    ("RGB", TEAL, TEAL), ("RGBA", (*TEAL, 90), (*TEAL, 90)), ("L", 77, (77,) * 3), ("LA", (77, 9), (77, 77, 77, 9)),
    ("1", 1, (255,) * 3), ("P", 0, (0, 0, 0)), ("I;16", 257 * 77, (77,) * 3), ("CMYK", (255, 0, 0, 0), (0, 255, 255)),
])  # fmt: skip
def test_a_photo_in_every_mode_is_rgb_or_rgba(mode, colour, shown, tmp_path):
    path = tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png")
    Image.new(mode, (5, 4), colour).save(path)
    for source in (path, str(path), path.read_bytes()):
        photo = open_photo(source, "name")
        assert photo.mode == ("RGBA" if len(shown) == 4 else "RGB")
        assert photo.getpixel((4, 3)) == shown


@pytest.mark.parametrize("form, extension", [("GIF", "gif"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")])
def test_of_several_frames_the_first_is_taken_and_it_is_told(form, extension, tmp_path):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("black", "white")]
    frames[0].save(tmp_path / f"one.{extension}", form)
    frames[0].save(tmp_path / f"two.{extension}", form, save_all=True, append_images=frames[1:])
    assert look_inside(tmp_path / f"one.{extension}") == (24, "")
    assert look_inside(tmp_path / f"two.{extension}") == (24, "has several frames or pages; the first is cut out")
    assert np.asarray(open_photo(tmp_path / f"two.{extension}").convert("L")).max() == 0


def test_the_preview_in_a_phones_jpeg_is_no_second_page(tmp_path):
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("black", "white")]
    frames[0].save(tmp_path / "photo.jpg", "MPO", save_all=True, append_images=frames[1:])
    assert look_inside(tmp_path / "photo.jpg") == (24, "")
    assert open_photo(tmp_path / "photo.jpg").getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_reads_it(tmp_path):
    Image.new("RGB", (16, 16), TEAL).save(tmp_path / "photo.avif", quality=100)
    assert np.abs(np.subtract(open_photo(tmp_path / "photo.avif").getpixel((8, 8)), TEAL)).max() <= 3


def test_heic_is_read_where_its_package_is_installed(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    pillow_heif.from_pillow(Image.new("RGB", (16, 16), TEAL)).save(tmp_path / "photo.heic", quality=100)
    assert np.abs(np.subtract(open_photo(tmp_path / "photo.heic").getpixel((8, 8)), TEAL)).max() <= 3


@pytest.mark.parametrize("read", [open_photo, look_inside])
def test_what_needs_another_package_is_named_with_it(read, tmp_path):
    (tmp_path / "photo.HEIC").write_bytes(b"ftypheic")
    with pytest.raises(ValueError, match=r"photo\.HEIC: not a readable picture .*pip install pillow-heif"):
        read(tmp_path / "photo.HEIC")


@pytest.mark.parametrize("read", [open_photo, look_inside])
def test_a_decompression_bomb_is_refused_with_the_limit(read, tmp_path):
    Image.new("L", (1, 1)).save(tmp_path / "photo.png")
    data = bytearray((tmp_path / "photo.png").read_bytes())
    data[16:24] = 2 * (100_000).to_bytes(4)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    with pytest.raises(ValueError, match=f"pipe: .*exceeds limit of {2 * Image.MAX_IMAGE_PIXELS} pixels"):
        read(bytes(data), "pipe")


@pytest.mark.filterwarnings("ignore")  # Pillow's, of the damage
@pytest.mark.parametrize("data", [b"Exif\0\0no such header", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0", b"Exif\0\0"])
def test_a_photo_with_damaged_exif_data_is_read(data, tmp_path):
    Image.fromarray(quarters()).save(tmp_path / "photo.jpg", quality=100, exif=data)
    assert np.abs(np.subtract(corners(read_photo(tmp_path / "photo.jpg")), [200, 150, 50, 100])).max() <= 3


def test_a_photo_with_odd_exif_data_is_turned(tmp_path):
    """Orientation 6 beside a width in letters, which Pillow reads, but refuses to write again."""
    tags = struct.pack("<HHI4s", 0x0100, 2, 4, b"wide") + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    data = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 2) + tags + bytes(4)
    Image.fromarray(quarters()).save(tmp_path / "photo.jpg", quality=100, exif=data)
    shown = np.rot90(quarters(), -1)
    for picture in (read_photo(tmp_path / "photo.jpg"), np.array(open_photo(tmp_path / "photo.jpg"))):
        assert picture.shape == shown.shape
        assert np.abs(np.subtract(corners(picture), corners(shown))).max() <= 3
    turned = open_picture(tmp_path / "photo.jpg")
    assert not turned.getexif()  # nobody turns it again


def test_no_program_is_started_for_a_photo_that_is_none(monkeypatch, tmp_path):
    """Pillow would hand PostScript to Ghostscript, whatever the name of the file."""
    Image.new("RGB", (4, 4)).save(tmp_path / "photo.eps")
    (tmp_path / "photo.eps").rename(tmp_path / "photo.jpg")
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: pytest.fail(f"started {words}"))
    for read in (open_photo, look_inside, open_picture, read_photo, read_grey, picture_size):
        with pytest.raises(ValueError, match=r"photo\.jpg: not a readable picture \(an EPS drawing\); save it as JPEG"):
            read(tmp_path / "photo.jpg")


def test_the_extensions_of_photos_are_those_that_can_be_read_and_those_that_another_package_reads():
    common = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}
    assert photo_extensions() > {*common, ".gif", ".jfif", ".heic", ".heif", ".avif"}
    assert not photo_extensions() & {".eps", ".ps", ".pdf", ".svg", ".mpg", ".txt", ".csv", ""}


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_plain_tiff_of_every_mode_is_turned(mode, orientation, tmp_path):
    """Pillow maps one whose channels fill its words, and took the sides of the turned picture for the file's."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(quarters()).convert(mode)
    stored.save(tmp_path / "photo.tif", exif=exif)
    turned = {1: stored, 3: stored.rotate(180), 6: stored.rotate(-90, expand=True)}[orientation]
    assert np.array_equal(read_photo(tmp_path / "photo.tif"), np.asarray(turned.convert("RGB")))


# --------------------------------------------------------------------------------------------- opacity and resolution


def bitmap(path, opacity):
    """A BMP file of 32 bits, red, as screen-capture programs write it; `opacity` is its fourth byte."""
    pixels = bytes([0, 0, 200, opacity]) * 12
    header = struct.pack("<IiiHHIIiiII", 124, 4, 3, 1, 32, 3, len(pixels), 0, 0, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs"
    start = struct.pack("<IHHI", 138 + len(pixels), 0, 0, 138)
    path.write_bytes(b"BM" + start + (header + masks).ljust(124, b"\0") + pixels)


def test_a_bmp_whose_opacity_is_0_everywhere_has_none(tmp_path):
    for opacity, shown in ((0, (200, 0, 0)), (255, (200, 0, 0, 255)), (9, (200, 0, 0, 9))):
        bitmap(tmp_path / "screen.bmp", opacity)
        assert open_photo(tmp_path / "screen.bmp").getpixel((1, 1)) == shown
        assert open_picture(tmp_path / "screen.bmp").has_transparency_data == (opacity > 0)
        assert read_photo(tmp_path / "screen.bmp")[1, 1].tolist() == [200, 0, 0]


def test_a_tiff_that_does_not_call_its_fourth_channel_opacity_is_opaque_where_it_is_0(tmp_path):
    Image.new("RGBA", (4, 3), (200, 0, 0, 0)).save(tmp_path / "said.tif")
    assert open_photo(tmp_path / "said.tif").getpixel((1, 1)) == (200, 0, 0, 0)
    data = (tmp_path / "said.tif").read_bytes()
    entry = struct.pack("<HHI", 338, 3, 1)
    assert data.count(entry) == 1
    (tmp_path / "unsaid.tif").write_bytes(data.replace(entry, struct.pack("<HHI", 339, 3, 1)))  # format of samples
    (tmp_path / "unsaid.tif").write_bytes(data.replace(entry + b"\2", struct.pack("<HHI", 339, 3, 1) + b"\1"))
    assert open_photo(tmp_path / "unsaid.tif").getpixel((1, 1)) == (200, 0, 0)


@pytest.mark.parametrize("extension", ["jpg", "png", "tif", "webp", "gif"])
def test_a_photo_that_names_no_resolution_gets_none(extension, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    options = {"exif": exif} if extension in ("jpg", "png", "webp") else {}
    Image.new("RGB", (4, 3)).save(tmp_path / f"photo.{extension}", **options)
    assert "dpi" not in open_photo(tmp_path / f"photo.{extension}").info


@pytest.mark.parametrize("tags, dpi", [
    ({0x011A: 72.0, 0x011B: 72.0, 0x0128: 2}, (72, 72)), ({0x011A: 240.0, 0x011B: 120.0}, (240, 120)),
    ({0x011A: 100.0, 0x011B: 100.0, 0x0128: 3}, (254, 254)), ({0x011A: 300.0}, (300, 300)),
    ({0x011A: 300.0, 0x0128: 1}, None), ({0x0128: 2}, None),
])  # fmt: skip
def test_the_resolution_in_a_jpegs_exif_data_is_kept(tags, dpi, tmp_path):
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    Image.new("RGB", (4, 3)).save(tmp_path / "photo.jpg", exif=exif)
    found = open_photo(tmp_path / "photo.jpg").info.get("dpi")
    assert found == (dpi and pytest.approx(dpi))


@pytest.mark.parametrize("extension", ["jpg", "png", "tif"])
def test_a_turned_photo_has_its_resolution_turned(extension, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"tiffinfo": {0x0112: 6}} if extension == "tif" else {"exif": exif}
    Image.new("RGB", (4, 3)).save(tmp_path / f"fax.{extension}", dpi=(200, 100), **options)
    photo = open_photo(tmp_path / f"fax.{extension}")
    assert photo.size == (3, 4)
    assert photo.info["dpi"] == pytest.approx((100, 200), abs=0.02)
