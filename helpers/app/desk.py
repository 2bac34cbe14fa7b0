"""What the web page does with uploaded photos: it checks limits, cuts out, and keeps the files. Without Gradio."""

import logging
import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageColor, ImageOps

from helpers.app.temporary import temporary_home
from helpers.cutout.foreground import checkerboard, opaque, over
from helpers.cutout.matter import Matter
from helpers.cutout.output import INVISIBLE, Look, blurred_background, is_invisible, render
from helpers.files.colour_profiles import in_srgb
from helpers.files.photos import look_inside, open_photo
from helpers.files.png import encode_png

MAX_BYTES = 50_000_000  # of a file
MAX_PIXELS = 60_000_000  # of a photo
MAX_PHOTOS = 50  # in a batch
SECONDS = 60  # for a photo, waiting for those of others included
KEEP = 3600  # seconds until uploads and results are deleted
PREVIEW = 1280  # longer side of what the page shows, in pixels; what is downloaded has the photo's own size

LIMITS = (
    f"JPEG, PNG, WebP, TIFF, GIF, BMP · up to {MAX_BYTES / 1e6:g} MB and {MAX_PIXELS / 1e6:g} megapixels · "
    f"up to {SECONDS} seconds a photo · photos and results are deleted after {KEEP // 60} minutes"
)
BACKGROUNDS = ("Transparent", "White", "Colour", "Blurred", "Picture")


class Refused(ValueError):
    """The reason why there is no cutout, in words for the visitor: without paths of the server or a traceback."""


class Work(NamedTuple):
    """A photo that was cut out: the uploaded file, a folder for its results, and a note for its owner.

    All results are written before anybody gets to know the folder's name, which nobody can guess.
    """

    photo: Path
    folder: Path
    note: str

    @property
    def cutout(self) -> Path:
        """The RGBA PNG at the photo's size, named after the photo: `a.b.jpg` → `a.b_cutout.png`."""
        return self.folder / f"{self.photo.stem}_cutout.png"

    @property
    def original(self) -> Path:
        """A preview of the photo."""
        return self.folder / "original.jpg"

    @property
    def alpha(self) -> Path:
        """A preview of the alpha matte, in grey."""
        return self.folder / "alpha.jpg"

    def forget(self) -> None:
        """Delete the results; the upload is deleted in time by Gradio."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Desk:
    """Works on photos one after another in one thread, so that it needs the memory of one photo only."""

    def __init__(self, matter: Matter):
        self.matter, self.thread = matter, ThreadPoolExecutor(1)

    def cut(self, photo: Path | str) -> Work:
        """Cut out the photo in a file; returns its `Work`. The network is not needed for this photo again."""
        return self._within_limit(Path(photo).name, self._cut, Path(photo))

    def place(
        self, work: Work, kind: str, colour: str | None = None, picture: Path | str | None = None
    ) -> tuple[Path, Path]:
        """Put a cutout on a background: one of `BACKGROUNDS`, the third being `colour`, the last the file `picture`.

        Returns the paths of the PNG to download and of its preview. The network is not needed.
        """
        return self._within_limit(work.photo.name, self._place, work, kind, colour, picture)

    def cut_all(
        self, photos: Sequence[Path | str], tell: Callable[[float, str], object] = lambda done, text: None
    ) -> tuple[Path | None, str]:
        """Cut out a batch of files into one zip of RGBA PNGs: its path, None if nothing is in it, and a report.

        The report names each refused photo with the reason; the others are done. `tell` is called before every photo
        with the share that is done, in [0, 1], and a text.
        """
        if len(photos) > MAX_PHOTOS:
            return None, f"{len(photos)} photos are too many: at most {MAX_PHOTOS} at once."
        notes: list[str] = []
        names: set[str] = set()
        archive = _new_folder() / "cutouts.zip"
        with zipfile.ZipFile(archive, "w") as pack:  # PNGs get no smaller by being packed again
            for index, photo in enumerate(photos):
                tell(index / len(photos), f"{index + 1} of {len(photos)}")
                try:
                    work = self.cut(photo)
                except Refused as reason:
                    notes.append(str(reason))
                    continue
                notes += [work.note] * bool(work.note)
                pack.write(work.cutout, _free_name(work.cutout, names))
                work.forget()
        report = "\n".join([f"{len(names)} of {len(photos)} photos cut out.", *notes])
        if names:
            return archive, report
        shutil.rmtree(archive.parent)
        return None, report

    def _within_limit(self, name, task, *arguments):
        future = self.thread.submit(task, *arguments)
        try:
            return future.result(SECONDS)
        except TimeoutError:
            future.cancel()  # in case it was still waiting for others; else it goes on, for nobody
            future.add_done_callback(_forget_result)
            raise Refused(f"{name}: not done within {SECONDS} seconds; try again, or a smaller photo") from None
        except FileNotFoundError:
            raise Refused(f"{name}: deleted from the server by now; drop the photo again") from None
        except Refused:
            raise
        except Exception:
            logging.exception("a photo could not be cut out")
            raise Refused(f"{name}: could not be cut out; the server's log says why") from None

    def _cut(self, path):
        photo, note = open_checked(path)
        cutout = render(self.matter, photo, Look())
        work = Work(path, _new_folder(), note)
        work.cutout.write_bytes(encode_png(cutout))
        _preview(photo).convert("RGB").save(work.original)
        _preview(cutout.getchannel("A")).save(work.alpha)
        return work

    def _place(self, work, kind, colour, picture):
        cutout = open_photo(work.cutout)
        if kind == "Blurred":
            background = blurred_background(open_checked(work.photo)[0], cutout)
        elif kind == "Picture" and picture:
            background = ImageOps.fit(opaque(open_checked(picture)[0]), cutout.size)
        else:
            background = {"White": "white", "Colour": _hex(colour)}.get(kind)
        for earlier in work.folder.glob("*/"):
            shutil.rmtree(earlier, ignore_errors=True)
        folder = _new_folder(work.folder)  # another address each time, or a browser might show what it has seen there
        if background:
            file, placed = folder / work.cutout.name, over(cutout, background)
            file.write_bytes(encode_png(placed))
            shown = _preview(placed)
        else:
            file, shown = work.cutout, _preview(cutout)
            shown = over(shown, checkerboard(shown.size))
        shown.save(folder / "shown.jpg")
        return file, folder / "shown.jpg"


def open_checked(path: Path | str) -> tuple[Image.Image, str]:
    """The photo in an uploaded file, as from `open_photo`, and a note for its owner, or "".

    It is decoded only if its header is within the limits. Raises `Refused`, or FileNotFoundError if the file is gone.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise Refused(f"{path.name}: larger than {MAX_BYTES / 1e6:g} MB")
        pixels, note = look_inside(path)
        if pixels > MAX_PIXELS:
            raise Refused(f"{path.name}: larger than {MAX_PIXELS / 1e6:g} megapixels; make it smaller first")
        photo = open_photo(path)
        if is_invisible(photo):
            raise Refused(f"{path.name}: {INVISIBLE}")
        return photo, f"{path.name}: {note}" if note else ""
    except Refused:
        raise
    except ValueError as error:
        reason = str(error).removeprefix(f"{path}: ")
        known = reason if str(path.parent) not in reason else "not a readable picture, or a huge one"
        raise Refused(f"{path.name}: {known}") from None


def _new_folder(parent: Path | None = None) -> Path:
    folder = (parent or temporary_home()) / secrets.token_urlsafe(16)
    folder.mkdir(mode=0o700, parents=True)
    return folder


def _forget_result(future):
    if not future.cancelled() and not future.exception() and isinstance(future.result(), Work):
        future.result().forget()


def _free_name(path: Path, names: set[str]) -> str:
    """A name for a file in an archive that is not among `names` yet; it is added to them."""
    name, count = path.name, 1
    while name.casefold() in names:
        count += 1
        name = f"{path.stem}-{count}{path.suffix}"
    names.add(name.casefold())
    return name


def _preview(picture: Image.Image) -> Image.Image:
    """A small picture for the page, in sRGB: it is saved without a profile. Grey, an alpha, is no colour and stays."""
    small = picture.copy()
    small.thumbnail((PREVIEW, PREVIEW))
    return small if small.mode == "L" else in_srgb(small)


def _hex(colour: str | None) -> str | None:
    """`#rrggbb` from what a colour picker sends: `rgba(12.3, 45, 6, 1)`, a colour as it was typed, or nothing.

    Raises `Refused` for what is no colour.
    """
    if not colour:
        return None
    if colour.startswith("rgb"):
        numbers = re.findall(r"[\d.]+", colour)[:3]
        return "#" + "".join(f"{min(round(float(number)), 255):02x}" for number in numbers)
    try:
        return "#{:02x}{:02x}{:02x}".format(*ImageColor.getrgb(colour)[:3])
    except ValueError:
        raise Refused(f"{colour}: no colour; choose one, or type it as #rrggbb") from None
