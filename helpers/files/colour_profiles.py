"""Colours: a picture in any mode as RGB, the meaning of its numbers, and conversion between colour profiles.

Two entries of a picture's `info` say what its numbers mean: `icc_profile`, and `colour_chunks` of a PNG file, which
`helpers.files.png` reads and writes. Without both they are sRGB.
"""

import struct
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from helpers.files.bit_depth import in_8_bits

KEPT = ("icc_profile", "colour_chunks")
"""The entries of `info` that say what a picture's numbers mean."""

_SPACES = {"L": b"GRAY", "CMYK": b"CMYK"}

_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_BT709_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_BT709 = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # x and y of white, red, green and blue, as in cHRM
_BT601 = (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07)
_PRIMARIES = {
    1: _BT709, 5: (0.3127, 0.329, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06), 6: _BT601, 7: _BT601,
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06), 12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
}  # fmt: skip
_CURVES: dict[int, tuple[float, ...]] = {
    1: _BT709_CURVE, 4: (2.2,), 5: (2.8,), 6: _BT709_CURVE, 8: (1.0,), 13: _SRGB_CURVE, 14: _BT709_CURVE,
    15: _BT709_CURVE,
}  # fmt: skip
"""Primaries, and parameters of ICC's `para` curves, by the numbers that cICP uses (ITU-T H.273, tables 2 and 3)."""


_SRGB_CICP = bytes([1, 13, 0, 1])


def in_colour(picture: Image.Image) -> tuple[Image.Image, dict[str, Any]]:
    """A PIL picture in any mode as RGB, or RGBA if anything in it may be transparent; and what its numbers mean.

    The second is `{}` for sRGB. Otherwise it holds the entries `KEPT`, for the `info` of a picture with these numbers.
    A picture with an ICC profile of RGB keeps its numbers. So does a PNG with `colour_chunks`, and a profile is built
    that says the same. A picture with a profile of grey or CMYK is converted to sRGB. A profile of another kind than
    the picture is ignored.
    """
    profile, chunks = picture.info.get("icc_profile"), picture.info.get("colour_chunks", {})
    space = _space(profile or b"")
    picture = in_8_bits(picture)
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    own = {"1": "L", "L": "L", "LA": "L", "CMYK": "CMYK"}.get(picture.mode)
    if own and space == _SPACES[own]:
        shown = _converted(picture.convert(own), profile, None)
        if shown is not None:
            if mode == "RGBA":
                shown.putalpha(picture.convert("RGBA").getchannel("A"))
            return shown, {}
    meaning = _meaning(chunks, profile if space == b"RGB " and not own else None)
    return picture if picture.mode == mode else picture.convert(mode), meaning


def in_colours_of(picture: Image.Image, other: Image.Image) -> Image.Image | None:
    """An RGB picture converted to the colour profile of `other`, with that profile in its `info`.

    None if nothing can be converted to the profile of `other`, as with those of some cameras and scanners. Raises
    ValueError if the colours of one of the two cannot be computed: those of HDR (PQ, HLG).
    """
    own, wanted = (_meaning_of(image) for image in (picture, other))
    if own == wanted:
        return picture
    if _is_unknown(own) or _is_unknown(wanted):
        raise ValueError("HDR colours cannot be combined with other colours; save the picture in sRGB")
    profile, target = own.get("icc_profile"), wanted.get("icc_profile")
    shown = picture.copy() if profile == target else _converted(picture, profile, target)
    if shown is not None:
        shown.info = dict[Any, Any](wanted)
    return shown


def in_srgb(picture: Image.Image) -> Image.Image:
    """An RGB or RGBA picture in sRGB, which needs no profile. Colours that cannot be computed (HDR) are kept."""
    profile = picture.info.get("icc_profile")
    shown = _converted(picture.convert("RGB"), profile, None) if profile else None
    if shown is None:
        return picture
    if picture.mode == "RGBA":
        shown.putalpha(picture.getchannel("A"))
    shown.info = {key: value for key, value in picture.info.items() if key not in KEPT}
    return shown


def _meaning_of(picture: Image.Image) -> dict[str, Any]:
    return {key: picture.info[key] for key in KEPT if picture.info.get(key)}


def _is_unknown(meaning: dict[str, Any]) -> bool:
    """Whether no profile can be built for this meaning of the numbers."""
    chunk = meaning.get("colour_chunks", {}).get(b"cICP")
    return chunk is not None and chunk != _SRGB_CICP and "icc_profile" not in meaning


def _space(profile: bytes) -> bytes | None:
    """What the numbers of a picture with this ICC profile mean, such as b"RGB "; None if the profile is not whole."""
    whole = profile[36:40] == b"acsp" and int.from_bytes(profile[:4]) <= len(profile)
    return profile[16:20] if whole else None


def _converted(picture: Image.Image, source: bytes | None, target: bytes | None) -> Image.Image | None:
    """RGB of a picture, from one ICC profile to another, None being sRGB; None if that cannot be done."""
    from PIL import ImageCms

    try:
        first, second = (
            ImageCms.ImageCmsProfile(BytesIO(profile) if profile else ImageCms.createProfile("sRGB"))
            for profile in (source, target)
        )
        return ImageCms.profileToProfile(picture, first, second, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        return None


def _meaning(chunks: dict[bytes, bytes], profile: bytes | None) -> dict[str, Any]:
    """The entries `KEPT` of a picture with these chunks and this profile of RGB.

    cICP comes before the profile, the profile before sRGB, and sRGB before gAMA and cHRM (PNG, section 4.3). Chunks
    without effect are dropped.
    """
    if len(chunks.get(b"cICP", b"")) == 4:
        primaries, transfer, *rest = chunks[b"cICP"]
        is_known = rest == [0, 1] and primaries in _PRIMARIES and transfer in _CURVES  # RGB, in its full range
        profile = profile_of(_PRIMARIES[primaries], _CURVES[transfer]) if is_known else None
        chunks = {b"cICP": chunks[b"cICP"]}
    elif profile:
        chunks = {}
    elif len(chunks.get(b"sRGB", b"")) == 1:
        chunks = {b"sRGB": chunks[b"sRGB"]}
    else:
        gamma = int.from_bytes(chunks.get(b"gAMA", b"")) / 100_000
        stated = chunks.get(b"cHRM", b"")
        places = tuple(part / 100_000 for part in struct.unpack(">8I", stated)) if len(stated) == 32 else _BT709
        has_gamma, has_places = 0.1 <= gamma <= 10, _are_primaries(places)
        curve = (1 / gamma,) if has_gamma and abs(gamma - 1 / 2.2) > 1e-3 else _SRGB_CURVE
        profile = profile_of(places if has_places else _BT709, curve)
        valid = {b"gAMA": has_gamma, b"cHRM": has_places}
        chunks = {kind: data for kind, data in chunks.items() if valid.get(kind)}
    return {key: value for key, value in zip(KEPT, (profile, chunks), strict=True) if value}


def _are_primaries(places: tuple[float, ...]) -> bool:
    """Whether (x, y) of white, red, green and blue span colours."""
    _, *corners = np.reshape(places, (4, 2))
    return min(places[1::2]) > 1e-3 and bool(abs(np.linalg.det(np.insert(corners, 2, 1, axis=1))) > 1e-3)


def profile_of(places: tuple[float, ...], curve: tuple[float, ...]) -> bytes | None:
    """An ICC profile of RGB with white and primaries at these (x, y) and this curve; None for sRGB.

    ICC.1:2010 (profile version 4.3), sections 7 to 10; white is adapted to D50 by Bradford's matrix (annex E).
    """
    if curve == _SRGB_CURVE and np.allclose(places, _BT709, atol=1e-3):
        return None
    x, y = np.reshape(places, (4, 2)).T
    white, *primaries = np.stack([x / y, np.ones(4), (1 - x - y) / y], 1)
    columns = np.transpose(primaries) * np.linalg.solve(np.transpose(primaries), white)
    bradford = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    d50 = np.array([0.9642, 1, 0.8249])
    adapted = np.linalg.inv(bradford) @ np.diag(bradford @ d50 / (bradford @ white)) @ bradford

    def fixed(values: ArrayLike) -> bytes:
        return struct.pack(f">{np.size(values)}i", *(round(float(value) * 65536) for value in np.ravel(values)))

    def text(words: str) -> bytes:
        header = struct.pack(">III2s2sII", 0, 1, 12, b"en", b"US", 2 * len(words), 28)
        return b"mluc" + header + words.encode("utf-16-be")

    kind = {1: 0, 5: 3}[len(curve)]
    tags = {
        b"desc": text("RGB as its file says"),
        b"cprt": text("no copyright"),
        b"wtpt": b"XYZ \0\0\0\0" + fixed(d50),
        b"chad": b"sf32\0\0\0\0" + fixed(adapted),
    }
    for name, column in zip("rgb", (adapted @ columns).T, strict=True):
        tags[f"{name}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(column)
        tags[f"{name}TRC".encode()] = b"para" + struct.pack(">IHH", 0, kind, 0) + fixed(curve)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += struct.pack(">4sII", tag, 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = 128 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"", 0x04300000, b"mntr", b"RGB ", b"XYZ ") + bytes(12) + b"acsp"
    return (header.ljust(68, b"\0") + fixed(d50)).ljust(128, b"\0") + table + body
