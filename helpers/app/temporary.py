"""The folder of what the web page writes: of one process alone, and gone with it, however it ends."""

import atexit
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where what a killed process leaves behind stays
    fcntl = None

HELD = "portrait-page-"
"""How the name of a folder begins that its process has locked for as long as it lives."""


def temporary_home():
    """The folder of all uploads and results: of this process alone, for its user only, gone when it ends.

    When it is made, those of processes that were killed are removed.
    """
    if "GRADIO_TEMP_DIR" not in os.environ:  # where Gradio looks for it, at every request
        remove_abandoned()
        folder = os.environ["GRADIO_TEMP_DIR"] = str(_hold(Path(tempfile.mkdtemp(prefix="portrait-"))))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(os.environ["GRADIO_TEMP_DIR"])


def _hold(folder):
    """Lock a new folder, and give it a name that tells so: nobody finds it under that name before it is locked."""
    if fcntl:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(os.open(folder, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
            return folder.rename(folder.with_name(folder.name.replace("portrait-", HELD)))
    return folder


def remove_abandoned():
    """Remove this user's folders whose processes have died."""
    for folder in Path(tempfile.gettempdir()).glob(f"{HELD}*") if fcntl else ():
        with suppress(OSError):  # another user's, or its process lives
            lock = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_uid == os.getuid():
                    shutil.rmtree(folder)
            finally:
                os.close(lock)
