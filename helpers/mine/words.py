"""How numbers, durations and commands are told to a person."""

import shlex
from pathlib import Path


def counted(count: int, thing: str = "photo") -> str:
    """A number of things: `1 photo`, `12 photos`."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def in_words(seconds: float) -> str:
    """A duration: `40 seconds`, `12 minutes`."""
    if seconds < 90:
        return f"{max(round(seconds / 10), 1) * 10} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def command(module: str, *parts: str | Path) -> str:
    """The line that runs a module of this project in a shell; names with spaces or quotes are quoted."""
    return shlex.join(["python", "-m", module, *map(str, parts)])
