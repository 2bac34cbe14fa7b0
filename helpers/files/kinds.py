"""What a file is, by its first bytes, where it is not what its name promises; and what to do about it."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

HEAD = 512
"""The number of first bytes that are looked at."""


class Kind(NamedTuple):
    """What a file is, such as "a web page", and what to do; two parts of one sentence."""

    name: str
    to_do: str


_UNPACK, _AS_JPEG = "unpack it, and name the file in it", "save it as JPEG or PNG"
_PAGES = b"<!doctype", b"<html", b"<head", b"<?xml", b"<script", b"<body"

_MAGIC = {
    b"version https://git-lfs": Kind("a Git LFS pointer, not the file it stands for", "fetch the file: git lfs pull"),
    b"\x1f\x8b": Kind("a gzip archive", _UNPACK),
    b"BZh": Kind("a bzip2 archive", _UNPACK),
    b"\xfd7zXZ": Kind("an xz archive", _UNPACK),
    b"7z\xbc\xaf": Kind("a 7z archive", _UNPACK),
    b"Rar!": Kind("a rar archive", _UNPACK),
    b"%PDF": Kind("a PDF document", "take the file that was meant"),
}

_PICTURES = {
    b"PK": Kind("a zip archive", _UNPACK),
    b"\xff\x0a": Kind("a JPEG XL picture", _AS_JPEG),
    b"\0\0\0\x0cJXL ": Kind("a JPEG XL picture", _AS_JPEG),
    b"8BPS": Kind("a Photoshop document", _AS_JPEG),
    b"%!PS": Kind("an EPS drawing", _AS_JPEG),
    b"<svg": Kind("an SVG drawing", _AS_JPEG),
    b"\0\0\1\0": Kind("an icon", _AS_JPEG),
    b"v/1\1": Kind("an OpenEXR picture", _AS_JPEG),
    b"#?RADIANCE": Kind("a Radiance HDR picture", _AS_JPEG),
    b"P7\n": Kind("a PAM picture", _AS_JPEG),
    b"PF\n": Kind("a PFM picture in colour", _AS_JPEG),
}
"""Formats of pictures that are not read here."""

_DAMAGED = "remove or replace the file"
_READ = {
    b"\xff\xd8\xff": Kind("a damaged JPEG", _DAMAGED),
    b"\x89PNG": Kind("a damaged PNG", _DAMAGED),
    b"GIF8": Kind("a damaged GIF", _DAMAGED),
    b"RIFF": Kind("a damaged WebP", _DAMAGED),
    b"BM": Kind("a damaged BMP, or one of a kind that is not read here", "save it as PNG"),
    **dict.fromkeys(
        (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
        Kind("a damaged TIFF, or one of a kind that is not read here", "save it as grey or RGB in 8 or 16 bits"),
    ),
}
"""Formats of pictures that are read here, if they are whole."""

_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}


def first_bytes(source: Path | str | bytes | BytesIO) -> bytes:
    """The first `HEAD` bytes of a file, or of its contents."""
    if isinstance(source, BytesIO):
        source = source.getvalue()
    if isinstance(source, bytes):
        return source[:HEAD]
    with open(source, "rb") as file:
        return file.read(HEAD)


def kind_of(start: bytes) -> Kind | None:
    """What a file with these first bytes is, where it can be neither weights nor a photo; None if unknown."""
    if not start:
        return Kind("an empty file", "copy or download it again")
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_PAGES):
        return Kind("a web page, not the file behind it", "download the file itself")
    return _named(_MAGIC, start)


def kind_of_picture(start: bytes, formats: tuple[str, ...]) -> Kind | None:
    """What a file with these first bytes is that was not read as a picture, `formats` being Pillow's that are read."""
    if start[4:8] == b"ftyp":
        form = _BRANDS.get(start[8:12])
        if form in formats:
            return Kind(f"a damaged {form}", _DAMAGED)
        package = {"HEIF": "pillow-heif", "AVIF": "'pillow>=11.3'"}.get(form or "")
        return Kind(f"{form}, which needs a package", f"pip install {package}, or {_AS_JPEG}") if package else None
    if b"<svg" in start:
        return _PICTURES[b"<svg"]
    return kind_of(start) or _named(_PICTURES, start) or _named(_READ, start)


def _named(table: dict[bytes, Kind], start: bytes) -> Kind | None:
    return next((kind for magic, kind in table.items() if start.startswith(magic)), None)
