"""The original authors' weights: where they lie on this disk, or where to fetch them, trusted by their hash only."""

import hashlib
import urllib.error
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from helpers.atomic import whole_file

FOLDER = Path(__file__).parent.parent / "saved_models"


class Source(NamedTuple):
    """A published weight file: its name, about how many bytes it has, its hash, and the places that had it."""

    file: str
    size: int
    sha256: str
    places: tuple[str, ...]


def _drive(identifier):
    return f"https://drive.usercontent.google.com/download?id={identifier}&export=download&confirm=t"


SOURCES = {
    "u2net": Source(
        "u2net.pth", 176_290_937, "10025a17f49cd3208afc342b589890e402ee63123d6f2d289a4a0903695cce58",
        (
            "https://huggingface.co/leonelhs/u2net/resolve/main/u2net.pth",
            "https://huggingface.co/damli/u2net/resolve/main/u2net.pth",
            "https://huggingface.co/camenduru/DiffSketcher/resolve/main/u2net.pth",
            _drive("1ao1ovG1Qtx4b7EoskHXmi2E9rp5CHLcZ"),
        ),
    ),
    "u2net_lite": Source(
        "u2netp.pth", 4_680_000, "e7567cde013fb64813973ce6e1ecc25a80c05c3ca7adbc5a54f3c3d90991b854",
        (
            "https://huggingface.co/netradrishti/u2net-saliency/resolve/main/models/u2netp.pth",
            _drive("1rbSTGKAE-MTxBYHd-51l2hMOQPT_7EPy"),
        ),
    ),
}  # fmt: skip
"""By the name of the network. The links died often; the hash decides what is accepted."""


def find_pretrained(network, folder=FOLDER):
    """Path of the authors' weights for a network (`u2net`, `u2net_lite`) if they are in `folder`, else None.

    Looked for as `u2net.pth` and `u2net/u2net.pth`, for the lite network `u2netp.pth` and `u2netp/u2netp.pth`.
    """
    file = SOURCES[network].file
    for path in (Path(folder) / file, Path(folder) / Path(file).stem / file):
        if path.is_file():
            return path
    return None


def fetch_pretrained(network, folder=FOLDER, timeout=10):
    """Download the authors' weights for a network into `folder`, from the first place that has the right file.

    The hash is checked before the file gets its name, so nothing wrong or partial is left behind. Returns its path.
    Raises ConnectionError saying what each place answered; `timeout` is in seconds of silence.
    """
    source = SOURCES[network]
    answers = []
    for place in source.places:
        try:
            return _download(place, source, Path(folder), timeout)
        except (urllib.error.URLError, OSError, ValueError) as error:
            answers.append(f"{place}: {error}")
    raise ConnectionError(f"{source.file} could not be fetched. " + "; ".join(answers))


def _download(place, source, folder, timeout):
    digest = hashlib.sha256()
    limit = 2 * source.size  # a page or another file in its stead must not fill the disk
    with (
        whole_file(folder / source.file) as temporary,
        urllib.request.urlopen(place, timeout=timeout) as answer,
        open(temporary, "wb") as file,
        tqdm(total=source.size, unit="B", unit_scale=True, desc=source.file) as bar,
    ):
        while chunk := answer.read(1 << 20):
            file.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
            if file.tell() > limit:
                raise ValueError(f"more than {limit:,} bytes, expected about {source.size:,}")
        if digest.hexdigest() != source.sha256:
            raise ValueError(f"sha256 is {digest.hexdigest()}, expected {source.sha256}")
    return folder / source.file
