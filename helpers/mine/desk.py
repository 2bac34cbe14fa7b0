"""What the page does with a project: photos opened to be corrected, strokes saved, the other steps; no Gradio in it."""

import secrets
import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helpers.files.photos import read_photo
from helpers.mine.correct import KEEP, OWN, REMOVE, UNSURE, WAITING, Corrections
from helpers.mine.measure import shrunk
from helpers.mine.project import Project
from helpers.mine.propose import tinted

SPLIT = "\n"
"""Between the parts of a ticket: no name of a file in the list has one."""

REMEMBERED = 500
"""Openings whose strokes are kept in memory."""

SHOWN = 1024
"""Longer side in pixels of the photo in the page, at which strokes are painted."""

COLOURS = {KEEP: (0, 192, 0), REMOVE: (224, 0, 0), UNSURE: (32, 96, 255)}
"""The colour of each stroke in the page."""

PAINTED = 128
"""Opacity of a stroke's pixel from which on it counts: the rim of a brush is half transparent."""


class Shown(NamedTuple):
    """A photo opened to be corrected.

    Attributes:
        ticket: what every stroke on it is sent with, see `MineDesk.save`.
        photo: (h, w, 3) uint8, at most `SHOWN` pixels long, with the strokes that were painted before.
        compared: the photo, and the photo with everything but the person tinted, both (h, w, 3).
        note: what its owner should know.
    """

    ticket: str
    photo: NDArray[np.uint8]
    compared: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    note: str


@dataclass
class Opening:
    """A photo as one window sees it: the strokes that it found, and the revision that it saw or saved last."""

    strokes: NDArray[np.uint8]
    revision: int


class MineDesk:
    """Where the page works on a project."""

    def __init__(self, folder: Path | str, work: Path | str | None = None) -> None:
        self.project = Project.open(folder, work)
        self.corrections = Corrections(self.project)
        self._openings: OrderedDict[str, Opening] = OrderedDict()

    def choices(self) -> list[tuple[str, str]]:
        """(what the list says, name) of all photos, the most doubtful first."""
        lines = self.corrections.lines()
        return [
            (f"{number + 1} · {photo.file} · {self.corrections.how(photo.name, lines)}"
             + (" · kept out" if photo.kept_out else ""), photo.name)
            for number, photo in enumerate(self.project.by_doubt())
        ]  # fmt: skip

    def neighbour(self, name: str | None, step: int) -> str:
        """The photo `step` places further in the order of doubt; the first one if there is none such."""
        names = [photo.name for photo in self.project.by_doubt()]
        if not names:
            raise ValueError("no photos there yet: look at the folder first")
        place = names.index(name) + step if name in names else 0
        return names[min(max(place, 0), len(names) - 1)]

    def open(self, name: str) -> Shown:
        """A photo with its matte and strokes as they are now. Raises FileNotFoundError if the photo is gone."""
        photo = self.project.photos[name]
        path = self.project.photo_file(photo)
        if not path.is_file():
            raise FileNotFoundError(f"{photo.file}: the photo was deleted meanwhile; look at the folder again")
        pixels = shrunk(read_photo(path), SHOWN)
        strokes = self.corrections.strokes(name)
        if strokes is None or strokes.shape != pixels.shape[:2]:
            strokes = np.zeros(pixels.shape[:2], np.uint8)
        opening, how = secrets.token_hex(8), self.corrections.how(name)
        self._openings[opening] = Opening(strokes, self.corrections.revision(name))
        while len(self._openings) > REMEMBERED:
            self._openings.popitem(last=False)
        note = f"{photo.file}: {how}"
        if how == OWN:
            note += ". This mask is yours: tick “Replace my mask” to correct it here"
        if how == WAITING and photo.kept_out:
            note += ". Kept out of the training, to measure on: correct it, or say that nothing is to be corrected"
        compared = self._compared(pixels, self.corrections.matte(name))
        return Shown(f"{name}{SPLIT}{opening}", with_strokes(pixels, strokes), compared, note)

    def save(self, ticket: str, layer: NDArray[np.uint8], replace_own: bool) -> tuple[tuple, str] | None:
        """Save the strokes in a painted `layer` (h, w, 4) of RGBA; what to compare and a note.

        The ticket tells the photo and its opening: the layer lies on the strokes that the opening found. None if there
        is nothing new to save. Raises as `Corrections.save`, and ValueError for an opening that nobody remembers.
        """
        name = photo_of(ticket)
        opening = self._opening(ticket, name)
        earlier, there = opening.strokes, self.corrections.strokes(name)
        new = labels_of(layer)
        if new.shape != earlier.shape:
            raise ValueError(f"{name}: painted on {new.shape}, shown was {earlier.shape}; open the photo again")
        strokes = np.where(new > 0, new, earlier)
        if np.array_equal(strokes, np.zeros_like(strokes) if there is None else there):
            return None
        opening.revision, matte = self.corrections.save(name, strokes, opening.revision, replace_own)
        photo = self.project.photos[name]
        pixels = shrunk(read_photo(self.project.photo_file(photo)), SHOWN)
        return self._compared(pixels, matte), f"{photo.file}: saved"

    def confirm(self, ticket: str, name: str | None, replace_own: bool) -> None:
        """Nothing is to be corrected on the photo `name`, which the list shows.

        Raises as `Corrections.confirm`, and ValueError unless the ticket is of that photo: until it is open, the photo
        before it is seen.
        """
        opening = self._opening(ticket, name)
        opening.revision = self.corrections.confirm(photo_of(ticket), opening.revision, replace_own)

    def reset(self, ticket: str, name: str | None) -> None:
        """Forget the strokes of the photo `name`. Raises as `Corrections.reset`, and ValueError as `confirm`."""
        opening = self._opening(ticket, name)
        self.corrections.reset(photo_of(ticket), opening.revision)
        self._openings.pop(ticket.rpartition(SPLIT)[2], None)  # a stroke that is still under way comes too late

    def _opening(self, ticket: str, name: str | None) -> "Opening":
        """The opening of the photo `name`; ValueError if the ticket is another photo's, or nobody remembers it."""
        opened, _, number = ticket.rpartition(SPLIT)
        if opened and opened != name:
            raise ValueError(f"{name}: the photo is still being opened; try again when it is shown")
        if number not in self._openings:
            raise ValueError(f"{opened or 'no photo'}: was opened too long ago; open the photo again")
        return self._openings[number]

    def _compared(self, photo: NDArray[np.uint8], matte: NDArray[np.float32]) -> tuple:
        return photo, tinted(photo, (matte * 255).round().astype(np.uint8), SHOWN)

    def start(self, step: str, **options: Path | str) -> "Job":
        """Begin a step of the command in a process of its own, which goes on when the page is closed.

        `options` are those of the command that name a file or folder. The process works in another folder: so relative
        paths, which hold from where the page was started, are made absolute.
        """
        command = [sys.executable, "-m", "helpers.mine", str(self.project.folder.absolute()), step]
        for name, path in {"work": self.project.work, **options}.items():
            command += [f"--{name}", str(Path(path).absolute())]
        return Job(command, self.project.work / f"{step}.log")

    def reload(self) -> None:
        """Read the state anew, after a step has changed it."""
        self.project = Project.open(self.project.folder, self.project.work)
        self.corrections = Corrections(self.project)


class Job:
    """A step that runs in a process of its own, its output in a file."""

    def __init__(self, command: list[str], log: Path) -> None:
        self.log = log
        with open(log, "wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
                                            cwd=Path(__file__).parents[2])  # fmt: skip

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def last_lines(self, count: int = 12) -> str:
        """The end of what the step has printed; of a progress bar, its latest state."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        lines = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
        return "\n".join([line for line in lines if line][-count:])


def photo_of(ticket: str) -> str:
    """The name of the photo that a ticket was given for."""
    return ticket.rpartition(SPLIT)[0]


def with_strokes(photo: NDArray[np.uint8], strokes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A photo (h, w, 3) with strokes (h, w) half transparent on it."""
    shown = photo.copy()
    for label, colour in COLOURS.items():
        shown[strokes == label] = photo[strokes == label] // 2 + np.array(colour, np.uint8) // 2
    return shown


def labels_of(layer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The strokes (h, w) in a painted layer (h, w, 4): of each opaque pixel the label with the nearest colour."""
    names = np.array(list(COLOURS), np.uint8)
    distances = [np.square(layer[..., :3].astype(np.int32) - colour).sum(-1) for colour in COLOURS.values()]
    return np.where(layer[..., 3] >= PAINTED, names[np.argmin(distances, axis=0)], 0).astype(np.uint8)
