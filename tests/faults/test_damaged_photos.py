"""A thousand damaged files go through the command: none stops it, hangs it, or leaves anything that is not whole."""

import re
import zlib
from io import BytesIO

import numpy as np
import pytest
from fake_matter import LeftHalf
from PIL import Image, ImageCms

from helpers.cutout.__main__ import main
from helpers.files.photos import open_picture

COUNT = 1000

JPEG_SIZES = b"\xff\xc0", b"\xff\xc2"  # the markers behind which a JPEG tells its size


def whole_files():
    """[(extension, bytes)] of small pictures as they are met: in several modes, with profile, EXIF and frames."""
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 4), np.uint8)
    picture = Image.fromarray(pixels).resize((41, 52), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    more = {"exif": exif, "icc_profile": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()}
    grey = Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257)
    files = [
        ("jpg", picture.convert("RGB"), {"dpi": (300, 300), **more}), ("jpg", picture.convert("L"), {"quality": 95}),
        ("jpg", picture.convert("RGB"), {"progressive": True}), ("jpg", picture.convert("CMYK"), {}),
        ("png", picture, {"dpi": (300, 300), **more}), ("png", picture.convert("RGB").quantize(9), {"transparency": 3}),
        ("png", grey, {}), ("png", picture.convert("1"), {}),
        ("png", picture, {"save_all": True, "append_images": [picture.rotate(90)]}),
        ("webp", picture, more), ("webp", picture.convert("RGB"), {}), ("webp", picture, {"lossless": True}),
        ("webp", picture, {"save_all": True, "append_images": [picture.rotate(90)]}),
    ]  # fmt: skip
    for extension, shown, options in files:
        stream = BytesIO()
        shown.save(stream, {"jpg": "JPEG"}.get(extension, extension), **options)
        yield extension, stream.getvalue()


def flipped(data, numbers):
    """A few bytes anywhere, or one in the head, are others."""
    reach = numbers.choice([len(data), 64])
    for place in numbers.integers(0, min(reach, len(data)), numbers.integers(1, 9)):
        data[place] = numbers.integers(0, 256)
    return data


def cut_off(data, numbers):
    return data[: numbers.integers(0, len(data))]


def lied_about(data, numbers):
    """The head tells another size, and in a PNG other kinds of pixels too, with a checksum that fits."""
    size = [int(2 ** numbers.uniform(0, 16)) for _ in range(2)]
    if data.startswith(b"\x89PNG"):
        data[16:24] = b"".join(side.to_bytes(4) for side in size)
        if numbers.random() < 0.5:
            data[24:29] = bytes(numbers.choice([0, 1, 2, 3, 4, 6, 8, 16], 5).tolist())
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    elif data.startswith(b"RIFF"):
        place = {b"VP8X": 24, b"VP8 ": 26, b"VP8L": 21}[bytes(data[12:16])]
        data[place : place + 4] = bytes(numbers.integers(0, [256, 16, 256, 16]).tolist())
    else:
        place = max(data.find(marker) for marker in JPEG_SIZES) + 5
        data[place : place + 4] = b"".join(side.to_bytes(2) for side in size)
    return data


@pytest.mark.parametrize("options", [[], ["--mask-only"]], ids=["cutouts", "masks"])
def test_a_thousand_damaged_photos(options, tmp_path, monkeypatch, capsys, survived):
    numbers, whole = np.random.default_rng(len(options)), list(whole_files())
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(COUNT // 2):
        extension, data = whole[number % len(whole)]
        damage = (flipped, cut_off, lied_about)[number % 3]
        (photos / f"{number:03d}-{damage.__name__}.{extension}").write_bytes(damage(bytearray(data), numbers))
    before = {path: path.read_bytes() for path in photos.iterdir()}
    monkeypatch.setattr("helpers.cutout.load_matter", lambda weights, size: LeftHalf())

    assert main([str(photos), "-o", str(out), "--jobs", "3", *options]) == 1
    printed = capsys.readouterr()
    skipped = re.findall(rf"skipped: {re.escape(str(photos))}/(\S+?)\.\w+: ", printed.err)
    written = sorted(path.stem for path in out.rglob("*"))
    assert sorted(skipped + written) == sorted(path.stem for path in before)
    assert printed.out.startswith(f"{len(written)} done, {len(skipped)} skipped")
    assert min(len(written), len(skipped)) > COUNT // 20  # both are tried
    for path in out.iterdir():
        assert open_picture(path).mode == ("L" if options else "RGBA")
    assert {path: path.read_bytes() for path in photos.iterdir()} == before
    survived(
        f"damaged photos, {'masks' if options else 'cutouts'} by the command",
        len(before),
        f"{len(written)} done, {len(skipped)} skipped by name; none stopped it or left a file that is not whole",
    )
