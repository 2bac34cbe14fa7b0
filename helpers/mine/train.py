"""The fourth step: two trainings from the network's weights, on all photos and on half of them.

What was corrected or confirmed teaches most. Proposals that nobody has looked at teach as well, if the network was sure
of them: they keep what it knows already. The photos that are kept out are never trained on.
"""

import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from helpers.config import COARSE, FINAL, PRESETS, Config, load_config, trained_size
from helpers.cutout import foreground_colours
from helpers.datasets.duplicates import digest
from helpers.datasets.layouts import backgrounds_in
from helpers.datasets.manifests import write_manifest
from helpers.datasets.pairs import Pair, read_pair
from helpers.files.atomic import whole_file
from helpers.mine.lesson import Lesson, shown, weight_of
from helpers.mine.project import Project
from helpers.mine.words import in_words
from helpers.startup import begin_training

FEW = 100
"""Photos below which the encoder of a network that is not in `COARSE` stays: so few would teach it only themselves."""

SHOWN = 3600
"""Pictures that each training shows, as far as `EPOCHS` allows.

Of a U²-Net the coarse stages alone are trained. On 150 selfies, shown 3,600 times to a network that knew street photos
only, this took half of the time of the whole network's 1,200, and ended better: IoU .900 instead of .897 on selfies
kept out (.881 before). On 40 selfies, shown 2,400 times, .895 instead of .880 with the encoder kept and 800.
"""

EPOCHS = (4, 60)
"""Epochs of the training on all photos, at least and at most."""

TELL_EVERY = 20.0
"""Seconds between two lines that tell the time left."""

CONTENT = "content.txt"
"""Beside the checkpoints of a training: the `Lesson.content` that it was begun with."""


def settings_for(lesson: Lesson, **changes: Any) -> Config:
    """The preset `mine` for this many photos, with single fields changed."""
    epochs = min(max(round(SHOWN / max(shown(lesson), 1)), EPOCHS[0]), EPOCHS[1])
    kept: dict[str, bool] = {}
    if not changes.keys() & {"coarse", "freeze_encoder"}:
        coarse = changes.get("network", PRESETS["mine"].network) in COARSE
        kept = {"coarse": coarse, "freeze_encoder": not coarse and lesson.photos < FEW}
    return load_config("mine", **{"epochs": epochs} | kept | changes)


def _steps(lesson: Lesson, config: Config, composites: bool) -> int:
    """Steps of an epoch, as `helpers.samples.samples.EpochBatches` makes them."""
    pictures = shown(lesson) + composites * len(lesson.checked)
    return pictures // min(config.batch_size, pictures)


def parts_of(lesson: Lesson, config: Config, composites: bool = False) -> dict[str, tuple[Lesson, Config]]:
    """The two trainings in the order in which they are done: what each is taught, and with which settings.

    `config` holds for all photos. Half of them are shown in more epochs, so that both trainings take as many steps, up
    to half an epoch: else the one on half of the photos would be worse only because it was shorter.
    """
    half = lesson.half()
    epochs = round(config.epochs * _steps(lesson, config, composites) / _steps(half, config, composites))
    return {"all": (lesson, config), "half": (half, replace(config, epochs=max(epochs, 1)))}


def train(
    project: Project, weights: Path, lesson: Lesson, backgrounds: Path | None = None, **changes: Any
) -> dict[str, Path]:
    """Train on all photos and on half of them, both from the file `weights`; {part: final weight file}.

    With `backgrounds`, a folder of pictures, the checked people are also put in front of them. Interrupted, the same
    call goes on; finished with the same pictures, masks and settings, it trains nothing. `changes` are fields of the
    configuration. Only one process may do this in a project at a time, see `helpers.mine.steps.train_and_report`.
    Errors as in `helpers.training.assemble` and `fit`.
    """
    from helpers.networks.fuse import name_of
    from helpers.networks.registry import read_network  # torch takes seconds to import

    model, notes = read_network(weights)
    own = {"network": name_of(model), "image_size": trained_size(notes)}
    finished = {}
    parts = parts_of(lesson, settings_for(lesson, **own | changes), backgrounds is not None)
    places = b"".join(digest(path) for path in backgrounds_in(backgrounds)) if backgrounds else b""
    for part, (taught, config) in parts.items():
        folder, title = training_folder(project) / part, f"training on {part} of the photos"
        folder.mkdir(parents=True, exist_ok=True)
        _begin_with(folder, taught.content(places), title)
        finished[part] = _train_one(config, _sources(project, folder, taught, backgrounds), weights, folder, title)
    return finished


def training_folder(project: Project) -> Path:
    """Where the trainings of a project lie, each in a folder of its own."""
    return project.work / "training"


def _begin_with(folder: Path, content: str, title: str) -> None:
    """Note the `Lesson.content` of a training; set the checkpoints aside that were begun with another one.

    File names tell nothing about masks that were painted again: the recipe in the checkpoints would be the same.
    """
    from helpers.training import set_aside

    path = folder / CONTENT
    if path.is_file() and path.read_text(encoding="utf-8") == content:
        return
    reason = (
        "photos, corrections or backgrounds have changed"
        if path.is_file()
        else "an earlier version did not note its masks"
    )
    if set_aside(folder):
        tqdm.write(f"{title}: begins anew, as {reason}")
    with whole_file(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def _sources(project: Project, folder: Path, lesson: Lesson, backgrounds: Path | None) -> list:
    """The lesson as data sets: manifests in the training's own folder."""
    from helpers.samples.mixing import Source

    first, rest = folder / "checked.csv", folder / "others.csv"
    write_manifest(first, {"train": lesson.checked, "val": lesson.kept_out})
    sources = [Source(first, "manifest", weight_of(lesson))]
    others = [*lesson.proposed, *(_cutouts(project, lesson.checked) if backgrounds else [])]
    if others:
        # a manifest without a validation split would get one out of these: the first photo kept out stands for it
        write_manifest(rest, {"train": others, "val": lesson.kept_out[:1]})
        sources.append(Source(rest, "manifest", 1.0, backgrounds=backgrounds))
    return sources


def _cutouts(project: Project, pairs: list[Pair]) -> list[Pair]:
    """The people of checked pairs as transparent pictures, written where they are not there yet.

    Their names tell the bytes of photo and mask, and the place: stems of sub-folders may be equal.
    """
    cutouts = []
    for pair in pairs:
        place = str(pair.truth).encode(errors="surrogateescape")
        checksum = zlib.crc32(place + digest(pair.image) + digest(pair.truth))
        path = project.work / "cutouts" / f"{checksum:08x}-{pair.truth.stem[:40]}.png"
        if not path.is_file():
            photo, alpha = read_pair(pair, least=640)
            colours = foreground_colours(photo, (alpha / 255).astype(np.float32))
            with whole_file(path) as temporary:
                Image.fromarray(cv2.merge([*cv2.split(colours), alpha])).save(temporary, "PNG")
        cutouts.append(Pair(path, path, "opacity"))
    return cutouts


def _train_one(config: Config, sources: list, weights: Path, folder: Path, title: str) -> Path:
    """One training into a folder, taken up where it was left; checkpoints of other settings are set aside."""
    from helpers.training import assemble, fit, resume, set_aside

    begin_training(config.batch_size * config.image_size**2)
    run, val_loader = assemble(config, sources, weights, folder=folder)
    try:
        resume(run, folder)
    except ValueError as error:
        set_aside(folder)
        tqdm.write(f"{title}: begins anew, as photos or settings have changed ({error})")
        run, val_loader = assemble(config, sources, weights, folder=folder)
    if not run.finished or not (folder / FINAL).is_file():
        with _time_told(run, title):
            fit(run, val_loader, folder)
    return folder / FINAL


@contextmanager
def _time_told(run: Any, title: str) -> Iterator[None]:
    """Lines that tell how much of a run is done and the time left, until the block ends."""
    steps, first, begin = run.config.epochs * len(run.loader), run.step, time.monotonic()
    ended = threading.Event()

    def tell() -> None:
        while not ended.wait(TELL_EVERY):
            done = run.step - first
            if done:
                left = (time.monotonic() - begin) / done * (steps - run.step)
                tqdm.write(f"{title}: {run.step / steps:.0%}, about {in_words(left)} left")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        ended.set()
        teller.join()
