"""Files and folders of photos cut out into files: which output belongs to which, and the work, several at a time."""

import threading
import unicodedata
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from helpers.cutout.output import render
from helpers.files.atomic import whole_file
from helpers.files.folders import find_pictures, is_photo, no_photos
from helpers.files.photos import look_inside, open_photo
from helpers.files.png import encode_png

PIXELS_AT_ONCE = 60_000_000
"""Photos of together more pixels are not worked on at the same time; a larger one is, alone. It bounds the memory."""


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

    def __str__(self):
        rate = self.done / max(self.seconds, 1e-9)
        return f"{self.done} done, {len(self.skipped)} skipped, {rate:.2f} images/s"


def plan(paths, out=None):
    """Which file is written for which photo, as a `Plan`; nothing is touched yet.

    `paths` are files, and folders in which photos are looked for as in `helpers.files.folders`, in sub-folders, too.
    With `out`, a folder, `photo.jpg` becomes `out/photo.png` and `FOLDER/sub/photo.jpg` `out/sub/photo.png`;
    `out` may name the file itself if there is one photo and the name ends in .png. Without it they become
    `photo_cutout.png` beside the photo and `FOLDER_cutouts/sub/photo.png` beside the folder.

    No two photos get one output, even where upper and lower case are the same, and none gets the place of one of the
    photos: they are told apart as `photo.jpg.png`, then `photo.jpg-2.png`, in the order of their paths.
    Raises FileNotFoundError for a missing path and for folders without photos, ValueError for an `out` that cannot be.
    """
    paths, out = [Path(path) for path in paths], Path(out) if out else None
    if out and not out.is_dir() and (out.exists() or is_photo(out.name)):
        if len(paths) > 1 or paths[0].is_dir() or out.suffix.lower() != ".png":
            raise ValueError(f"{out}: must be a folder, or end in .png to be the cutout of a single photo")
        if _key(out) == _key(paths[0]):
            raise ValueError(f"{out}: is the photo itself, which would be overwritten; give the cutout another name")
        return Plan([(_existing(paths[0]), out)], [], [])
    wishes, skipped, passed_over = {}, [], []  # {photo: (folder of its output, what is added to its name)}
    for path in paths:
        if path.is_dir():
            place = out or path.resolve().with_name(f"{path.resolve().name}_cutouts")
            found = _pictures_below(path, place, skipped)
            passed_over += found.passed_over
            for file in found.photos:
                wishes.setdefault(_key(file), (file, place / file.relative_to(path).parent, ""))
        else:
            wishes.setdefault(_key(_existing(path)), (path, out or path.parent, "" if out else "_cutout"))
    if not wishes:
        raise FileNotFoundError(no_photos(", ".join(map(str, paths)), passed_over))
    return Plan(_told_apart(wishes), skipped, passed_over)


def cut_files(matter, outputs, look, jobs):
    """Write the `outputs` of a plan with a `Matter` in this `Look`, `jobs` at a time; returns the `Outcome`.

    A progress bar, and what is skipped and why, go to the error output. Whatever a photo or its place holds against
    it, the others are done. Ctrl-C ends it after the photos begun: all files are whole.
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
                    bar.write(note, file=bar.fp)
                bar.update()
        finally:
            pool.shutdown(cancel_futures=True)
    return Outcome(len(outputs) - len(skipped), skipped, perf_counter() - begin)


def cut_bytes(matter, data, look, name):
    """The PNG file, as `bytes`, of the photo in the `bytes` of a file, and a note of what was left out of it or None.

    Raises ValueError by its `name` for what is no readable photo.
    """
    _, note = look_inside(data, name)
    return encode_png(render(matter, open_photo(data, name), look)), f"{name}: {note}" if note else None


def reason_of(path, error):
    """The line that tells why there is no cutout of a photo, with its name in any case."""
    text = str(error) or type(error).__name__
    return text if str(path) in text else f"{path}: {text}"


def _cut(matter, photo, target, look, room):
    """Write one output if it can be; returns whether it is done, and a note or None.

    What was raised is told and dropped here, not kept for the end: with it would be kept what the photo has of memory.
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


def _pictures_below(folder, place, skipped):
    """The `Pictures` in a folder and its sub-folders; not those in `place`, where the cutouts are.

    A line is added to `skipped` for each folder that cannot be read.
    """
    taken = _key(place)
    return find_pictures(
        folder,
        on_error=lambda error: skipped.append(f"skipped: {Path(error.filename)}: {error.strerror}"),
        skip=lambda below: _key(below) == taken,
    )


def _existing(path):
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder")
    return path


def _told_apart(wishes):
    """[(photo, output)] of {key: (photo, folder, addition to its name)}, no output twice or in the place of a photo."""
    names = {key: _names(*wish) for key, wish in wishes.items()}
    targets = {key: next(candidates) for key, candidates in names.items()}
    wanted, taken = Counter(map(_key, targets.values())), set(wishes)
    clashing = [key for key, target in targets.items() if wanted[_key(target)] > 1 or _key(target) in taken]
    taken.update(wanted)
    for key in clashing:
        targets[key] = next(target for target in names[key] if _key(target) not in taken)
        taken.add(_key(targets[key]))
    return [(photo, targets[key]) for key, (photo, _, _) in wishes.items()]


def _names(photo, folder, addition):
    """The places for the cutout of a photo, the nicest first: photo.png, photo.jpg.png, photo.jpg-2.png, …"""
    stem = photo.stem if is_photo(photo.name) else photo.name  # of "12.5.2024", no part is lost
    tails = chain([stem, photo.name], (f"{photo.name}-{number}" for number in count(2)))
    return (folder / f"{tail}{addition}.png" for tail in tails)


def _key(path):
    """What two paths share if they may be the same file: other spellings, upper and lower case, links to folders."""
    return unicodedata.normalize("NFC", str(path.parent.resolve() / path.name)).casefold()
