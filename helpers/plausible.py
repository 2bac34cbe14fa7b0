"""Whether a picture file can hold as many pixels as its head claims."""

from io import SEEK_END

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
