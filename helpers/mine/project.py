"""The state of a project: a folder of photos, a work folder beside it, and one JSON file that tells what was done.

Nothing is ever written into the folder of photos. Every step reads the state, does its part and writes the state. So
it can be stopped and continued.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from helpers.datasets.pairs import Pair
from helpers.files.atomic import whole_file
from helpers.files.folders import beside
from helpers.files.text import check_utf8

STATE = "mine.json"
FORMAT = 1
"""Version of the state file; another one is refused."""


@dataclass(frozen=True)
class Photo:
    """One photo of the project.

    Attributes:
        name: its path below the folder without extension, unique; it names the photo's files in the work folder.
        file: its path below the folder, with forward slashes.
        size: (height, width) in pixels, as it is shown.
        stamp: bytes and time of change of the file; another stamp means another photo.
        kept_out: whether it is never trained on, only measured on.
        mask: the user's own mask of it, a path below the folder, and `reading` how that is meant; "" if there is none.
        proposed_by: fingerprint of the weights that proposed the matte; "" if there is no proposal.
        doubt: how doubtful the proposal is, 0 for not at all.
        sure: whether the proposal may teach although nobody has looked at it.
    """

    name: str
    file: str
    size: tuple[int, int]
    stamp: tuple[int, int]
    kept_out: bool = False
    mask: str = ""
    reading: str = ""
    proposed_by: str = ""
    doubt: float = 0.0
    sure: bool = False


@dataclass
class Project:
    """A folder of photos and its work folder; `Project.open` reads the state that is there.

    Attributes:
        folder: the photos. work: everything that is written.
        photos: {name: `Photo`}, sorted by name. left_out: {file: reason}.
        notes: {file: what its owner should know}, such as that it is small.
        pace: seconds that the network needs for one photo; 0 if not known yet.
    """

    folder: Path
    work: Path
    photos: dict[str, Photo] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    pace: float = 0.0

    @classmethod
    def open(cls, folder: Path | str, work: Path | str | None = None) -> "Project":
        """The project of a folder of photos. `work` is by default `default_work(folder)`.

        Raises FileNotFoundError if there is no such folder, PermissionError if the work folder cannot be written, and
        ValueError for a work folder that belongs to other photos, a state file that is damaged or of another version,
        and a folder whose name is not in UTF-8.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise FileNotFoundError(f"{folder}: no such folder; give the folder that holds your photos")
        work = Path(work) if work else default_work(folder)
        check_utf8(folder.resolve(), "folder")  # the state names it
        try:
            work.mkdir(parents=True, exist_ok=True)
            writable = os.access(work, os.W_OK)
        except OSError as error:
            raise PermissionError(
                f"{work}: cannot be made ({error.strerror}); name another place with --work DIR"
            ) from error
        if not writable:
            raise PermissionError(f"{work}: cannot be written; name another place with --work DIR")
        project = cls(folder, work)
        if (work / STATE).is_file():
            owner = project._read()
            if not is_default(work, folder) and owner.is_dir() and not owner.samefile(folder):
                raise ValueError(
                    f"{work}: is the work folder of {owner}; name another one for {folder} with --work DIR"
                )
        return project

    def _read(self) -> Path:
        """Take over what the state file says; the folder of photos that it was written for."""
        path = self.work / STATE
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if state["format"] != FORMAT:
                raise ValueError(f"format {state['format']!r}")
            rows = [
                Photo(**row | {"size": tuple(row["size"]), "stamp": tuple(row["stamp"])}) for row in state["photos"]
            ]
            self.photos = {photo.name: photo for photo in rows}
            self.left_out, self.notes = dict(state["left_out"]), dict(state["notes"])
            self.pace = float(state["pace"])
            return Path(state["folder"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: not a readable state of a project ({error}); delete it and look at the photos again: "
                "your corrections lie in other files and stay"
            ) from error

    def save(self) -> None:
        """Write the state; the file is always whole."""
        state: dict[str, Any] = {
            "format": FORMAT, "folder": str(self.folder.resolve()), "pace": round(self.pace, 4),
            "photos": [asdict(photo) for photo in self.photos.values()],
            "left_out": self.left_out, "notes": self.notes,
        }  # fmt: skip
        with whole_file(self.work / STATE) as temporary:
            temporary.write_text(json.dumps(state, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

    def set(self, name: str, **changes: Any) -> None:
        """Change fields of a photo; the state is not saved yet."""
        self.photos[name] = replace(self.photos[name], **changes)

    def leave_out(self, name: str, reason: str) -> None:
        """Take a photo out of the project, and keep the reason for its owner."""
        self.left_out[self.photos.pop(name).file] = reason

    def photo_file(self, photo: Photo) -> Path:
        """The file of a photo."""
        return self.folder / photo.file

    def proposal(self, name: str) -> Path:
        """Where the proposed matte of a photo lies, as grey PNG."""
        return self.work / "proposals" / f"{name}.png"

    def own_pair(self, photo: Photo) -> Pair | None:
        """Photo and the mask that its owner had already; None without one."""
        if not photo.mask:
            return None
        return Pair(self.photo_file(photo), self.folder / photo.mask, photo.reading)

    def by_doubt(self) -> list[Photo]:
        """All photos, the most doubtful proposal first; those with a mask of their owner's come last."""
        return sorted(self.photos.values(), key=lambda photo: (bool(photo.mask), -photo.doubt, photo.name))


def default_work(folder: Path) -> Path:
    """The work folder of a folder of photos, where no other one is named: `NAME_mine` beside it.

    Raises ValueError for the root of a drive, which nothing can lie beside.
    """
    return beside(folder, "_mine", "name the work folder with --work DIR")


def is_default(work: Path, folder: Path) -> bool:
    """Whether `work` is the `default_work` of a folder of photos."""
    return bool(folder.resolve().name) and work.resolve() == default_work(folder)


def stamp_of(path: Path) -> tuple[int, int]:
    """Bytes and time of change of a file, in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def fingerprint_of(weights: Path) -> str:
    """What tells one weight file from another: the first digits of its SHA-256."""
    with open(weights, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
