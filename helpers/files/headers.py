"""What the headers of JPEG, AVIF and HEIC files say of a photo: how it is turned, its resolution, and its colours."""

import struct
from typing import Any

from PIL import Image
from PIL.ImageFile import ImageFile

from helpers.files.colour_profiles import profile_of

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


def _numbers(picture: ImageFile) -> tuple[int, int]:
    """The numbers of primaries and curve in an AVIF or HEIC file (ISO 23008-12, box `colr`); sRGB's if it has none."""
    named: dict[str, Any] | None = picture.info.get("nclx_profile")  # of pillow-heif
    if named:
        return int(named["color_primaries"]), int(named["transfer_characteristics"])
    if picture.format != "AVIF" or picture.fp is None:
        return _SRGB
    place = picture.fp.tell()
    picture.fp.seek(0)
    numbers = picture.fp.read(_HEAD).partition(b"colrnclx")[2][:4]
    picture.fp.seek(place)
    primaries, curve = struct.unpack(">HH", numbers) if len(numbers) == 4 else _SRGB
    return (primaries, curve) if max(primaries, curve) < 256 else _SRGB


_HEAD = 2**16  # bytes at the beginning of an AVIF file, which hold the description of its picture
