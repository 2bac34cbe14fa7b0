"""What the headers of JPEG, JPEG 2000, AVIF, HEIC and BMP files say: how a photo is turned, resolution, colours."""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import IO, Any

from PIL import Image
from PIL.ImageFile import ImageFile

from helpers.files.colour_profiles import profile_of
from helpers.files.reading import reading_from

ORIENTATION, _RESOLUTIONS, _RESOLUTION_UNIT, _INTEROPERABILITY = 0x0112, (0x011A, 0x011B), 0x0128, 0xA005  # EXIF tags

_ADOBE_RGB = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06), (563 / 256,)
"""Adobe RGB (1998): x and y of white, red, green and blue; and the exponent of its curve."""

_UNSPECIFIED, _SRGB = 2, (1, 13)  # numbers of ITU-T H.273: in either place; primaries and curve


def orientation_of(picture: Image.Image) -> int:
    """The EXIF orientation, from 1, as it is, to 8; 1 if EXIF data are missing or damaged."""
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow may raise anything on broken data; the photo is usable without them
        return 1


def jpeg_resolution(picture: Image.Image) -> tuple[float, float] | None:
    """The (x, y) dots per inch in a JPEG's header or EXIF data; None if neither names one (Pillow: 72)."""
    if picture.info.get("jfif_unit") in (1, 2):
        return picture.info.get("dpi")
    try:
        exif = picture.getexif()
        scale = {2: 1, 3: 2.54}[exif.get(_RESOLUTION_UNIT, 2)]
        across, down = (float(exif.get(tag, exif[_RESOLUTIONS[0]])) * scale for tag in _RESOLUTIONS)
        return across, down
    except Exception:  # damaged data, as in `orientation_of`
        return None


def colours_of(picture: ImageFile) -> dict[str, Any]:
    """What an open JPEG, AVIF or HEIC file without an ICC profile says of its colours, for its `info`; {} for sRGB.

    Cameras name Adobe RGB in EXIF data alone ("R03", DCF 2.0, section 3.3). AVIF and HEIC name colours by numbers
    (ITU-T H.273), as the chunk cICP of a PNG does.
    """
    if picture.info.get("icc_profile"):
        return {}
    if picture.format in ("AVIF", "HEIF"):
        numbers = _numbers(picture)
        is_srgb = _UNSPECIFIED in numbers or numbers == _SRGB
        return {} if is_srgb else {"colour_chunks": {b"cICP": bytes([*numbers, 0, 1])}}
    try:
        is_adobe_rgb = picture.getexif().get_ifd(_INTEROPERABILITY).get(1) == "R03"
    except Exception:  # as in `orientation_of`
        return {}
    return {"icc_profile": profile_of(*_ADOBE_RGB)} if is_adobe_rgb else {}


def embedded_profile(picture: ImageFile) -> dict[str, bytes]:
    """{"icc_profile": …} of an open JPEG 2000 or BMP file, for its `info`; {} without one. Pillow reads neither."""
    with reading_from(picture.fp, 0) as file:
        profile = _bmp_profile(file) if picture.format == "BMP" else _jp2_profile(file)
    return {"icc_profile": profile} if profile else {}


def _jp2_profile(file: IO[bytes]) -> bytes:
    """The profile in the box colr, of method 2 or 3, of a JP2 file (ISO 15444-1, I.5.3.3, and 15444-2); b"" without."""
    described = next((data for kind, data in _boxes(file) if kind == b"jp2h"), b"")
    colours = (data for kind, data in _boxes(BytesIO(described)) if kind == b"colr")
    return next((data[3:] for data in colours if data[:1] in (b"\2", b"\3")), b"")


def _boxes(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The kind and data of each box of an ISO file; the data of a box of more than `_LONGEST` bytes are left out."""
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if length < 8:  # up to the end of the file, or longer than 4 GiB
            return
        data = file.read(length - 8) if length <= _LONGEST else b""
        file.seek(length - 8 - len(data), 1)
        yield kind, data


def _bmp_profile(file: IO[bytes]) -> bytes:
    """The profile of a BMP file with a BITMAPV5HEADER that says PROFILE_EMBEDDED ("MBED"); b"" without."""
    head = file.read(14 + 124)
    if len(head) < 138 or head[14:18] != struct.pack("<I", 124) or head[70:74] != b"DEBM":
        return b""
    offset, length = struct.unpack("<II", head[126:134])
    file.seek(14 + offset)
    return file.read(length) if length <= _LONGEST else b""


_LONGEST = 2**24  # bytes of a profile, or of the box around it


def _numbers(picture: ImageFile) -> tuple[int, int]:
    """The numbers of primaries and curve in an AVIF or HEIC file (ISO 23008-12, box `colr`); sRGB's if it has none."""
    named: dict[str, Any] | None = picture.info.get("nclx_profile")  # of pillow-heif
    if named:
        return int(named["color_primaries"]), int(named["transfer_characteristics"])
    if picture.format != "AVIF" or picture.fp is None:
        return _SRGB
    with reading_from(picture.fp, 0) as file:
        numbers = file.read(_HEAD).partition(b"colrnclx")[2][:4]
    primaries, curve = struct.unpack(">HH", numbers) if len(numbers) == 4 else _SRGB
    return (primaries, curve) if max(primaries, curve) < 256 else _SRGB


_HEAD = 2**16  # bytes at the beginning of an AVIF file, which hold the description of its picture
