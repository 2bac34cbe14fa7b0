"""Walking folders of pictures."""

import os
from pathlib import Path

from helpers.files.photos import EXTENSIONS


def pictures_below(folder):
    """{path below the folder, without suffix: [files]} of its pictures, sorted; hidden ones are passed over.

    Raises FileNotFoundError if there is no such folder or no picture in it.
    """
    pictures = {}
    for path in sorted(Path(folder).rglob("*")):
        parts = parts_below(path, folder)
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if path.suffix.lower() in EXTENSIONS and path.is_file() and not hidden:
            pictures.setdefault("/".join(parts), []).append(path)
    if not pictures:
        raise FileNotFoundError(f"{folder}: no pictures there ({', '.join(EXTENSIONS)})")
    return pictures


def parts_below(path, folder):
    """The parts of a file's path below a folder, without suffix; its bare name if it lies elsewhere."""
    *place, name = Path(os.path.relpath(path, folder)).parts
    stem = os.path.splitext(name)[0]
    return [stem] if ".." in place else [*place, stem]
