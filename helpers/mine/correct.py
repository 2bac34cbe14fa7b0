"""The third step: mattes corrected by strokes, saved at once as pairs of photo and matte.

A stroke says keep, remove or unsure. What is kept becomes 1 and what is removed 0, exactly; where it is unsure, the
matte is solved from the photo (`helpers.mine.solve`). The pairs lie in `WORK/pairs` in the layout `pairs`, with a line
for each in `WORK/pairs/corrected.csv`; the strokes beside them, so that a correction can be taken up again.

The line tells whether a pair counts. One that says `waiting` keeps its files, which a running training may still read,
until the photo is corrected again.
"""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.datasets.duplicates import digest
from helpers.datasets.pairs import Pair, read_alpha
from helpers.files.atomic import whole_file
from helpers.files.photos import read_grey, read_photo
from helpers.files.png import encode_png
from helpers.mine.lines import CONFIRMED, CORRECTED, OWN, WAITING, Line, read_lines, stamp_text, write_lines
from helpers.mine.project import Photo, Project, stamp_of
from helpers.mine.solve import solve_alpha

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # there is no such module

KEEP, REMOVE, UNSURE = 1, 2, 3
"""The values of strokes; 0 is where nothing was painted."""


class Stale(ValueError):
    """Somebody else has changed the photo since it was opened."""


class OwnMask(ValueError):
    """The photo has a mask of its owner's, and nobody has said that it may be replaced."""


class Corrections:
    """The corrected mattes of a project; several threads and processes may use the same ones."""

    def __init__(self, project: Project) -> None:
        self.project, self.folder = project, project.work / "pairs"
        self._lock = threading.Lock()

    @property
    def table(self) -> Path:
        return self.folder / "corrected.csv"

    def lines(self) -> dict[str, Line]:
        """{photo's name: its `Line`}. Raises ValueError naming a file and line that cannot be understood."""
        return read_lines(self.table)

    def how(self, name: str, lines: dict[str, Line] | None = None) -> str:
        """`CORRECTED`, `CONFIRMED`, `OWN` or `WAITING`."""
        line = self._line(name, self.lines() if lines is None else lines)
        return line.how if line else OWN if self.project.photos[name].mask else WAITING

    def revision(self, name: str) -> int:
        """How often the photo's matte was saved; 0 for never."""
        line = self.lines().get(name)
        return line.revision if line else 0

    def pair(self, photo: Photo, lines: dict[str, Line]) -> Pair | None:
        """The photo with its right matte; None if it waits, or if a file of the pair is gone."""
        if line := self._line(photo.name, lines):
            pair = Pair(self.folder / line.image, self.folder / line.mask, "grey")
            return pair if pair.image.is_file() and pair.truth.is_file() else None
        return self.project.own_pair(photo)

    def _line(self, name: str, lines: dict[str, Line]) -> Line | None:
        """The line of a photo; None if it waits, or waits again as its file has changed."""
        line = lines.get(name)
        return line if line and line.holds_for(self.project.photos[name]) else None

    def base(self, name: str) -> NDArray[np.float32]:
        """The matte (H, W) in [0, 1] before any stroke: what was there at the first of them, whoever proposes later.

        That is a matte that was confirmed or replaced, else the owner's mask, else the proposal.
        """
        if line := self._line(name, self.lines()):
            is_painted = self._strokes_file(name).is_file()
            kept = self._base_file(name) if is_painted else self.folder / line.mask
            if kept.is_file():
                return _read_matte(kept)
        pair = self.project.own_pair(self.project.photos[name])
        return (read_alpha(pair) / 255).astype(np.float32) if pair else _read_matte(self.project.proposal(name))

    def matte(self, name: str) -> NDArray[np.float32]:
        """The photo's matte (H, W) in [0, 1] as it is now."""
        line = self._line(name, self.lines())
        if line and (self.folder / line.mask).is_file():
            return _read_matte(self.folder / line.mask)
        return self.base(name)

    def strokes(self, name: str) -> NDArray[np.uint8] | None:
        """The strokes that were painted, (h, w) of `KEEP`, `REMOVE`, `UNSURE` and 0; None if there are none.

        Strokes on a file that has changed since are none.
        """
        path, line = self._strokes_file(name), self.lines().get(name)
        if not path.is_file() or (line and not line.is_of(self.project.photos[name])):
            return None
        return read_grey(path)

    def _strokes_file(self, name: str) -> Path:
        return self.project.work / "strokes" / f"{name}.png"

    def _base_file(self, name: str) -> Path:
        """Where the matte lies on which the strokes are."""
        return self.project.work / "bases" / f"{name}.png"

    def _drop_strokes(self, name: str) -> None:
        for file in (self._strokes_file(name), self._base_file(name)):
            file.unlink(missing_ok=True)

    def save(
        self, name: str, strokes: NDArray[np.uint8], seen: int | None = None, replace_own: bool = False
    ) -> tuple[int, NDArray[np.float32]]:
        """Save a photo's matte as its `strokes` (h, w), of any size, correct it; returns its revision and the matte.

        `seen` is the revision that was shown to whoever painted; None takes whatever there is. Every file is whole at
        any moment, and corrected.csv is written last. Raises `Stale` if there is another revision by now, `OwnMask` for
        a photo with a mask of its owner's unless `replace_own`, FileNotFoundError if the photo is gone, and ValueError
        if its file has changed since the folder was looked at.
        """
        strokes = np.asarray(strokes, np.uint8)
        photo = read_photo(self.project.photo_file(self._known(name)))
        base = self.base(name)
        matte = corrected(base, strokes, photo)
        with self._alone():
            self._begin(name, seen, replace_own)
            if not (self._strokes_file(name).is_file() and self._base_file(name).is_file()):
                _write_matte(self._base_file(name), base)
            with whole_file(self._strokes_file(name)) as temporary:
                temporary.write_bytes(encode_png(Image.fromarray(strokes)))
            return self._write(name, matte, CORRECTED), matte

    def confirm(self, name: str, seen: int | None = None, replace_own: bool = False) -> int:
        """Save the photo's matte as it is, as one that needs nothing corrected; errors as in `save`."""
        self._known(name)
        with self._alone():
            self._begin(name, seen, replace_own)
            how = CORRECTED if self.strokes(name) is not None else CONFIRMED
            return self._write(name, self.matte(name), how)

    def reset(self, name: str, seen: int | None = None) -> int:
        """Forget a photo's strokes, and that anybody looked at it; its revision still grows. `Stale` as in `save`.

        The pair's files stay: a training that runs may read them.
        """
        with self._alone():
            self._begin(name, seen, True)
            lines = self.lines()
            self._drop_strokes(name)
            if name not in lines:
                return 0
            return self._note(lines, lines[name]._replace(how=WAITING))

    def forget_changed(self) -> list[str]:
        """Let photos wait again whose files have changed, and drop the strokes on them; returns their names, sorted.

        A file with the same bytes and another date is the same photo.
        """
        if not self.table.is_file():
            return []
        with self._alone():
            lines, changed = self.lines(), []
            for name, line in lines.items():
                photo = self.project.photos.get(name)
                if photo is None or line.stamp == stamp_text(photo):
                    continue
                copy = self.folder / line.image
                if copy.is_file() and digest(copy) == digest(self.project.photo_file(photo)):
                    lines[name] = line._replace(stamp=stamp_text(photo))
                elif line.how != WAITING:
                    self._drop_strokes(name)
                    lines[name] = _next(line._replace(how=WAITING))
                    changed.append(name)
            write_lines(self.table, lines)
        return sorted(changed)

    def replace(self, name: str, alpha: NDArray[np.float32]) -> int:
        """Save a matte (H, W) in [0, 1] made elsewhere as the photo's right one; for scripts. Drops earlier strokes."""
        photo = self._known(name)
        if alpha.shape != tuple(photo.size):
            raise ValueError(f"{photo.file}: the matte has the shape {alpha.shape}, the photo {tuple(photo.size)}")
        with self._alone():
            self._begin(name, None, True)
            self._drop_strokes(name)
            return self._write(name, np.asarray(alpha, np.float32), CORRECTED)

    def _known(self, name: str) -> Photo:
        photo = self.project.photos[name]
        path = self.project.photo_file(photo)
        if not path.is_file():
            raise FileNotFoundError(f"{photo.file}: the photo was deleted meanwhile; put it back, or look again")
        if stamp_of(path) != photo.stamp:
            raise ValueError(f"{photo.file}: the file has changed since the folder was looked at; look at it again")
        return photo

    def _begin(self, name: str, seen: int | None, replace_own: bool) -> None:
        """Refuse a change that must not be, as `save` tells.

        Drops strokes that do not count: those painted on another file, and those of a save that was cut off.
        """
        photo, lines = self.project.photos[name], self.lines()
        there = lines[name].revision if name in lines else 0
        if seen is not None and seen != there:
            raise Stale(f"{photo.file}: changed in another window meanwhile; open the photo anew to see how it is now")
        if self.how(name, lines) == OWN and not replace_own:
            raise OwnMask(f"{photo.file}: has a mask of yours, {photo.mask}; say that it may be replaced here")
        if self._line(name, lines) is None:
            self._drop_strokes(name)

    def _write(self, name: str, matte: NDArray[np.float32], how: str) -> int:
        """Write a pair and its line; returns the revision."""
        photo, lines = self.project.photos[name], self.lines()
        before, stamp = lines.get(name), stamp_text(photo)
        source, split = self.project.photo_file(photo), "val" if photo.kept_out else "train"
        image = f"images/{split}/{name}{source.suffix.lower()}"
        mask = f"masks/{split}/{name}.png"
        is_copied = before and (before.image, before.stamp) == (image, stamp) and (self.folder / image).is_file()
        if not is_copied:
            with whole_file(self.folder / image) as temporary:
                shutil.copyfile(source, temporary)
        _write_matte(self.folder / mask, matte)
        line = Line(name, image, mask, split, how, before.revision if before else 0, "", stamp)
        return self._note(lines, line)

    def _note(self, lines: dict[str, Line], line: Line) -> int:
        """Write corrected.csv with a new revision of `line`; returns that."""
        lines[line.photo] = _next(line)
        write_lines(self.table, lines)
        return lines[line.photo].revision

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other thread, and no other process, changes the corrections during the block."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock, open(self.folder / ".corrections.lock", "wb") as file:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX)  # released when the file is closed
            yield


def _read_matte(path: Path) -> NDArray[np.float32]:
    """A matte (H, W) in [0, 1] as `_write_matte` has written it."""
    return (read_grey(path) / 255).astype(np.float32)


def _write_matte(path: Path, matte: NDArray[np.float32]) -> None:
    """Write a matte (H, W) in [0, 1] as grey PNG of 8 bits."""
    with whole_file(path) as temporary:
        temporary.write_bytes(encode_png(Image.fromarray((matte * 255).round().astype(np.uint8))))


def _next(line: Line) -> Line:
    """The next revision of a line."""
    return line._replace(revision=line.revision + 1, changed=datetime.now(UTC).isoformat(timespec="seconds"))


def corrected(base: NDArray[np.float32], strokes: NDArray[np.uint8], photo: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A matte `base` (H, W) in [0, 1] as `strokes` (h, w) correct it, for a photo (H, W, 3) uint8.

    Strokes of another size are brought to the matte's, pixel by pixel, so that what is painted holds exactly.
    """
    if strokes.shape != base.shape:
        strokes = np.asarray(cv2.resize(strokes, base.shape[::-1], interpolation=cv2.INTER_NEAREST_EXACT), np.uint8)
    matte = base.copy()
    matte[strokes == KEEP] = 1
    matte[strokes == REMOVE] = 0
    unsure = strokes == UNSURE
    if unsure.any():
        matte = solve_alpha(matte, unsure, photo)
    return matte
