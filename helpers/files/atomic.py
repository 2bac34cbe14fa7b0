"""Files that are always whole: they are written under a temporary name in the same folder, then renamed."""

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONG = 200
"""Bytes of a file name; a longer one is cut for the temporary name, as file systems allow 255 bytes."""


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` if the block succeeds, and is removed if the block raises.

    So `path` is the old file or the new one, never a part of either. Its folder is made if there is none. An OSError
    in the block that names no file, such as that of a full disk, gets the name of `path`.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name
    if len(os.fsencode(name)) > LONG:
        name = f"{name[:40]}-{zlib.crc32(os.fsencode(name)):08x}"
    temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
    try:
        with naming(path):
            yield temporary
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Add `path` to an OSError in the block that names no file, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:  # without an error number the message would be lost
            error.filename = str(path)
        raise


def remove_leftovers(folder: Path | str) -> None:
    """Remove half-written files of killed processes from `folder`. No other process may be writing there."""
    for temporary in Path(folder).glob(".*.[0-9]*.tmp"):
        temporary.unlink(missing_ok=True)
