"""Names what a file is that has the name of a weight file but holds something else, and says what to do."""

import re
import zipfile
from pathlib import Path

from helpers.files.kinds import first_bytes, kind_of

DAMAGED = "name the weight file, or replace it by a whole copy"

_MAGIC = {
    b"\x89HDF": ("an HDF5 file, as Keras writes it", "take the PyTorch weights of this network"),
    b"\x93NUMPY": ("a NumPy array", "take the PyTorch weights of this network"),
    b"\x89PNG": ("a PNG picture", "name the weight file"),
    b"\xff\xd8\xff": ("a JPEG picture", "name the weight file"),
}
"""The first bytes of a file: what it is, and what to do."""

_WEIGHTS_ALONE = (
    "such a file runs code when it is loaded; ask for its weights alone, saved by "
    "torch.save(network.state_dict(), FILE)"
)


def diagnose(path: Path | str, error: Exception) -> tuple[str, str]:
    """Why `path` could not be read as weights, after `error`, and what to do: two parts of one sentence.

    The advice is never to load a file unsafely: a pickled object runs code when it is loaded.
    """
    if isinstance(error, OSError) and error.errno:
        return str(error.strerror), "name a file that can be read"
    start = first_bytes(path)
    if known := kind_of(start):
        return known
    for magic, kind in _MAGIC.items():
        if start.startswith(magic):
            return kind
    if start[:1] == b"\x08" and start[2:3] in (b"\x12", b"\x1a", b":", b"B"):  # its first fields: version and producer
        if Path(path).suffix.lower() == ".onnx":
            return "an ONNX model, which can cut out and nothing else", "name the checkpoint that it was made from"
        return "an ONNX model", "let its name end in .onnx"
    if start[257:262] == b"ustar":
        return "a tar archive", "unpack it, and name the file in it"
    if start.startswith(b"PK") and (archive := _zip_without_weights(path)):
        return archive
    if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
        return f"a pickled {found[1]}, not only tensors and plain values", _WEIGHTS_ALONE
    if start[:1] == b"\x80" and not start.startswith(b"\x80\x02"):  # torch.save writes the second protocol
        return "a pickle that torch.save did not write", _WEIGHTS_ALONE
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if len(text) > 20 and text.isascii() and text.decode("ascii").replace("\n", "").isprintable():
        return f"a text that begins with {text[:40].decode('ascii').splitlines()[0]!r}", "download the file itself"
    reason = next((line for line in str(error).splitlines() if line), type(error).__name__)
    return "damaged, or no file of PyTorch" if "weights_only" in reason else reason, DAMAGED


def _zip_without_weights(path: Path | str) -> tuple[str, str] | None:
    """What a zip archive is that `torch.save` did not write.

    None for a damaged archive, and for one by `torch.save`.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            names = parts.namelist()
    except Exception:  # a damaged table of contents may raise anything: UnicodeDecodeError, NotImplementedError, …
        return None
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript program", "save the weights alone: torch.save(torch.jit.load(FILE).state_dict(), NEW)"
    if any(name.endswith("data.pkl") for name in names):
        return None
    if names and all(name.endswith(".npy") for name in names):
        return "NumPy arrays", "take the PyTorch weights of this network"
    return f"a zip archive with {', '.join(names[:3]) or 'nothing'} in it", "unpack it, and name the file in it"
