"""The fourth step: two trainings from the network's weights, on all photos and on half of them.

What was corrected or confirmed teaches most. Proposals that nobody has looked at teach as well, if the network was sure
of them: they keep what it knows already. The photos that are kept out are never trained on.
"""

import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from helpers.config import FINAL, Config, load_config, trained_size
from helpers.cutout import foreground_colours
from helpers.datasets.manifests import write_manifest
from helpers.datasets.pairs import Pair, read_pair
from helpers.datasets.splits import rank_of
from helpers.files.atomic import whole_file
from helpers.mine.correct import Corrections
from helpers.mine.project import Project
from helpers.startup import begin_training

FEW = 100
"""Photos below which the encoder stays as it is: so few would teach it only themselves."""

SHOWN = 2400
"""Pictures that the training on all photos shows, as far as `EPOCHS` allows: half an hour of two cores for both."""

EPOCHS = (4, 40)
"""Epochs at least and at most."""

CHECKED_SHARE = 0.5
"""Share of the pictures shown that somebody has looked at, as far as `MOST_WEIGHT` allows."""

MOST_WEIGHT = 8.0
"""How often an epoch shows a checked photo at most."""

TELL_EVERY = 20.0
"""Seconds between two lines that tell the time left."""

PARTS = ("all", "half")
"""The two trainings, in the order in which they are done."""


class Lesson(NamedTuple):
    """What is trained on: pairs that somebody has looked at, sure proposals, and what is kept out to measure on."""

    checked: list[Pair]
    proposed: list[Pair]
    kept_out: list[Pair]

    @property
    def photos(self) -> int:
        return len(self.checked) + len(self.proposed)

    def half(self) -> "Lesson":
        """Half of the photos to train on, chosen by a hash of their names; the same kept out."""
        return self._replace(checked=_half(self.checked), proposed=_half(self.proposed))


def _half(pairs: list[Pair]) -> list[Pair]:
    ranked = sorted(pairs, key=lambda pair: rank_of(f"half {pair.image.name}"))
    return sorted(ranked[: (len(ranked) + 1) // 2])


def lesson_of(project: Project) -> Lesson:
    """What a project has to train on now, sorted.

    Raises ValueError, saying which photos to look at first, where nothing is checked or nothing checked is kept out.
    """
    corrections = Corrections(project)
    lines = corrections.lines()
    checked: list[Pair] = []
    proposed: list[Pair] = []
    kept_out: list[Pair] = []
    for photo in project.photos.values():
        pair = corrections.pair(photo, lines)
        if pair is not None:
            (kept_out if photo.kept_out else checked).append(pair)
        elif photo.sure and not photo.kept_out:
            pair = Pair(project.photo_file(photo), project.proposal(photo.name), "grey")
            if pair.image.is_file() and pair.truth.is_file():
                proposed.append(pair)
    if not kept_out:
        names = ", ".join(photo.file for photo in project.by_doubt() if photo.kept_out) or "none"
        raise ValueError(
            f"{project.folder}: nothing to measure on: correct or confirm some of the photos that are kept out first "
            f"({names})" if names != "none" else
            f"{project.folder}: {len(project.photos)} photos are too few to keep one out; add some and look again"
        )  # fmt: skip
    if not checked:
        raise ValueError(f"{project.folder}: nothing to learn from: correct or confirm some photos first")
    return Lesson(sorted(checked), sorted(proposed), sorted(kept_out))


def settings_for(lesson: Lesson, **changes: Any) -> Config:
    """The preset `mine` for this many photos, with single fields changed."""
    shown = lesson.photos if not lesson.proposed else sum(_shown(lesson))
    epochs = min(max(round(SHOWN / max(shown, 1)), EPOCHS[0]), EPOCHS[1])
    return load_config("mine", **{"epochs": epochs, "freeze_encoder": lesson.photos < FEW} | changes)


def _weight(lesson: Lesson) -> float:
    """How often an epoch shows each checked photo."""
    wanted = CHECKED_SHARE / (1 - CHECKED_SHARE) * len(lesson.proposed) / max(len(lesson.checked), 1)
    return min(max(wanted, 1.0), MOST_WEIGHT)


def _shown(lesson: Lesson) -> tuple[float, float]:
    """Pictures that an epoch shows: checked ones and proposals."""
    return _weight(lesson) * len(lesson.checked), float(len(lesson.proposed))


def train(
    project: Project, weights: Path, lesson: Lesson, backgrounds: Path | None = None, **changes: Any
) -> dict[str, Path]:
    """Train on all photos and on half of them, both from the file `weights`; {part: final weight file}.

    With `backgrounds`, a folder of pictures, the checked people are also put in front of them. Interrupted, the same
    call goes on; finished with the same photos and settings, it trains nothing. `changes` are fields of the
    configuration. Errors as in `helpers.training.assemble` and `fit`.
    """
    from helpers.networks.fuse import name_of
    from helpers.networks.registry import read_network  # torch takes seconds to import

    model, notes = read_network(weights)
    own = {"network": name_of(model), "image_size": trained_size(notes)}
    lessons = {"all": lesson, "half": lesson.half()}
    finished = {}
    config = settings_for(lesson, **own | changes)
    for part in PARTS:
        folder = project.work / "training" / part
        sources = _sources(project, folder, lessons[part], backgrounds)
        finished[part] = _train_one(config, sources, weights, folder, f"training on {part} of the photos")
    return finished


def _sources(project: Project, folder: Path, lesson: Lesson, backgrounds: Path | None) -> list:
    """The lesson as data sets: manifests in the training's own folder."""
    from helpers.samples.mixing import Source

    first, rest = folder / "checked.csv", folder / "others.csv"
    write_manifest(first, {"train": lesson.checked, "val": lesson.kept_out})
    sources = [Source(first, "manifest", _weight(lesson))]
    others = [*lesson.proposed, *(_cutouts(project, lesson.checked) if backgrounds else [])]
    if others:
        # a manifest without a validation split would get one out of these: the first photo kept out stands for it
        write_manifest(rest, {"train": others, "val": lesson.kept_out[:1]})
        sources.append(Source(rest, "manifest", 1.0, backgrounds=backgrounds))
    return sources


def _cutouts(project: Project, pairs: list[Pair]) -> list[Pair]:
    """The people of checked pairs as transparent pictures, written where they are not there yet or older."""
    cutouts = []
    for pair in pairs:
        checksum = zlib.crc32(str(pair.truth).encode(errors="surrogateescape"))  # stems of sub-folders may be equal
        path = project.work / "cutouts" / f"{checksum:08x}-{pair.truth.stem[:40]}.png"
        if not path.is_file() or path.stat().st_mtime_ns < pair.truth.stat().st_mtime_ns:
            photo, alpha = read_pair(pair, least=640)
            colours = foreground_colours(photo, (alpha / 255).astype(np.float32))
            with whole_file(path) as temporary:
                Image.fromarray(cv2.merge([*cv2.split(colours), alpha])).save(temporary, "PNG")
        cutouts.append(Pair(path, path, "opacity"))
    return cutouts


def _train_one(config: Config, sources: list, weights: Path, folder: Path, title: str) -> Path:
    """One training into a folder, taken up where it was left; another recipe's checkpoints are set aside."""
    from helpers.training import assemble, fit, resume, set_aside

    begin_training(config.batch_size * config.image_size**2)
    run, val_loader = assemble(config, sources, weights, folder=folder)
    try:
        resume(run, folder)
    except ValueError as error:
        set_aside(folder)
        tqdm.write(f"{title}: begins anew, as photos, corrections or settings have changed ({error})")
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


def in_words(seconds: float) -> str:
    """A duration for a person: `40 seconds`, `12 minutes`."""
    if seconds < 90:
        return f"{max(round(seconds / 10), 1) * 10} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
