"""Two ways of doing the same work, timed by turns, and the table of what came out."""

import os
import platform
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        what: the work. plain, ours: how fast the two ways do it, in `unit`; None where it was not measured.
        least: how many times as fast ours has to be.
        unit: of `plain` and `ours`; more is better.
        spread: the smallest and the largest ratio of single turns, if known.
    """

    what: str
    plain: float | None
    ours: float | None
    least: float
    unit: str = "images/s"
    spread: tuple[float, float] | None = None


def alternate(plain, ours, repeats=5):
    """Median seconds of `plain()` and of `ours()`, called by turns, so that what else the machine does hits both.

    Each is called once before, untimed.
    """
    plain(), ours()
    return tuple(median(times) for times in zip(*[(seconds(plain), seconds(ours)) for _ in range(repeats)]))


def seconds(work):
    """How long one call of `work` takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def table(rows):
    """The rows as Markdown."""
    lines = ["| what | plain | ours | ratio | at least |", "|---|---|---|---|---|"]
    return "\n".join(lines + [_line(row) for row in rows])


def _line(row):
    plain, ours = ("not measured" if value is None else f"{value:.3g} {row.unit}" for value in (row.plain, row.ours))
    ratio = f"{row.ours / row.plain:.1f}" if row.plain and row.ours else "–"
    if row.spread:
        ratio += " ({:.1f} to {:.1f})".format(*row.spread)
    return f"| {row.what} | {plain} | {ours} | {ratio} | {row.least:g} |"


def machine():
    """The processor and, where there is one, the GPU, in one line."""
    import torch

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()  # ARM tells no model
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} × {name}, {gpu}"
