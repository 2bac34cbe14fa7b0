"""PNG files written fast, with the colour profile and the resolution that Pillow would keep."""

import struct
import zlib

import cv2
import numpy as np

_HEAD = 33  # bytes of the signature and the first chunk, IHDR; profile and resolution belong right behind them


def encode_png(picture):
    """The bytes of a PNG file of a `PIL.Image` in mode L, RGB or RGBA, with its `info`'s `icc_profile` and `dpi`.

    A profile belongs to colours: a picture in mode L is written without it. OpenCV's encoder takes half the time of
    Pillow's at its fastest (`compress_level=1`) for cutouts of photos, and the files are a tenth smaller: one filter
    for every line, and run lengths instead of a search for repetitions, which photos don't have. Better filters make
    them another tenth smaller in twice the time, Pillow's default level a twentieth smaller in eight times.
    Raises ValueError for a picture that no PNG can hold.
    """
    pixels = np.asarray(picture)
    if picture.mode != "L":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA if picture.mode == "RGBA" else cv2.COLOR_RGB2BGR)
    try:
        written, encoded = cv2.imencode(".png", pixels)
    except cv2.error as error:
        raise ValueError(f"{picture.width} × {picture.height} pixels cannot be written as PNG: {error}") from error
    if not written:
        raise ValueError(f"{picture.width} × {picture.height} pixels cannot be written as PNG")
    del pixels  # a photo's copy is much memory
    encoded, kept = memoryview(encoded), b""
    if "icc_profile" in picture.info and picture.mode != "L":
        kept += _chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(picture.info["icc_profile"]))
    if "dpi" in picture.info:
        per_metre = [round(dots / 0.0254) for dots in picture.info["dpi"]]
        kept += _chunk(b"pHYs", struct.pack(">IIB", *per_metre, 1))
    return b"".join([encoded[:_HEAD], kept, encoded[_HEAD:]])


def _chunk(kind, data):
    """A PNG chunk: length, kind, data, checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
