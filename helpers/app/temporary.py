"""The folder for the web page's files: each process has its own, which is deleted when the process ends."""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where files of a killed process stay
    fcntl = None  # type: ignore[assignment]

HELD = "portrait-page-"
"""The first part of the names of folders that a running process has locked."""


def temporary_home() -> Path:
    """The folder of this process for all uploads and results. Only its user may read it; it is deleted at the end.

    When it is created, folders of processes that were killed are deleted.
    """
    if "GRADIO_TEMP_DIR" not in os.environ:  # where Gradio looks for it, at every request
        remove_abandoned()
        folder = os.environ["GRADIO_TEMP_DIR"] = str(_hold(Path(tempfile.mkdtemp(prefix="portrait-"))))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(os.environ["GRADIO_TEMP_DIR"])


def _hold(folder: Path) -> Path:
    """Lock a new folder, and only then give it a name that starts with `HELD`."""
    if fcntl:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder.rename(folder.with_name(folder.name.replace("portrait-", HELD)))
    return folder


def remove_abandoned() -> None:
    """Delete the folders of this user's processes that have died."""
    for folder in Path(tempfile.gettempdir()).glob(f"{HELD}*") if fcntl else ():
        with suppress(OSError):  # another user's, or its process lives
            lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.getuid():
                    shutil.rmtree(folder)
            finally:
                os.close(lock)
