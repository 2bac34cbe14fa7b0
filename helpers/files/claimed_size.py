"""The size that a picture file claims in its header, compared with what its bytes can hold."""

from io import SEEK_END

from PIL.ImageFile import ImageFile

from helpers.files.reading import reading_from

MOST = 8 * 64
"""The most pixels of a JPEG for each byte of its file: every block of 8 × 8 pixels takes at least one bit."""

DEFLATE = 1032
"""The largest factor by which deflate compresses (zlib's documentation, "Maximum Compression Factor")."""


def check_claimed_size(picture: ImageFile) -> None:
    """Raise ValueError for an open PNG or JPEG whose header claims more pixels than the file's bytes can hold.

    Pillow would fill the rest, in up to a gigabyte of memory. Decoders of other formats check this themselves.
    """
    if picture.format not in ("PNG", "JPEG", "MPO"):
        return
    (width, height), most = picture.size, float(MOST)
    with reading_from(picture.fp, 24) as file:
        if picture.format == "PNG":
            depth, colours = file.read(2)
            most = DEFLATE * 8 / (depth * {2: 3, 4: 2, 6: 4}.get(colours, 1))  # channels; 1 if grey or a palette
        size = file.seek(0, SEEK_END)
    if width * height > most * size:
        raise ValueError(f"{width} × {height} pixels are more than its {size} bytes can hold")
