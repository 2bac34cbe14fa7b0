"""The colours of a picture in any mode as RGB: 16 bits scaled to 8, ICC profiles of grey and of inks applied."""

from io import BytesIO

import numpy as np
from PIL import Image

_SPACES = {"L": b"GRAY", "CMYK": b"CMYK"}


def in_8_bits(picture):
    """A grey picture of 16 bits, of whole numbers or of fractions as "L"; any other as it is.

    16 bits are scaled (Pillow alone would clip them to white), fractions are taken to run from 0 to 255; what is no number is 0.
    """
    if not (picture.mode.startswith("I") or picture.mode == "F"):
        return picture
    scale = 255 / 65535 if picture.mode.startswith("I") else 1.0
    values = np.nan_to_num(np.asarray(picture, np.float32) * scale, nan=0)
    return Image.fromarray(values.clip(0, 255).round().astype(np.uint8))


def in_colour(picture):
    """A PIL picture in any mode as RGB, or RGBA if anything in it may be transparent; and the profile of its colours.

    What comes with an ICC profile of RGB keeps its numbers, and the profile is returned. What comes with one of grey
    or CMYK is converted by it to sRGB, and None is returned, as for what has no profile of its own kind.
    """
    profile = picture.info.get("icc_profile")
    space = _space(profile or b"")
    picture = in_8_bits(picture)
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    own = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}.get(picture.mode)
    if own is None:
        shown = picture if picture.mode == mode else picture.convert(mode)
        return shown, profile if space == b"RGB " else None
    shown = _to_srgb(picture.convert(own), profile) if space == _SPACES[own] else None
    if shown is None:
        return picture.convert(mode), None
    if mode == "RGBA":
        shown.putalpha(picture.convert("RGBA").getchannel("A"))
    return shown, None


def _space(profile):
    """What the numbers of a picture with this ICC profile mean, such as b"RGB "; None if the profile is not whole."""
    whole = profile[36:40] == b"acsp" and int.from_bytes(profile[:4]) <= len(profile)
    return profile[16:20] if whole else None


def _to_srgb(picture, profile):
    """RGB of a picture by its ICC profile; None if that cannot be used."""
    from PIL import ImageCms

    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(profile))
        return ImageCms.profileToProfile(picture, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
