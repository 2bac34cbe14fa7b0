"""How long the notebook takes: measures each section, keeps a table of times, and computes the time left."""

import csv
import os
import time
from collections.abc import Callable
from pathlib import Path

from helpers.files.csv_file import write_csv

TIMES = Path(__file__).parents[1] / "results" / "notebook_times.csv"
"""Seconds and peak memory of the notebook by preset and section, as `--record` measured them."""


class Progress:
    """Where a notebook is: the section, the time so far, and the time left, estimated from an earlier run.

    Attributes:
        seconds: of each section that has ended. memory: the most that the kernel has used, in MB.
    """

    def __init__(self, titles: list[str], times: list[dict], clock: Callable[[], float] = time.monotonic) -> None:
        self.titles, self.clock = titles, clock
        self.preset = os.environ.get("PORTRAIT_PRESET") or "quick"
        self.expected = {row["section"]: row["seconds"] for row in times if row["preset"] == self.preset}
        self.seconds: dict[str, float] = {}
        self.memory = 0
        self.current, self.since, self.started = "", clock(), clock()

    def begin(self, title: str) -> str:
        """End the section before, and return the line that announces this one."""
        self.end()
        self.current = title
        gone = self.clock() - self.started
        line = f"[{self.titles.index(title) + 1:2}/{len(self.titles)}] {title:32} {_minutes(gone)} so far"
        left = self.left(title, gone)
        return line if left is None else f"{line}, about {_minutes(left)} left"

    def left(self, title: str, gone: float) -> float | None:
        """Seconds left from the beginning of a section on; None where the earlier run had other sections."""
        if any(name not in self.expected for name in self.titles):
            return None
        place = self.titles.index(title)
        seconds = [self.expected[name] for name in self.titles]
        before, after = sum(seconds[:place]), sum(seconds[place:])
        pace = gone / before if before >= 5 else 1  # a few seconds are too short to measure the speed of this machine
        return after * pace

    def end(self) -> None:
        """Note how long the current section took."""
        now = self.clock()
        if self.current:
            self.seconds[self.current] = now - self.since
        self.since = now


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def in_words(seconds: float) -> str:
    """A duration in rounded words, which also hold on a machine that is a little slower or faster."""
    if seconds < 15:
        return "seconds"
    if seconds < 45:
        return "half a minute"
    return "about a minute" if seconds < 90 else f"about {round(seconds / 60)} minutes"


def read_times(path: str | Path = TIMES) -> list[dict]:
    """The rows of `TIMES`: `preset`, `section`, `seconds` and `megabytes`; none where there is no such file."""
    if not Path(path).is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [
            {**row, "seconds": float(row["seconds"]), "megabytes": int(row["megabytes"])}
            for row in csv.DictReader(file)
        ]


def write_times(progress: Progress, path: str | Path = TIMES) -> None:
    """Write what `progress` measured into `TIMES`. Earlier rows of this preset are replaced."""
    rows = [row for row in read_times(path) if row["preset"] != progress.preset]
    rows += [
        {"preset": progress.preset, "section": title, "seconds": round(seconds, 1), "megabytes": progress.memory}
        for title, seconds in progress.seconds.items()
    ]
    write_csv(path, rows, ("preset", "section", "seconds", "megabytes"))
