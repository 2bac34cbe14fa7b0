"""One training at a time in a folder: two would overwrite each other's checkpoints."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = ".training.lock"
"""A hidden file in the folder, locked while a process trains there. It tells which process that is."""


@contextmanager
def alone_in(folder: Path | str) -> Iterator[None]:
    """Hold `folder` for this process during the block, or until the process dies, however it dies.

    The operating system holds the lock, so the file that a killed process leaves behind is no obstacle, and process ids
    don't matter: containers on one volume may have equal ones. Processes of other machines are seen where their file
    system passes locks on. Raises ValueError naming the process that holds the folder, if that is known.
    """
    path = Path(folder) / LOCK
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        holder = _holder(path) or "another process"
        raise ValueError(f"{folder}: {holder} is training there; wait for it, or name another folder") from None
    try:
        with suppress(OSError):  # Windows lets nobody write to a locked file: then the holder is not known
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
        yield
    finally:
        with suppress(OSError):  # removed while it is locked: a process that opened it before takes no lock on it
            path.unlink()
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
