"""Reading pictures as they really are: turned by EXIF, grey, palette, 16-bit, CMYK, transparent, broken."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")


def open_picture(path):
    """The picture in a file as it is shown: decoded completely and turned by its EXIF orientation.

    Raises FileNotFoundError for a missing file and ValueError that names an unreadable one.
    """
    try:
        with Image.open(path) as picture:
            picture.load()
            return ImageOps.exif_transpose(picture)
    except FileNotFoundError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path}: not a readable picture ({error}); remove or replace the file") from error


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
    return np.array(picture.convert("RGB"))


def read_photo(path):
    """A photo file as (H, W, 3) uint8 RGB; errors as in `open_picture`."""
    return to_rgb(open_picture(path))


def read_grey(path):
    """A mask or annotation file as (H, W) uint8: its pixel values, palette indices included.

    Raises ValueError that names the file if it is unreadable or holds colours.
    """
    picture = open_picture(path)
    if picture.mode == "1":
        picture = picture.convert("L")
    if picture.mode not in ("L", "P"):
        raise ValueError(f"{path}: a mask must be one 8-bit channel, found mode {picture.mode}; save it as grey PNG")
    return np.array(picture)


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
