"""Pictures of every mode, turned and broken, with the values that must come out."""

import platform
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.photos import open_picture, picture_files, read_grey, read_photo, sample_portraits, to_rgb

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
    ("I", 65535, (255, 255, 255)), ("I", 257 * 77, (77, 77, 77)), ("I", -5, (0, 0, 0)), ("I", 10**6, (255,) * 3),
    ("F", 77.4, (77, 77, 77)), ("F", 300.0, (255, 255, 255)), ("F", -1.0, (0, 0, 0)),
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


def test_a_cmyk_file_is_not_read_as_rgba(tmp_path):
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(tmp_path / "print.jpg", quality=100)
    red, green, blue = read_photo(tmp_path / "print.jpg")[8, 8].tolist()
    assert red <= 3
    assert min(green, blue) >= 252


def test_the_result_is_a_copy():
    picture = Image.new("RGB", (5, 4), TEAL)
    to_rgb(picture)[:] = 0
    assert picture.getpixel((0, 0)) == TEAL


# ---------------------------------------------------------------------------------------------------------------- masks


def test_masks_keep_their_values_and_their_palette_indices(tmp_path):
    ids = np.arange(9, dtype=np.uint8).reshape(3, 3)
    Image.fromarray(ids).save(tmp_path / "grey.png")
    picture = Image.fromarray(ids)
    picture.putpalette(list(np.random.default_rng(0).integers(0, 256, 27)))
    picture.save(tmp_path / "palette.png")
    assert open_picture(tmp_path / "palette.png").mode == "P"
    for name in ("grey.png", "palette.png"):
        assert np.array_equal(read_grey(tmp_path / name), ids)
        assert read_grey(tmp_path / name).dtype == np.uint8


@pytest.mark.parametrize("options", [{}, {"bits": 4}, {"transparency": 3}], ids=["plain", "4 bits", "transparent"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_grey_png_masks_are_what_pillow_reads(orientation, options, tmp_path):
    ids, exif = np.random.default_rng(0).integers(0, 9, (21, 34), np.uint8), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(ids).save(tmp_path / "mask.png", exif=exif, **options)
    assert np.array_equal(read_grey(tmp_path / "mask.png"), np.array(open_picture(tmp_path / "mask.png")))


def test_gigantic_masks_are_named(tmp_path):
    Image.new("L", (1, 1)).save(tmp_path / "mask.png")
    data = bytearray((tmp_path / "mask.png").read_bytes())
    data[16:24] = 2 * (100_000).to_bytes(4)
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    (tmp_path / "mask.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"mask\.png: not a readable picture .*exceeds limit"):
        read_grey(tmp_path / "mask.png")


def test_one_bit_masks_are_0_and_255(tmp_path):
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1").save(tmp_path / "bits.png")
    assert read_grey(tmp_path / "bits.png").tolist() == [[0, 255], [255, 0]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_grey_masks_saved_in_colour_are_read(mode, tmp_path):
    grey = np.arange(0, 256, 16, np.uint8).reshape(4, 4)
    Image.fromarray(grey).convert(mode).save(tmp_path / "mask.png")
    assert np.array_equal(read_grey(tmp_path / "mask.png"), grey)


@pytest.mark.parametrize("mode, colour", [
    ("RGB", TEAL), ("RGBA", (*TEAL, 255)), ("RGBA", (9, 9, 9, 254)), ("LA", (9, 0)), ("I;16", 9),
])  # fmt: skip
def test_masks_in_colour_are_refused_by_name(mode, colour, tmp_path):
    Image.new(mode, (4, 4), colour).save(tmp_path / "mask.png")
    with pytest.raises(ValueError, match=r"mask\.png: a mask must be one 8-bit channel, found mode"):
        read_grey(tmp_path / "mask.png")


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
    with pytest.raises(ValueError, match=rf"photo\.{extension}: not a readable picture .*remove or replace"):
        read(path)


@pytest.mark.parametrize("read", [open_picture, read_photo, read_grey])
def test_missing_files_are_named(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        read(tmp_path / "nowhere.jpg")


def test_pictures_of_a_folder_are_sorted_and_others_passed_over(tmp_path):
    for name in ("b.JPG", "a.b.jpeg", "c.webp", "notes.txt", "d.png.part"):
        (tmp_path / name).touch()
    assert [path.name for path in picture_files(tmp_path)] == ["a.b.jpeg", "b.JPG", "c.webp"]


def test_a_folder_without_pictures_is_named(tmp_path):
    (tmp_path / "notes.txt").touch()
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileNotFoundError, match=f"{folder.name}: no pictures there"):
            picture_files(folder)


def test_the_sample_portraits_are_there():
    hopper, collins = (read_photo(path) for path in sample_portraits())
    assert hopper.shape[1:] == collins.shape[1:] == (512, 3)


# --------------------------------------------------------------------------------------------------------------- memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library has another way with memory")
def test_memory_of_one_photo_is_kept_for_the_next():
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "if sys.argv[1:]: import helpers.photos\n"
        "faults = []\n"
        "for _ in range(20):\n"
        "    [np.full(3 * 2**20, 7, np.uint8) for _ in range(4)]\n"
        "    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)\n"
        "print(faults[-1] - faults[9])\n"
    )
    without, kept = (
        subprocess.run([sys.executable, "-c", script, *words], cwd=Path(__file__).parents[1], check=True,
                       capture_output=True, text=True).stdout for words in ([], ["import it"])
    )  # fmt: skip
    assert int(kept) < 100 < int(without)
