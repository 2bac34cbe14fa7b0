"""Reading pictures as they really are: turned by EXIF, grey, palette, 16-bit, CMYK, transparent, broken."""

from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from io import SEEK_END, BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.files.colour_profiles import in_8_bits, in_colour

ORIENTATION = 0x0112  # the EXIF tag
REDUCTIONS = (1, 2, 4, 8)  # what libjpeg can divide a picture's sides by while it decodes

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM")
"""Pillow's names of the formats that photos come in. Others it knows may start programs, as EPS does Ghostscript."""

READ_BY = {".heic": "pillow-heif", ".heif": "pillow-heif", ".avif": "'pillow>=11.3'"}
"""Extensions of photos that not every installation reads, and what to install for it."""


def open_picture(path):
    """The picture in a file as it is shown: decoded completely and turned by its EXIF orientation.

    Raises FileNotFoundError for a missing file and ValueError that names an unreadable one.
    """
    return _open(path)[0]


def open_photo(source, name=None):
    """The photo in a file, or in the `bytes` of one: an RGB or RGBA `PIL.Image` as it is shown, first frame only.

    Its `info` holds what its cutout should keep and nothing else: `icc_profile`, one of RGB (see
    `helpers.files.colour_profiles.in_colour`), and `dpi`. Formats are those of `FORMATS` that are read here, HEIC with the package
    pillow-heif. Errors as in `open_picture`, by `name` or the path; one of them is that the photo has more pixels than
    Pillow's limit, twice `PIL.Image.MAX_IMAGE_PIXELS`.
    """
    name = name or source
    picture = _open(_stream(source), formats=_formats(), name=name)[0]
    dpi = _resolution(picture.info.get("dpi"))
    with _readable(name):
        shown, profile = in_colour(picture)
    shown.info = {key: value for key, value in (("icc_profile", profile), ("dpi", dpi)) if value}
    return shown


def look_inside(source, name=None):
    """How many pixels the photo in a file (or in `bytes`) has, and whether other frames or pages follow; not decoded.

    Errors as in `open_photo`.
    """
    with _readable(name or source), Image.open(_stream(source), formats=_formats()) as picture:
        # What follows the photo in an MPO file is its preview, its depth or the other eye's: no further page.
        several = picture.format != "MPO" and getattr(picture, "is_animated", False)
        return picture.width * picture.height, several


@cache
def photo_extensions():
    """The extensions, in lower case, that tell a photo in a folder: all that `open_photo` reads, and `READ_BY`."""
    _formats()  # registers them
    registered = Image.registered_extensions().items()
    return frozenset(extension for extension, form in registered if form in FORMATS).union(READ_BY)


@cache
def _formats():
    """Those of `FORMATS` that can be opened here."""
    if find_spec("pillow_heif"):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    return tuple(form for form in FORMATS if form in Image.OPEN)


def _stream(source):
    return BytesIO(source) if isinstance(source, bytes) else source


def _resolution(dpi):
    """The (x, y) dots per inch of a picture as floats; None for what no file can mean, or tell."""
    try:
        x, y = map(float, dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


@contextmanager
def _readable(name):
    """Every error in the block but a missing file becomes a ValueError that names the file and the way out."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # a decoder may raise anything on a broken file
        reason = "no format known here" if isinstance(error, UnidentifiedImageError) else error
        package = READ_BY.get(Path(str(name)).suffix.lower())
        remedy = f"pip install {package}, or replace" if package else "remove or replace"
        raise ValueError(f"{name}: not a readable picture ({reason}); {remedy} the file") from error


def _open(source, least=None, formats=None, name=None):
    """The picture as it is shown, and its full (height, width); a JPEG decoded smaller as `read_reduced` tells."""
    with _readable(name or source), Image.open(source, formats=formats) as picture:
        picture.filename = ""  # else Pillow maps a plain TIFF into memory by the sides it will have once it is turned
        size = picture.size
        if least and picture.format in ("JPEG", "MPO"):
            scale = _reduction(size, least, _orientation(picture))
            picture.draft(None, (size[0] // scale, size[1] // scale))
        check_claim(picture)
        picture.load()
        orientation = _orientation(picture)  # now: a TIFF was turned while it was read
        if orientation == 1:  # exif_transpose would copy the picture
            return picture, size[::-1]
        quarter_turn = orientation in range(5, 9)  # the sides change places
        return ImageOps.exif_transpose(picture), size if quarter_turn else size[::-1]


def _orientation(picture):
    """The EXIF orientation, from 1, as it is, to 8; 1 if EXIF data are missing or damaged."""
    try:
        return picture.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises anything on broken data; the photo is fine without them
        return 1


def _reduction(size, least, orientation):
    """The largest of `REDUCTIONS` that leaves `least` pixels of the shorter side.

    The decoder rounds sizes up at the right and the lower edge, which a turn would move elsewhere: a picture that is to
    be turned is reduced by what divides its sides.
    """

    def fits(scale):
        return min(size) // scale >= least and (orientation == 1 or not (size[0] % scale or size[1] % scale))

    return max(filter(fits, REDUCTIONS), default=1)


def to_rgb(picture):
    """RGB of a PIL picture in any mode, as (H, W, 3) uint8. Transparency is dropped, not painted black.

    16-bit grey is scaled to 8 bits (Pillow alone would clip it to white).
    """
    picture = in_8_bits(picture)
    if picture.mode == "P":
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))  # convert would copy


def read_photo(path):
    """A photo file as (H, W, 3) uint8 RGB; errors as in `open_picture`."""
    return to_rgb(open_picture(path))


def read_reduced(path, least=None):
    """A photo file as (h, w, 3) uint8 RGB, and the (height, width) of the whole photo; errors as in `open_picture`.

    A JPEG comes at 1/2, 1/4 or 1/8 of its size if its shorter side still has at least `least` pixels then: its decoder
    leaves out that much work. Other files, and all of them without `least`, come whole.
    """
    picture, size = _open(path, least)
    return to_rgb(picture), size


def picture_size(path):
    """(height, width) of a picture file as it is shown, from its header alone; errors as in `open_picture`."""
    with _readable(path), Image.open(path) as picture:
        if picture.format == "TIFF":
            return _open(path)[1]  # Pillow turns these itself while it reads them
        # Not PNG's own method, which decodes the whole picture to look for EXIF data behind it.
        turned = Image.Image.getexif(picture).get(ORIENTATION, 1) in range(5, 9)
        return picture.size if turned else picture.size[::-1]


def read_grey(path):
    """A mask or annotation file as (H, W) uint8: its pixel values, palette indices included.

    Raises ValueError that names the file if it is unreadable or holds colours.
    """
    picture = open_picture(path)
    if picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode in ("RGB", "LA", "RGBA") and _is_grey(picture):
        picture = picture.getchannel(0)
    if picture.mode not in ("L", "P"):
        raise ValueError(f"{path}: a mask must be one 8-bit channel, found mode {picture.mode}; save it as grey PNG")
    return np.array(picture)


def _is_grey(picture):
    """Whether the colour channels of a picture are the same and nothing in it is transparent."""
    *colours, last = picture.split()
    if picture.mode.endswith("A") and last.getextrema() != (255, 255):
        return False
    colours += [last] * (not picture.mode.endswith("A"))
    return all(np.array_equal(colours[0], other) for other in colours[1:])


def sample_portraits():
    """Paths of two portraits in the public domain: Grace Hopper by matplotlib, Eileen Collins by scikit-image."""
    import matplotlib
    import skimage

    return [
        Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
        Path(skimage.__file__).parent / "data" / "astronaut.png",
    ]


MOST = 8 * 64
"""Pixels of a JPEG for each byte of its file: every block of 8 × 8 takes a bit at least."""

DEFLATE = 1032
"""Deflate makes nothing smaller than so many times (zlib's documentation, "Maximum Compression Factor")."""


def check_claim(picture):
    """Raise ValueError for an open PNG or JPEG with a head that claims more than the file's bytes can hold.

    Pillow would make up the rest, in up to a gigabyte of memory. Decoders of other formats check by themselves.
    """
    if picture.format not in ("PNG", "JPEG", "MPO"):
        return
    file, (width, height) = picture.fp, picture.size
    here, most = file.tell(), MOST
    if picture.format == "PNG":
        file.seek(24)
        depth, colours = file.read(2)
        most = DEFLATE * 8 / (depth * {2: 3, 4: 2, 6: 4}.get(colours, 1))  # channels; 1 if grey or a palette
    size = file.seek(0, SEEK_END)
    file.seek(here)
    if width * height > most * size:
        raise ValueError(f"{width} × {height} pixels are more than its {size} bytes can hold")
