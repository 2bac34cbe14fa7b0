"""Files that are always whole: they are written under a temporary name in the same folder, then renamed."""

import errno
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONG = 200
"""Bytes of a file name; a longer one is cut for the temporary name, as file systems allow 255 bytes."""

_ELSEWHERE = "write to another folder, or allow writing there"
_ROOM = "make room, then run the same command again"
REMEDIES = {errno.EACCES: _ELSEWHERE, errno.EPERM: _ELSEWHERE, errno.EROFS: _ELSEWHERE,
            errno.ENAMETOOLONG: "choose a shorter name", errno.ENOSPC: _ROOM, errno.EDQUOT: _ROOM}  # fmt: skip
"""What to do about errors of writing, by their number."""


@contextmanager
def whole_file(path: Path | str) -> Iterator[Path]:
    """A temporary path to write to; it becomes `path` if the block succeeds, and is removed if the block raises.

    So `path` is the old file or the new one, never a part of either. Its folder is made if there is none. A link is
    replaced as well, and what it leads to stays as it is: it may be somebody's photo or another checkpoint. An OSError
    in the block names `path` and the way out, as in `naming`. Raises OSError for a pipe or a device, which would become
    a file.
    """
    path = Path(path)
    name = path.name
    if len(os.fsencode(name)) > LONG:
        name = f"{name[:40]}-{zlib.crc32(os.fsencode(name)):08x}"
    temporary = path.with_name(f".{name}.{os.getpid()}.tmp")
    try:
        with naming(path, temporary):
            if path.exists() and not path.is_file() and not path.is_dir():
                raise OSError(errno.EINVAL, "is a pipe or a device; name a file", str(path))
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
    finally:
        with suppress(OSError):  # it may not be allowed to look there
            temporary.unlink(missing_ok=True)


@contextmanager
def naming(path: Path | str, temporary: Path | None = None) -> Iterator[None]:
    """Add to an OSError in the block what its reader needs: `path` and one of `REMEDIES`.

    `path` is added if the error names no file, such as that of a full disk, or the `temporary` file for it, which says
    nothing to anybody.
    """
    try:
        yield
    except OSError as error:
        if error.errno is not None:  # without an error number the message would be lost
            if error.filename is None or error.filename == str(temporary):
                error.filename = str(path)
            remedy, words = REMEDIES.get(error.errno), error.strerror or ""
            if remedy and remedy not in words:
                error.strerror = f"{words}; {remedy}"
        raise


def remove_leftovers(folder: Path | str) -> None:
    """Remove half-written files of killed processes from `folder`. No other process may be writing there."""
    for temporary in Path(folder).glob(".*.[0-9]*.tmp"):
        temporary.unlink(missing_ok=True)
