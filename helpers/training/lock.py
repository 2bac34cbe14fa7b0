"""One training at a time in a folder: two would overwrite each other's checkpoints."""

import os
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where nobody can remove a file that somebody has open
    fcntl = None


@contextmanager
def alone_in(folder):
    """Hold `folder` for this process during the block, or until it dies, however it dies.

    A hidden file there has the process's number in its name and is locked while the process lives; what a killed one
    left behind is no obstacle. Raises ValueError naming the process that holds the folder already. Processes of other
    machines are seen where their file system passes locks on.
    """
    own = Path(folder) / f".training.{os.getpid()}.lock"
    with open(own, "wb") as file:
        try:
            _lock(file)
            for other in sorted(own.parent.glob(".training.*.lock")):
                if other != own and _is_held(other):
                    pid = other.suffixes[0].removeprefix(".")
                    raise ValueError(f"{folder}: process {pid} is training there; wait for it, or name another folder")
            yield
        finally:
            if fcntl:
                own.unlink(missing_ok=True)  # while it is locked: who finds it sees it held
    own.unlink(missing_ok=True)


def _lock(file):
    if fcntl:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # unlike flock's, it does not live on in a loader's workers


def _is_held(path):
    """Whether the process of a file lives; removes the file if not."""
    try:
        if fcntl:
            with open(path, "r+b") as file:
                _lock(file)
        path.unlink(missing_ok=True)
    except FileNotFoundError:
        return False
    except OSError:  # locked, or open
        return True
    return False
