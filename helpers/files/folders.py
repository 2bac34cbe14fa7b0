"""Folders of photos: which files are photos, which are hidden, and how folders are walked. All commands share the rule.

A photo is known by its extension, one of `helpers.files.photos.photo_extensions`. Hidden files and folders are those of
`is_hidden`. Links to folders are followed, but never back to a folder that is being walked.
"""

import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from helpers.files.photos import photo_extensions
from helpers.files.text import shown

HIDDEN = frozenset((
    "__macosx", "lost+found", "@eadir", "#recycle", "#snapshot", "$recycle.bin", "system volume information",
    "thumbs.db", "ehthumbs.db", "desktop.ini",
))  # fmt: skip
"""Names, in lower case, that macOS, Windows, Linux and network storage put beside photos."""


class Pictures(NamedTuple):
    """The files in a folder and below it, without hidden ones: the photos, and the files passed over. Both sorted."""

    photos: list[Path]
    passed_over: list[Path]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden: it starts with a dot, or is one of `HIDDEN`."""
    return name.startswith(".") or name.lower() in HIDDEN


def is_photo(name: str) -> bool:
    """Whether a file of this name is a photo, by its extension."""
    return os.path.splitext(name)[1].lower() in photo_extensions()


def composed(text: str) -> str:
    """A name in Unicode's composed form (NFC): macOS writes "é" as two characters, other systems as one."""
    return unicodedata.normalize("NFC", text)


def walk(
    folder: Path | str,
    on_error: Callable[[OSError], object] | None = None,
    skip: Callable[[Path], bool] = lambda folder: False,
) -> Iterator[tuple[Path, list[str]]]:
    """Yield (place, names of the files there, sorted) of a folder and of all folders below it, hidden ones left out.

    A link to a file that is gone counts as a file; pipes, sockets and devices do not. A folder that cannot be read is
    handed to `on_error` as the OSError, which is raised without `on_error`. Folders for which `skip` is true are left
    out.
    """
    yield from _walk(Path(folder), (), on_error, skip)


def _walk(
    place: Path,
    above: tuple[Path, ...],
    on_error: Callable[[OSError], object] | None,
    skip: Callable[[Path], bool],
) -> Iterator[tuple[Path, list[str]]]:
    here = Path(os.path.realpath(place))
    if any(folder.is_relative_to(here) for folder in above):
        return  # a link back
    try:
        with os.scandir(place) as scanned:
            entries = sorted((entry for entry in scanned if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError as error:
        if on_error is None:
            raise
        on_error(error)
        return
    kinds = {entry.name: _kind(entry) for entry in entries}
    yield place, [name for name, kind in kinds.items() if kind == "file"]
    for name, kind in kinds.items():
        if kind == "folder" and not skip(place / name):
            yield from _walk(place / name, (*above, here), on_error, skip)


def _kind(entry: os.DirEntry) -> str:
    try:
        if entry.is_dir():
            return "folder"
        is_gone = entry.is_symlink() and not os.path.exists(entry.path)
        return "file" if entry.is_file() or is_gone else "other"
    except OSError:  # a link to itself, or to a place without permission
        return "file"


def find_pictures(
    folder: Path | str,
    on_error: Callable[[OSError], object] | None = None,
    skip: Callable[[Path], bool] = lambda folder: False,
) -> Pictures:
    """The `Pictures` in a folder and below it; arguments as in `walk`.

    Raises FileNotFoundError for a missing folder.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder}: no such folder; correct the path")
    files = [place / name for place, names in walk(folder, on_error, skip) for name in names]
    photos = [path for path in files if is_photo(path.name)]
    return Pictures(photos, [path for path in files if not is_photo(path.name)])


def pictures_below(folder: Path | str) -> dict[str, list[Path]]:
    """{path below the folder, without suffix, composed: [files]} of its photos, sorted.

    Raises FileNotFoundError if there is no such folder or no photo in it.
    """
    found = find_pictures(folder)
    pictures: dict[str, list[Path]] = {}
    for path in sorted(found.photos):
        pictures.setdefault("/".join(parts_below(path, folder)), []).append(path)
    if not pictures:
        raise FileNotFoundError(no_photos(folder, found.passed_over))
    return pictures


def no_photos(folder: Path | str, passed_over: Iterable[Path] = (), unread: Iterable[str] = ()) -> str:
    """The message that there is no photo in a folder.

    It names the known formats, the files found instead, and the lines of `unread_folder` about those below it.
    """
    instead = f"; found {in_words(passed_over)}" if passed_over else ""
    if unread:
        return f"{'; '.join(unread)}; no photos in what could be read of {folder}{instead}"
    return f"{folder}: no photos there ({', '.join(sorted(photo_extensions()))}){instead}"


def unread_folder(error: OSError) -> str:
    """The line about a folder that cannot be read, from what `walk` hands to `on_error`."""
    return f"{error.filename}: {error.strerror}; allow reading it"


def in_words(paths: Iterable[Path]) -> str:
    """Files counted by their extension, with the first names of each: `2 .cr2 (a.CR2, b.CR2), 1 .txt (notes.txt)`."""
    kinds: dict[str, list[str]] = {}
    for path in paths:
        kinds.setdefault(shown(path.suffix.lower()) or "without extension", []).append(shown(path.name))
    return ", ".join(
        f"{len(names)} {kind} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for kind, names in sorted(kinds.items())
    )


def folder_of(place: Path | str) -> Path:
    """The folder at a place, or the one in which the file there lies."""
    place = Path(place)
    return place.parent if place.is_file() else place


def beside(folder: Path, ending: str, advice: str) -> Path:
    """The folder `NAME` + `ending` beside a folder.

    Raises ValueError with `advice`, what to name instead, for the root of a drive, which nothing can lie beside.
    """
    whole = folder.resolve()
    if not whole.name:
        raise ValueError(f"{folder}: no folder can lie beside a whole drive; {advice}")
    return whole.with_name(f"{whole.name}{ending}")


def parts_below(path: Path | str, folder: Path | str) -> list[str]:
    """The parts of a file's path below a folder, without suffix, composed; its bare name if it lies elsewhere."""
    try:
        *place, name = Path(os.path.relpath(path, folder)).parts
    except ValueError:  # on another drive of Windows
        *place, name = "..", Path(path).name
    stem = composed(os.path.splitext(name)[0])
    return [stem] if ".." in place else [*map(composed, place), stem]


def as_on_disk(path: Path) -> Path:
    """A path as the disk spells it, where its names are there in another Unicode form; the path itself otherwise."""
    if path.exists() or str(path).isascii() or path == path.parent:
        return path
    parent = as_on_disk(path.parent)
    try:
        same = sorted(name for name in os.listdir(parent) if composed(name) == composed(path.name))
    except OSError:
        same = []
    return parent / (same[0] if same else path.name)
