"""Reading pictures as they really are: turned by EXIF, grey, palette, 16-bit, CMYK, transparent, broken."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from helpers.files.bit_depth import check_upper_bits, has_16_bits, in_8_bits
from helpers.files.claimed_size import check_claimed_size
from helpers.files.colour_profiles import in_colour
from helpers.files.grey import grey_values
from helpers.files.headers import ORIENTATION, colours_of, embedded_profile, jpeg_resolution, orientation_of
from helpers.files.kinds import first_bytes, kind_of_picture
from helpers.files.png import has_late_exif, read_colour_chunks, spread_of, transparent_colour
from helpers.files.tiff import RAW, RAW_REASON, numbers_of, opacity_is_named, resolution_of, seek_photo

REDUCTIONS = (1, 2, 4, 8)  # what libjpeg can divide a picture's sides by while it decodes

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "HEIF", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM")
"""Pillow's names of the photo formats. Some other formats start programs: EPS starts Ghostscript."""

READ_BY = {".heic": "pillow-heif", ".heif": "pillow-heif", ".avif": "'pillow>=11.3'"}
"""Extensions of photos that not every installation reads, and the package to install for them."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF's orientation
_STATING = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # where a picture states its orientation

Source: TypeAlias = "Path | str | bytes"
"""A file's path, or its contents."""


def open_picture(path: Path | str) -> Image.Image:
    """The picture in a file as it is shown: decoded completely, and turned by its EXIF orientation.

    Its `info["spread"]`, if there, is what Pillow multiplied the greys of a PNG with (`helpers.files.png.spread_of`).
    Raises FileNotFoundError for a missing file, and ValueError with the name of an unreadable file.
    """
    return _open(path)[0]


def open_photo(source: Source, name: Path | str | None = None) -> Image.Image:
    """The photo in a file, or in the `bytes` of one: an RGB or RGBA `PIL.Image` as it is shown, first frame only.

    Its `info` holds what its cutout should keep and nothing else: what its numbers mean, `icc_profile` and
    `colour_chunks` (see `helpers.files.colour_profiles`), and `dpi` where the file names a resolution. The formats are
    those of `FORMATS` that this installation reads; HEIC needs the package pillow-heif. Errors as in `open_picture`,
    with `name` or the path. A photo of more pixels than twice `PIL.Image.MAX_IMAGE_PIXELS` is such an error.
    """
    name = name or ("the photo" if isinstance(source, bytes) else source)
    picture = _open(_stream(source), name=name)[0]
    dpi = _resolution(picture.info.get("dpi"))
    with _readable(name):
        shown, meaning = in_colour(picture)
    shown.info = dict[Any, Any](meaning | ({"dpi": dpi} if dpi else {}))
    return shown


def look_inside(source: Source, name: Path | str | None = None) -> tuple[int, str]:
    """The number of pixels of the photo in a file (or in `bytes`), and a note on which frame or page it is.

    The note is "" for a file that holds one photo only. No pixels are decoded. Errors as in
    `open_photo`.
    """
    with _readable(name or source, source), Image.open(_stream(source), formats=_formats()) as picture:
        # In an MPO file, the preview, the depth or the second view follows the photo. It is not another page.
        several = picture.format != "MPO" and getattr(picture, "is_animated", False)
        page = seek_photo(picture) if isinstance(picture, TiffImageFile) else 0
        if page:
            note = f"has a preview or mask as its first page; page {page + 1} is cut out"
        else:
            note = "has several frames or pages; the first is cut out" if several else ""
        return picture.width * picture.height, note


@cache
def photo_extensions() -> frozenset[str]:
    """The extensions, in lower case, of files that are photos: those that `open_photo` reads, and `READ_BY`."""
    _formats()  # registers them
    registered = Image.registered_extensions().items()
    return frozenset(extension for extension, form in registered if form in FORMATS).union(READ_BY)


@cache
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this installation can open."""
    if find_spec("pillow_heif"):
        from pillow_heif import register_heif_opener

        register_heif_opener()
    Image.init()
    return tuple(form for form in FORMATS if form in Image.OPEN)


def _stream(source):
    return BytesIO(source) if isinstance(source, bytes) else source


def _resolution(dpi: object) -> tuple[float, float] | None:
    """The (x, y) dots per inch of a picture as floats; None if the value is no resolution."""
    try:
        x, y = map(float, dpi)  # type: ignore[call-overload]  # the value may be of any type
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 0 < x < 1e6 and 0 < y < 1e6 else None


@contextmanager
def _readable(name: Any, source: Any = None) -> Iterator[None]:
    """Errors in the block become a ValueError with file, reason and remedy. That of a missing file stays."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # a decoder may raise anything on a broken file
        suffix = Path(str(name)).suffix.lower()
        package = READ_BY.get(suffix)
        to_do = f"pip install {package}, or replace the file" if package else "remove or replace the file"
        reason = str(error)
        if isinstance(error, PermissionError):
            reason, to_do = "not allowed to read it", "allow it"
        elif suffix in RAW:
            reason = RAW_REASON
        elif isinstance(error, UnidentifiedImageError):
            kind = kind_of_picture(first_bytes(name if source is None else source), _formats())
            reason, to_do = kind or ("no format known here", to_do)
        raise ValueError(f"{name}: not a readable picture ({reason}); {to_do}") from error


def _open(source, least=None, name=None):
    """The picture as it is shown, and its full (height, width); a JPEG is decoded smaller as in `read_reduced`."""
    with _readable(name or source, source), Image.open(source, formats=_formats()) as picture:
        picture.filename = ""  # else Pillow maps a plain TIFF into memory with the sides that it has after turning
        stated = {}
        if isinstance(picture, TiffImageFile):
            seek_photo(picture)
            stated = numbers_of(picture) | {"dpi": resolution_of(picture)}
        elif picture.format == "PNG":
            stated = {"colour_chunks": read_colour_chunks(picture.fp), "spread": spread_of(picture)}
            stated |= transparent_colour(picture)
        elif picture.format in ("JPEG2000", "BMP"):
            stated = embedded_profile(picture)
        elif picture.format in ("JPEG", "MPO", "AVIF", "HEIF"):
            stated = colours_of(picture)
        size, is_deep = picture.size, has_16_bits(picture)
        if least and picture.format in ("JPEG", "MPO"):
            scale = _reduction(size, least, orientation_of(picture))
            picture.draft(None, (size[0] // scale, size[1] // scale))
        check_claimed_size(picture)
        picture.load()
        if is_deep:
            check_upper_bits(picture)
        orientation = orientation_of(picture)  # now: a TIFF was turned while it was read
        if picture.format in ("JPEG", "MPO"):
            stated["dpi"] = jpeg_resolution(picture)
        if "dpi" in stated:  # instead of Pillow's default
            picture.info.pop("dpi", None)
        picture.info |= {key: value for key, value in stated.items() if value}
        form = picture.format
        if _is_opaque(picture):
            picture = picture.convert("RGB")
            picture.format = form
        if orientation not in _TURNS:
            return picture, size[::-1]
        # Not ImageOps.exif_transpose, which writes all EXIF data anew and fails if any of it is odd.
        turned = picture.transpose(_TURNS[orientation])
        turned.format = form
        turned.info = {key: value for key, value in picture.info.items() if key not in _STATING}
        if orientation not in range(5, 9):
            return turned, size[::-1]
        with suppress(TypeError, KeyError):  # a resolution of another form is left out later
            turned.info["dpi"] = turned.info["dpi"][::-1]  # width and height were swapped
        return turned, size


def _is_opaque(picture):
    """Whether the fourth channel is not opacity. Some programs for screen captures and scanners fill it with 0."""
    unsaid = picture.format == "BMP" or picture.format == "TIFF" and not opacity_is_named(picture)
    return unsaid and picture.mode == "RGBA" and picture.getchannel("A").getextrema()[1] == 0


def _reduction(size, least, orientation):
    """The largest of `REDUCTIONS` that leaves `least` pixels of the shorter side.

    The decoder rounds sizes up at the right and the lower edge. Turning would move these edges, so a picture that will
    be turned is reduced only by numbers that divide its sides.
    """

    def fits(scale):
        return min(size) // scale >= least and (orientation == 1 or not (size[0] % scale or size[1] % scale))

    return max(filter(fits, REDUCTIONS), default=1)


def to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    """RGB of a PIL picture in any mode, as (H, W, 3) uint8. Transparency is dropped, not painted black.

    16-bit grey is scaled to 8 bits (Pillow alone would clip them to white).
    """
    picture = in_8_bits(picture)
    if picture.mode == "P":
        picture = picture.convert("RGBA" if "transparency" in picture.info else "RGB")
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))  # convert would copy


def read_photo(path: Path | str) -> NDArray[np.uint8]:
    """A photo file as (H, W, 3) uint8 RGB; errors as in `open_picture`."""
    return _rgb(path, open_picture(path))


def _rgb(path, picture):
    with _readable(path):
        return to_rgb(picture)


def read_reduced(path: Path | str, least: int | None = None) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A photo file as (h, w, 3) uint8 RGB, and the (height, width) of the whole photo; errors as in `open_picture`.

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size if its shorter side still has at least `least` pixels then. This
    saves most of the work. Other files are decoded at full size, and so are all files without `least`.
    """
    picture, size = _open(path, least)
    return _rgb(path, picture), size


def picture_size(path: Path | str) -> tuple[int, int]:
    """(height, width) of a picture file as it is shown, by its header if that tells; errors as in `open_picture`."""
    with _readable(path), Image.open(path, formats=_formats()) as picture:
        if picture.format == "TIFF" or picture.format == "PNG" and has_late_exif(picture):
            return _open(path)[1]  # Pillow turns a TIFF while it reads it, and finds late EXIF data behind the pixels
        # Not PNG's own method, which decodes every picture to look for EXIF data behind it.
        turned = Image.Image.getexif(picture).get(ORIENTATION, 1) in range(5, 9)
        return picture.size if turned else picture.size[::-1]


def read_grey(path: Path | str) -> NDArray[np.uint8]:
    """A mask, trimap or annotation file as (H, W) uint8. Errors as in `open_picture` and in `grey_values`."""
    return grey_values(open_picture(path), path)


def sample_portraits() -> list[Path]:
    """Paths of two portraits in the public domain: Grace Hopper by matplotlib, Eileen Collins by scikit-image."""
    import matplotlib
    import skimage

    return [
        Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
        Path(skimage.__file__).parent / "data" / "astronaut.png",
    ]
