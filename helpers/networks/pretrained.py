"""Published weights to start from: finds them on this disk or fetches them.

Only a file with the right hash is taken.
"""

import hashlib
import http.client
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from helpers.files.atomic import whole_file

FOLDER = Path(__file__).parents[2] / "saved_models"

SHIPPED = {"u2net_lite": "portrait_lite.safetensors"}
"""This project's own weights, by the name of the network: files in `FOLDER`, where their model card is, too."""


class WeightFile(NamedTuple):
    """A published weight file: its name, about how many bytes it has, its hash, and the places that had it.

    `sha256` may be only the beginning of the hash, if the publisher gives no more.
    """

    file: str
    size: int
    sha256: str
    places: tuple[str, ...]


def _drive(identifier: str) -> str:
    return f"https://drive.usercontent.google.com/download?id={identifier}&export=download&confirm=t"


SOURCES = {
    "u2net": WeightFile(
        "u2net.pth", 176_290_937, "10025a17f49cd3208afc342b589890e402ee63123d6f2d289a4a0903695cce58",
        (
            "https://huggingface.co/leonelhs/u2net/resolve/main/u2net.pth",
            "https://huggingface.co/damli/u2net/resolve/main/u2net.pth",
            "https://huggingface.co/camenduru/DiffSketcher/resolve/main/u2net.pth",
            _drive("1ao1ovG1Qtx4b7EoskHXmi2E9rp5CHLcZ"),
        ),
    ),
    "u2net_lite": WeightFile(
        "u2netp.pth", 4_680_000, "e7567cde013fb64813973ce6e1ecc25a80c05c3ca7adbc5a54f3c3d90991b854",
        (
            "https://huggingface.co/netradrishti/u2net-saliency/resolve/main/models/u2netp.pth",
            _drive("1rbSTGKAE-MTxBYHd-51l2hMOQPT_7EPy"),
        ),
    ),
}  # fmt: skip
"""The authors' weights by the name of the network. Links have died before; only the hash decides what is accepted."""

BODIES = {"u2net_knet": "u2net_lite"}
"""Networks that contain another one, whose published weights they start from."""

ENCODERS = {
    "resnet50_unet": WeightFile(
        "resnet50-11ad3fa6.pth", 102_540_417, "11ad3fa6",
        ("https://download.pytorch.org/models/resnet50-11ad3fa6.pth",),
    ),
}  # fmt: skip
"""Weights trained on ImageNet for the encoder of a network, by the network's name; they cut out nothing by themselves.

torchvision publishes the first 8 digits of the hash, in the file's name. They detect a damaged file. Against a forged
file, https and `weights_only=True` protect.
"""


def find_pretrained(network: str, folder: Path | str = FOLDER) -> Path | None:
    """Path of the authors' weights for a network if they are in `folder`, else None.

    Looked for as `u2net.pth` and `u2net/u2net.pth`, for the lite network `u2netp.pth` and `u2netp/u2netp.pth`.
    """
    file = SOURCES[BODIES.get(network, network)].file
    for path in (Path(folder) / file, Path(folder) / Path(file).stem / file):
        if path.is_file():
            return path
    return None


def find_shipped(network: str, folder: Path | str = FOLDER) -> Path | None:
    """Path of this project's own weights for a network if there are such in `folder`, else None."""
    path = Path(folder) / SHIPPED.get(network, "")
    return path if path.is_file() else None


def find_start(network: str, folder: Path | str = FOLDER) -> Path | None:
    """Path of the best weights on this disk to train a network on from, else None.

    This project's own, then the authors'; ImageNet's for the encoder of a network that has neither.
    """
    published = find_encoder if network in ENCODERS else find_pretrained
    return find_shipped(network, folder) or published(network, folder)


def find_encoder(network: str, folder: Path | str = FOLDER) -> Path | None:
    """Path of torchvision's weights for the encoder of a network (`resnet50_unet`) if they are on this disk, else None.

    Looked for in `folder`, then in torchvision's own cache. In each the version named in `ENCODERS` comes first, then
    any other, such as `resnet50-0676ba61.pth`.
    """
    import torch  # not at the top of the file: a cutout looks for weights here, and may need no torch

    source = ENCODERS[network]
    for place in (Path(folder), Path(torch.hub.get_dir()) / "checkpoints"):
        paths = place.glob(source.file.replace(source.sha256, "?" * len(source.sha256)))
        found = min(paths, key=lambda path: (path.name != source.file, path.name), default=None)
        if found:
            return found
    return None


def fetch_start(network: str, folder: Path | str = FOLDER, timeout: float = 10) -> Path:
    """Download what is published to train a network on from: the authors' weights, or ImageNet's for its encoder.

    From the first place that has the right file, into `folder`; the hash is checked before the file gets its name, so
    nothing wrong or partial is left behind. Returns its path. Raises ConnectionError saying what each place answered;
    `timeout` is in seconds of silence.
    """
    source = ENCODERS[network] if network in ENCODERS else SOURCES[BODIES.get(network, network)]
    folder = Path(folder)
    answers = []
    for place in source.places:
        try:
            return _download(place, source, folder, timeout)
        except http.client.HTTPException as error:
            answers.append(f"{place}: no whole answer in HTTP ({type(error).__name__})")
        except (OSError, ValueError) as error:
            answers.append(f"{place}: {error}")
    raise ConnectionError(f"{source.file} could not be fetched; put it into {folder} by hand. " + "; ".join(answers))


def _download(place, source, folder, timeout):
    digest = hashlib.sha256()
    limit = 2 * source.size  # a wrong file, such as a web page, must not fill the disk
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
        if not digest.hexdigest().startswith(source.sha256):
            raise ValueError(f"sha256 is {digest.hexdigest()}, expected {source.sha256}")
    return folder / source.file
