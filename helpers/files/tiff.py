"""TIFF files of cameras and scanners: which directory is the photo, and what its numbers mean."""

from typing import Any

from PIL.TiffImagePlugin import TiffImageFile

from helpers.files.reading import reading_from

RAW = frozenset((
    ".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dcr", ".dng", ".erf", ".fff", ".gpr", ".iiq", ".k25", ".kdc", ".mef",
    ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef", ".ptx", ".raf", ".raw", ".rw2", ".rwl", ".sr2", ".srf", ".srw",
    ".x3f",
))  # fmt: skip
"""Extensions of cameras' raw files, in lower case."""

RAW_REASON = (
    "a camera's raw file, which is not read here; develop it with a raw converter, such as darktable, and use the "
    "resulting TIFF or JPEG"
)

_SUBFILE, _OLD_SUBFILE, _BITS, _PHOTOMETRIC = 254, 255, 258, 262  # TIFF 6.0, section 8
_ORIENTATION, _RESOLUTION = 274, 282
_COMPRESSION, _MOST, _PLANES = 259, 281, 284
_SUB_DIRECTORIES, _EXTRA_SAMPLES, _SAMPLE_FORMAT, _DNG_VERSION = 330, 338, 339, 50706
_REDUCED_OR_MASK = 0b101  # bits of NewSubfileType; bit 1 is "a page of several", as any photo may be

PAGES = 64
"""The number of pages in which the photo is searched."""


def is_raw(picture: TiffImageFile) -> bool:
    """Whether an open TIFF file is a camera's raw file: a DNG, or Canon's CR2, whose first directory is a preview."""
    with reading_from(picture.fp, 8) as file:
        mark = file.read(2)
    return mark == b"CR" or _DNG_VERSION in picture.tag_v2


def seek_photo(picture: TiffImageFile) -> int:
    """Turn an open TIFF file to the page that is the photo, and return the page's index.

    The photo is the first page that is not marked as a reduced preview or a mask. If a later page has the same shape
    and at least twice the width and height, that page is the photo. Raises ValueError if no page is the photo: some
    programs put it into a sub-directory (TIFF Technical Note 1), which is not read here.
    """
    if is_raw(picture):
        raise ValueError(RAW_REASON)
    found, page = None, -1
    for page in range(min(picture.n_frames, PAGES)):
        picture.seek(page)
        tags = picture.tag_v2
        if tags.get(_SUBFILE, 0) & _REDUCED_OR_MASK or tags.get(_OLD_SUBFILE) == 2:
            continue
        if found is None or _is_preview(found[1], picture.size):
            found = page, picture.size
    if found is None:
        picture.seek(0)
        lies = ", the photo lies in a sub-directory" if _SUB_DIRECTORIES in picture.tag_v2 else ""
        width, height = picture.size
        raise ValueError(f"only a preview or mask of {width} × {height} pixels can be read{lies}; save the photo "
                         "itself as TIFF or JPEG")  # fmt: skip
    if found[0] != page:
        picture.seek(found[0])
    return found[0]


def _is_preview(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether a picture of one (width, height) may be the preview of another: the same shape, at most half as large."""
    (width, height), (wide, high) = size, other
    return 2 * width <= wide and 2 * height <= high and abs(width * high - wide * height) <= max(wide, high)


def numbers_of(picture: TiffImageFile) -> dict[str, Any]:
    """What the current page says of its numbers, as `helpers.files.bit_depth.in_8_bits` looks for it in `info`.

    `white` is the number of white, if the file names 12 bits, or names its largest number and that is 2ⁿ - 1.
    `negative` is True if 0 is white and Pillow leaves it so. Raises ValueError for numbers that Pillow would take for
    others, or whose white is not known: signed ones of 8 or 16 bits, and uncompressed ones of 16 bits with a plane for
    each colour.
    """
    tags, stated = picture.tag_v2, {}
    most, bits = _first(tags.get(_MOST)), _first(tags.get(_BITS))
    if bits in (8, 16) and _first(tags.get(_SAMPLE_FORMAT)) == 2:
        raise ValueError("its numbers are signed; save it in 8 or 16 bits without sign")
    if bits == 16 and tags.get(_PLANES) == 2 and tags.get(_COMPRESSION, 1) == 1:
        raise ValueError("each colour has its own plane of 16 bits; save it with interleaved channels, or compressed")
    if isinstance(most, int) and most > 255 and not most & (most + 1):
        stated["white"] = most
    elif bits == 12:
        stated["white"] = 4095
    if tags.get(_PHOTOMETRIC) == 0 and picture.mode.startswith(("I", "F")):
        stated["negative"] = True
    return stated


def resolution_of(picture: TiffImageFile) -> tuple[float, float] | None:
    """The (x, y) dots per inch of the current page as it is shown; None where the file names none."""
    if _RESOLUTION not in picture.tag_v2 or "dpi" not in picture.info:
        return None
    across, down = picture.info["dpi"]
    return (down, across) if picture.tag_v2.get(_ORIENTATION) in (5, 6, 7, 8) else (across, down)


def opacity_is_named(picture: TiffImageFile) -> bool:
    """Whether the file declares its fourth channel as opacity."""
    return _EXTRA_SAMPLES in picture.tag_v2


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) and value else value
