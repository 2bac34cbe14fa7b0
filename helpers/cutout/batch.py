"""Photos in files and folders, cut out into files: which file is written for which photo, and the work itself."""

import re
import sys
import threading
import unicodedata
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from helpers.cutout.matter import Matter
from helpers.cutout.output import Look, render
from helpers.files.atomic import whole_file
from helpers.files.folders import beside, find_pictures, is_photo, no_photos, unread_folder
from helpers.files.photos import look_inside, open_photo
from helpers.files.png import encode_png

PIXELS_AT_ONCE = 60_000_000
"""The most pixels of the photos that are worked on at a time. It bounds the memory; a larger photo is done alone."""


_NO_MEMORY = re.compile("(can't|cannot|failed to|tried to) allocate", re.IGNORECASE)  # OpenCV and torch


class Plan(NamedTuple):
    """What is to be done: [(photo, its output)], a line for each folder that cannot be read, and the other files."""

    outputs: list[tuple[Path, Path]]
    skipped: list[str]
    passed_over: list[Path]


class Outcome(NamedTuple):
    """What was done: how many photos, a line for each that was skipped, and the seconds it took."""

    done: int
    skipped: list[str]
    seconds: float

    def __str__(self) -> str:
        rate = self.done / max(self.seconds, 1e-9)
        return f"{self.done} done, {len(self.skipped)} skipped, {rate:.2f} images/s"


def plan(paths: Iterable[Path | str], out: Path | str | None = None) -> Plan:
    """Which file is written for which photo, as a `Plan`; nothing is touched yet.

    `paths` are files, and folders in which photos are looked for as in `helpers.files.folders`, in sub-folders, too.
    With `out`, a folder, `photo.jpg` becomes `out/photo.png` and `FOLDER/sub/photo.jpg` `out/sub/photo.png`;
    `out` may name the file itself if there is one photo and the name ends in .png. Without it they become
    `photo_cutout.png` beside the photo and `FOLDER_cutouts/sub/photo.png` beside the folder.

    No two photos get the same output, even where upper and lower case are the same, and no output replaces one of the
    photos. Such outputs are named `photo.jpg.png`, then `photo.jpg-2.png`, in the order of the photos' paths.
    Raises FileNotFoundError for a missing path and for folders without photos, and ValueError for an impossible `out`
    and for a pipe.
    """
    return _plan([Path(path) for path in paths], Path(out) if out else None)


def _plan(paths: list[Path], out: Path | None) -> Plan:
    if out and not out.is_dir() and (out.exists() or is_photo(out.name)):
        if len(paths) > 1 or paths[0].is_dir() or out.suffix.lower() != ".png":
            raise ValueError(f"{out}: must be a folder, or end in .png to be the cutout of a single photo")
        if _key(out) == _key(paths[0]):
            raise ValueError(f"{out}: is the photo itself, which would be overwritten; give the cutout another name")
        return Plan([(_existing(paths[0]), out)], [], [])
    # the photo's identity: the photo itself, the folder of its output, what its name gets
    requests: dict[tuple[str, int], tuple[Path, Path, str]] = {}
    unread: list[str] = []
    passed_over: list[Path] = []
    for path in paths:
        if path.is_dir():
            place = out or _beside(path)
            found = _pictures_below(path, place, unread)
            passed_over += found.passed_over
            for file in found.photos:
                requests.setdefault(_identity(file), (file, place / file.relative_to(path).parent, ""))
        else:
            requests.setdefault(_identity(_existing(path)), (path, out or path.parent, "" if out else "_cutout"))
    if not requests:
        raise FileNotFoundError(no_photos(", ".join(map(str, paths)), passed_over, unread))
    return Plan(_distinct(requests), [f"skipped: {line}" for line in unread], passed_over)


def cut_files(matter: Matter, outputs: list[tuple[Path, Path]], look: Look, jobs: int) -> Outcome:
    """Write the `outputs` of a plan with a `Matter` in this `Look`, `jobs` at a time; returns the `Outcome`.

    The error output gets a progress bar, and a line with the reason for each photo that is skipped; the others are
    done. After Ctrl-C, the photos at hand are finished, so that all files are whole.
    """
    from tqdm import tqdm  # takes as long to import as all of this module

    room, skipped, begin = _Room(PIXELS_AT_ONCE), [], perf_counter()
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(outputs), desc="cutting out", unit="photo") as bar:
        work = [pool.submit(_cut, matter, photo, target, look, room) for photo, target in outputs]
        try:
            for future in as_completed(work):
                is_done, note = future.result()
                if not is_done:
                    skipped.append(note)
                if note:
                    bar.write(note, file=sys.stderr)
                bar.update()
        finally:
            pool.shutdown(cancel_futures=True)
    return Outcome(len(outputs) - len(skipped), skipped, perf_counter() - begin)


def cut_bytes(matter: Matter, data: bytes, look: Look, name: str) -> tuple[bytes, str | None]:
    """The PNG file (`bytes`) for a photo file (`bytes`), and a note on frames or pages that were left out, or None.

    Raises ValueError with the `name` if it is not a readable photo.
    """
    _, note = look_inside(data, name)
    return encode_png(render(matter, open_photo(data, name), look)), f"{name}: {note}" if note else None


def reason_of(path: Path | str, error: Exception) -> str:
    """The line that says why there is no cutout of a photo; it always names the photo."""
    text = str(error) or type(error).__name__
    if isinstance(error, MemoryError) or _NO_MEMORY.search(text):
        text = "not enough memory; a smaller photo, or network input (--size), needs less"
    return text if str(path) in text else f"{path}: {text}"


def _cut(matter, photo, target, look, room):
    """Write one output if it can be; returns whether it is done, and a note or None.

    An error becomes a line here. If it was kept until the end, the photo's memory would be kept with it.
    """
    try:
        return True, _write(matter, photo, target, look, room)
    except Exception as error:  # a decoder may raise anything on a broken file, a network run out of memory
        return False, f"skipped: {reason_of(photo, error)}"


def _write(matter, photo, target, look, room):
    if target.exists() and not target.stat().st_mode & 0o222:  # a rename would replace it all the same
        raise PermissionError(f"{photo}: {target} is read-only")
    pixels, note = look_inside(photo)
    with room.for_pixels(pixels):
        encoded = encode_png(render(matter, open_photo(photo), look))
    with whole_file(target) as temporary:
        temporary.write_bytes(encoded)
    return f"{photo}: {note}" if note else None


class _Room:
    """Lets photos in while there is room for their pixels; when nobody is in, one of any size."""

    def __init__(self, pixels):
        self.free = self.all = pixels
        self.changed = threading.Condition()

    @contextmanager
    def for_pixels(self, pixels):
        """Wait for room, and keep it during the block."""
        pixels = min(pixels, self.all)
        with self.changed:
            self.changed.wait_for(lambda: pixels <= self.free)
            self.free -= pixels
        try:
            yield
        finally:
            with self.changed:
                self.free += pixels
                self.changed.notify_all()


def _beside(folder):
    """Where the cutouts of a folder's photos go by themselves: beside it."""
    return beside(folder, "_cutouts", "name one for the cutouts: -o FOLDER")


def _pictures_below(folder, place, unread):
    """The `Pictures` in a folder and its sub-folders; not those in `place`, where the cutouts are.

    A line is added to `unread` for each folder that cannot be read.
    """
    taken = _key(place)
    return find_pictures(
        folder,
        on_error=lambda error: unread.append(unread_folder(error)),
        skip=lambda below: _key(below) == taken,
    )


def _existing(path):
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder; correct the path of the photos")
    if not path.is_file():
        raise ValueError(f"{path}: neither a file nor a folder; give a pipe's photo to the standard input, as -")
    return path


def _distinct(requests):
    """[(photo, output)] of {identity: (photo, folder, addition to its name)}.

    No output is there twice or in the place of a photo.
    """
    names = {key: _names(*request) for key, request in requests.items()}
    targets = {key: next(candidates) for key, candidates in names.items()}
    wanted, taken = Counter(map(_key, targets.values())), {key for key, _ in requests}
    clashing = [key for key, target in targets.items() if wanted[_key(target)] > 1 or _key(target) in taken]
    taken.update(wanted)
    for key in clashing:
        targets[key] = next(target for target in names[key] if _key(target) not in taken)
        taken.add(_key(targets[key]))
    return [(photo, targets[key]) for key, (photo, _, _) in requests.items()]


def _names(photo, folder, addition):
    """The places for the cutout of a photo, the nicest first: photo.png, photo.jpg.png, photo.jpg-2.png, …"""
    stem = photo.stem if is_photo(photo.name) else photo.name  # of "12.5.2024", no part is lost
    tails = chain([stem, photo.name], (f"{photo.name}-{number}" for number in count(2)))
    return (folder / f"{tail}{addition}.png" for tail in tails)


def _identity(path):
    """What two paths share if they are the same photo: `a.jpg` and `A.jpg` can be two photos, or one."""
    try:
        return _key(path), path.stat().st_ino
    except OSError:  # a link to a file that is gone
        return _key(path), 0


def _key(path):
    """What two paths share if they may be the same file: other spellings, upper and lower case, links to folders."""
    return unicodedata.normalize("NFC", str(path.parent.resolve() / path.name)).casefold()
