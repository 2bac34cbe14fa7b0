"""Reading pictures as they really are: turned by EXIF, grey, palette, 16-bit, CMYK, transparent, broken."""

from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

# The C library of Linux hands large blocks back to the system as soon as they are free, so that every photo pays again
# for all pages of its memory: up to half of the time to read it. It keeps those that are smaller than the largest one,
# up to 32 MiB, that was ever freed.
np.empty(31 * 2**20, np.uint8)

ORIENTATION = 0x0112  # the EXIF tag
REDUCTIONS = (1, 2, 4, 8)  # what libjpeg can divide a picture's sides by while it decodes
EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def open_picture(path):
    """The picture in a file as it is shown: decoded completely and turned by its EXIF orientation.

    Raises FileNotFoundError for a missing file and ValueError that names an unreadable one.
    """
    return _open(path)[0]


def _open(path, least=None):
    """The picture as it is shown, and its full (height, width); a JPEG decoded smaller as `read_reduced` tells."""
    try:
        with Image.open(path) as picture:
            size = picture.size
            if least and picture.format in ("JPEG", "MPO"):
                scale = _reduction(size, least, picture.getexif().get(ORIENTATION, 1))
                picture.draft(None, (size[0] // scale, size[1] // scale))
            picture.load()
            orientation = picture.getexif().get(ORIENTATION, 1)  # now: a TIFF was turned while it was read
            if orientation == 1:  # exif_transpose would copy the picture
                return picture, size[::-1]
            quarter_turn = orientation in range(5, 9)  # the sides change places
            return ImageOps.exif_transpose(picture), size if quarter_turn else size[::-1]
    except FileNotFoundError:
        raise
    except Exception as error:  # a decoder may raise anything on a broken file
        raise ValueError(f"{path}: not a readable picture ({error}); remove or replace the file") from error


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
    if picture.mode.startswith("I") or picture.mode == "F":
        grey = np.asarray(picture, np.float32)
        scale = 255 / 65535 if picture.mode.startswith("I") else 1.0
        picture = Image.fromarray((grey * scale).clip(0, 255).round().astype(np.uint8))
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
    try:
        with Image.open(path) as picture:
            if picture.format == "TIFF":
                return _open(path)[1]  # Pillow turns these itself while it reads them
            # Not PNG's own method, which decodes the whole picture to look for EXIF data behind it.
            turned = Image.Image.getexif(picture).get(ORIENTATION, 1) in range(5, 9)
            return picture.size if turned else picture.size[::-1]
    except FileNotFoundError:
        raise
    except Exception as error:  # a decoder may raise anything on a broken file
        raise ValueError(f"{path}: not a readable picture ({error}); remove or replace the file") from error


def read_grey(path):
    """A mask or annotation file as (H, W) uint8: its pixel values, palette indices included.

    Raises ValueError that names the file if it is unreadable or holds colours.
    """
    grey = _read_grey_png(path)
    if grey is not None:
        return grey
    picture = open_picture(path)
    if picture.mode == "1":
        picture = picture.convert("L")
    elif picture.mode in ("RGB", "LA", "RGBA") and _is_grey(picture):
        picture = picture.getchannel(0)
    if picture.mode not in ("L", "P"):
        raise ValueError(f"{path}: a mask must be one 8-bit channel, found mode {picture.mode}; save it as grey PNG")
    return np.array(picture)


def _read_grey_png(path):
    """What Pillow makes of a PNG of one 8-bit channel, in nine tenths of the time; None for every other file."""
    try:
        with open(path, "rb") as file:
            head = file.read(26)
        if head.startswith(b"\x89PNG") and head[24:] == b"\x08\x00":  # bits of a channel, grey without palette
            return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)  # turned by EXIF
    except (OSError, cv2.error):
        pass  # Pillow tells what is wrong
    return None


def _is_grey(picture):
    """Whether the colour channels of a picture are the same and nothing in it is transparent."""
    *colours, last = picture.split()
    if picture.mode.endswith("A") and last.getextrema() != (255, 255):
        return False
    colours += [last] * (not picture.mode.endswith("A"))
    return all(np.array_equal(colours[0], other) for other in colours[1:])


def picture_files(folder):
    """The picture files in a folder, by their extension, sorted; whatever else lies there is passed over.

    Raises FileNotFoundError if there is no such folder or no picture in it.
    """
    files = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in EXTENSIONS)
    if not files:
        raise FileNotFoundError(f"{folder}: no pictures there ({', '.join(EXTENSIONS)})")
    return files


def sample_portraits():
    """Paths of two portraits in the public domain: Grace Hopper by matplotlib, Eileen Collins by scikit-image."""
    import matplotlib
    import skimage

    return [
        Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg",
        Path(skimage.__file__).parent / "data" / "astronaut.png",
    ]
