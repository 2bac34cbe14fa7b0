"""Weight files converted to ONNX are kept, so that the next start need not import torch, which takes seconds."""

import hashlib
import os
import platform
import re
from contextlib import suppress
from pathlib import Path

from helpers.files.atomic import whole_file

KEPT = 4
"""The largest number of networks that are kept; the one that was not used for longest goes first."""

GPUS = ("nvidia*", "dxg", "kfd")
"""Devices under /dev that torch may compute on: NVIDIA's, those of Windows' Linux, AMD's."""


_NAME = re.compile(r"[0-9a-f]{32}-[0-9a-f]{32}\.onnx")  # as `_name` makes them


def folder() -> Path:
    """The folder of the conversions: `$PORTRAIT_CACHE`, by default ~/.cache/portrait-matting."""
    return Path(os.environ.get("PORTRAIT_CACHE") or Path.home() / ".cache" / "portrait-matting")


def may_have_gpu() -> bool:
    """Whether torch may find something faster than the CPU on this machine; finds out without torch."""
    return platform.system() != "Linux" or any(any(Path("/dev").glob(name)) for name in GPUS)


def key_of(weights: Path) -> str:
    """The key of a weight file's conversion: a hash of the file, of the code that converts it, and of the host name.

    The machine counts because another one may compute faster with torch. Raises OSError for an unreadable file.
    """
    digest = hashlib.sha256(platform.node().encode())
    helpers = Path(__file__).parents[1]
    code = (helpers / "config.py", helpers / "u2net.py", *sorted((helpers / "networks").glob("*.py")))
    for path in (weights, *code):
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:32]


def find_conversion(key: str) -> bytes | None:
    """The bytes of the .onnx file that was kept for a `key_of`, unharmed; None if there is none."""
    with suppress(OSError, RuntimeError):  # RuntimeError: there is no home
        for path in folder().glob(f"{key}-*.onnx"):
            contents = path.read_bytes()
            if path.name == _name(key, contents):
                with suppress(OSError):  # of another user, or on a disk that is only read
                    os.utime(path)
                return contents
    return None


def keep_conversion(key: str, contents: bytes) -> None:
    """Keep the bytes of an .onnx file for the next start; where nothing can be written, nothing is kept."""
    with suppress(OSError, RuntimeError):
        folder().mkdir(mode=0o700, parents=True, exist_ok=True)  # the weights may be for their owner's eyes only
        with whole_file(folder() / _name(key, contents)) as temporary:
            temporary.write_bytes(contents)
        kept = [path for path in folder().iterdir() if _NAME.fullmatch(path.name)]  # the folder may hold others' files
        for path in sorted(kept, key=os.path.getmtime)[:-KEPT]:
            path.unlink(missing_ok=True)


def _name(key: str, contents: bytes) -> str:
    return f"{key}-{hashlib.sha256(contents).hexdigest()[:32]}.onnx"
