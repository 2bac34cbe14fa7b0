"""The path as a whole: the steps in their order, what was done, what is next, and how long that takes."""

from pathlib import Path
from typing import Any, NamedTuple

from helpers.cutout import Matter, load_matter
from helpers.mine.correct import CONFIRMED, CORRECTED, OWN, Corrections
from helpers.mine.lesson import lesson_of, shown
from helpers.mine.look import look
from helpers.mine.measure import FEWEST
from helpers.mine.project import Photo, Project, fingerprint_of, is_default, stamp_of
from helpers.mine.propose import draw_sheet, propose
from helpers.mine.report import REPORT, commands, measure, write_report
from helpers.mine.train import parts_of, settings_for, train, training_folder
from helpers.mine.verdict import Verdict
from helpers.mine.words import command, counted, in_words

FIRST = 10
"""Photos that are worth correcting first, the most doubtful."""

TRAINING = {True: 0.5, False: 3.0}
"""How many times as long as its matte training on a photo takes, roughly, by `Config.coarse`.

The training itself tells the time left.
"""


class Count(NamedTuple):
    """How far the corrections of a project are; `waiting` counts those of the first and those kept out, each once."""

    photos: int
    looked_at: int
    kept_out: int
    kept_out_looked_at: int
    first_waiting: int
    waiting: int

    @property
    def can_train(self) -> bool:
        """Whether something was looked at to learn from, and something to measure on."""
        return self.looked_at > self.kept_out_looked_at > 0


def count_of(project: Project) -> Count:
    """How many photos there are, were looked at, are kept out, and wait among the most doubtful ones."""
    corrections = Corrections(project)
    lines = corrections.lines()
    right = {name for name in project.photos if corrections.how(name, lines) in (CORRECTED, CONFIRMED, OWN)}
    kept_out = {photo.name for photo in project.photos.values() if photo.kept_out}
    first = {photo.name for photo in project.by_doubt()[:FIRST]}
    return Count(
        len(project.photos), len(right), len(kept_out), len(right & kept_out), len(first - right),
        len((first | kept_out) - right),
    )  # fmt: skip


def starting_weights(weights: Path | str | None = None) -> Path:
    """The weight file to start from: the given one, else the lite network that comes with the project.

    Raises FileNotFoundError if it is not there.
    """
    from helpers.networks.pretrained import FOLDER, find_shipped

    path = Path(weights) if weights else find_shipped("u2net_lite")
    if path is None or not path.is_file():
        raise FileNotFoundError(f"{path or FOLDER}: no weights to start from; name some with --weights FILE")
    return path


def look_and_propose(project: Project, weights: Path, workers: int | None = None, matter: Matter | None = None) -> int:
    """Look at the photos and propose a matte for each new one; returns how many were proposed. Errors as in `look`."""
    look(project, workers)
    proposed = propose(project, matter or load_matter(weights), fingerprint_of(weights))
    if project.photos:
        draw_sheet(project)
    return proposed


def train_and_report(project: Project, weights: Path, backgrounds: Path | None = None, **changes: Any) -> Verdict:
    """Train on what was corrected, measure and write the report; errors as in `lesson_of` and `train`.

    Raises ValueError, and changes nothing, where another process does so in this project, and where photos have changed
    since the folder was looked at.
    """
    from helpers.networks.pretrained import find_shipped
    from helpers.training.lock import alone_in  # torch takes seconds to import

    if changed := [photo.file for photo in project.photos.values() if _is_another(project.photo_file(photo), photo)]:
        named = None if weights == find_shipped("u2net_lite") else str(weights)
        raise ValueError(
            f"{project.folder}: {counted(len(changed), 'file')}, such as {changed[0]}, changed since the folder was "
            f"looked at; look at it again: {step_command(project, 'propose', named)}"
        )
    lesson = lesson_of(project)
    folder = training_folder(project)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):  # from the first file that is set aside to the last weights that are measured
        finished = train(project, weights, lesson, backgrounds, **changes)
        measured = measure(load_matter(weights), finished, lesson.kept_out)
        return write_report(project, lesson, measured, weights, finished)


def _is_another(file: Path, photo: Photo) -> bool:
    return file.is_file() and stamp_of(file) != photo.stamp


def found(project: Project) -> list[str]:
    """Lines that tell what looking at the photos found."""
    masks = sum(bool(photo.mask) for photo in project.photos.values())
    lines = [counted(len(project.photos))
             + (f", {masks} of them with masks of yours, which are taken over" if masks else "")]  # fmt: skip
    for title, texts in (("left out", project.left_out), ("good to know", project.notes)):
        if texts:
            lines.append(f"{title}: {len(texts)}")
            lines += [f"  {file}: {reason}" for file, reason in list(texts.items())[:10]]
            lines += [f"  … and {len(texts) - 10} more in {project.work / 'mine.json'}"] * (len(texts) > 10)
    return lines


def what_is_next(project: Project, weights: str | None = None) -> list[str]:
    """Lines that tell how far a project is, what is next and how long that takes; `weights` as the user named them."""
    count = count_of(project)
    if not count.photos:
        return ["next: look at the photos and propose a matte for each"]
    lines = [
        f"{count.looked_at} of {count.photos} photos have a right matte; "
        f"of the {count.kept_out} kept out to measure on, {count.kept_out_looked_at}"
    ]
    if not count.can_train or count.first_waiting or count.kept_out_looked_at < min(FEWEST, count.kept_out):
        lines.append(
            f"next: correct or confirm what is left of the {FIRST} most doubtful photos and of those kept out, "
            f"{count.waiting} in all, about {in_words(60 * count.waiting)}"
        )
    if count.can_train:
        if count.kept_out < FEWEST:
            lines.append(
                f"only {counted(count.kept_out)} kept out: the report can tell from {FEWEST} on whether a training "
                "helped; add photos, and look at the folder again"
            )
        seconds, line = training_seconds(project), step_command(project, "train", weights)
        lines.append(f"next: train, about {in_words(seconds)}: {line}")
    if (project.work / REPORT).is_file():
        lines.append(f"the last report: {project.work / REPORT}")
    return lines


def training_seconds(project: Project) -> float:
    """How long both trainings take, roughly, by the time that the network needs for a photo.

    Every epoch looks at the photos kept out as well.
    """
    lesson = lesson_of(project)
    looks = sum(
        config.epochs * (TRAINING[config.coarse] * shown(taught) + len(lesson.kept_out))
        for taught, config in parts_of(lesson, settings_for(lesson)).values()
    )
    return looks * max(project.pace, 0.02)


def step_command(project: Project, step: str, weights: str | None = None) -> str:
    """The command of a step of a project, with the `weights` that the user named, if any."""
    parts: list[str | Path] = [project.folder, step]
    if not is_default(project.work, project.folder):
        parts += ["--work", project.work]
    if weights:
        parts += ["--weights", weights]
    return command("helpers.mine", *parts)


def concluded(project: Project, verdict: Verdict) -> list[str]:
    """Lines that tell the verdict, where the report is, and how to use the network if it is better."""
    lines = [verdict.better, verdict.more, f"report: {project.work / REPORT}"]
    return lines + (["to use it:", *(f"  {line}" for line in commands(project))] if verdict.is_better else [])
