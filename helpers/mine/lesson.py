"""What a project has to train on: photos that somebody has looked at, sure proposals, and what is kept out."""

import hashlib
from typing import NamedTuple

from helpers.datasets.duplicates import digest
from helpers.datasets.pairs import Pair
from helpers.datasets.splits import rank_of
from helpers.mine.correct import Corrections
from helpers.mine.project import Project, stamp_of
from helpers.mine.words import counted

CHECKED_SHARE = 0.5
"""Share of the pictures shown that somebody has looked at, as far as `MOST_WEIGHT` allows."""

MOST_WEIGHT = 8.0
"""How often an epoch shows a checked photo at most."""


class Lesson(NamedTuple):
    """What is trained on: pairs that somebody has looked at, sure proposals, and what is kept out to measure on."""

    checked: list[Pair]
    proposed: list[Pair]
    kept_out: list[Pair]

    @property
    def photos(self) -> int:
        return len(self.checked) + len(self.proposed)

    def content(self, backgrounds: bytes = b"") -> str:
        """A fingerprint of the bytes that are trained on: of every photo and mask but those kept out.

        `backgrounds` are the digests of those that the people are put in front of, and count as well.
        """
        seen = hashlib.sha256()
        for pair in self.checked + self.proposed:
            seen.update(digest(pair.image) + digest(pair.truth))
        seen.update(backgrounds)
        return seen.hexdigest()

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
            if pair.truth.is_file() and pair.image.is_file() and stamp_of(pair.image) == photo.stamp:
                proposed.append(pair)
    if not kept_out:
        names = ", ".join(photo.file for photo in project.by_doubt() if photo.kept_out) or "none"
        raise ValueError(
            f"{project.folder}: nothing to measure on: correct or confirm some of the photos that are kept out first "
            f"({names})" if names != "none" else
            f"{project.folder}: {counted(len(project.photos))}, too few to keep one out; add some and look again"
        )  # fmt: skip
    if not checked:
        raise ValueError(f"{project.folder}: nothing to learn from: correct or confirm some photos first")
    return Lesson(sorted(checked), sorted(proposed), sorted(kept_out))


def weight_of(lesson: Lesson) -> float:
    """How often an epoch shows each checked photo."""
    wanted = CHECKED_SHARE / (1 - CHECKED_SHARE) * len(lesson.proposed) / max(len(lesson.checked), 1)
    return min(max(wanted, 1.0), MOST_WEIGHT)


def shown(lesson: Lesson) -> int:
    """Pictures that an epoch shows, composites aside: checked ones, some of them several times, and proposals."""
    return round(weight_of(lesson) * len(lesson.checked)) + len(lesson.proposed)
