"""Masks of every mode, turned, damaged or in colour, with the values that must come out."""

import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from support import ROOT

from helpers.files.photos import open_picture, read_grey, read_photo

TEAL = (10, 120, 130)


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


def test_a_palette_of_greys_is_read_as_it_is_shown(tmp_path):
    """Such as an indexed trimap, in which white comes first."""
    picture = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8))
    picture.putpalette([255, 255, 255, 128, 129, 128, 0, 0, 0, 200, 0, 0])  # the red is not used
    picture.save(tmp_path / "trimap.png")
    assert read_grey(tmp_path / "trimap.png").tolist() == [[255, 129], [0, 129]]


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
    with pytest.raises(ValueError, match=r"mask\.png: a mask must be one channel of 8 bits, found mode"):
        read_grey(tmp_path / "mask.png")


def test_a_mask_whose_exif_data_are_damaged_is_refused_like_its_photo(tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "camera", 6
    path = tmp_path / "mask.png"
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(path, exif=exif)
    assert read_grey(path).shape == (4, 3)
    path.write_bytes(path.read_bytes().replace(b"camera", b"caMera"))
    for read in (read_photo, read_grey):
        with pytest.raises(ValueError, match=r"mask\.png: not a readable picture"):
            read(path)


def test_a_mask_is_turned_by_xmp_like_its_photo(tmp_path):
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "mask.png", pnginfo=notes)
    assert np.array_equal(read_grey(tmp_path / "mask.png"), read_photo(tmp_path / "mask.png")[..., 0])


MEMORY = """
import resource, sys
from helpers.files.photos import read_grey
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read_grey(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts memory in Linux's KiB")
def test_a_mask_of_a_few_bytes_that_tells_of_a_gigabyte_takes_no_memory(tmp_path):
    """As fuzzing found it: OpenCV would take the gigabyte first."""
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "mask.png")
    whole = (tmp_path / "mask.png").read_bytes()
    place = whole.index(b"IDAT") - 4
    (tmp_path / "mask.png").write_bytes(whole[:place] + (10**9).to_bytes(4) + whole[place + 4 :])
    command = [sys.executable, "-c", MEMORY, tmp_path / "mask.png"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100_000  # KiB
