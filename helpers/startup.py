"""What every program does first: it makes outputs safe, keeps freed memory, and limits threads to the cores.

What the libraries read from the environment while they are imported is set in `helpers/__init__.py`.
"""

import ctypes
import os
import sys
from functools import cache
from pathlib import Path

import cv2
import numpy as np

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""Where Linux tells a container how much of the processor it may use: two numbers, time and period."""

PIXELS_PER_THREAD = 256 * 256
"""Pixels of a training batch that keep one thread busy; with fewer, threads wait longer than they work."""


def begin() -> None:
    """Call this first in a program: it sets outputs, memory and the number of computing threads."""
    open_error_output()
    write_any_character()
    keep_freed_memory()
    limit_threads(thread_limit())


def begin_training(pixels: int) -> None:
    """Set the threads of this process for training on batches of `pixels` pixels (pictures × height × width).

    The number depends on the machine and the batch only, never on the load: other numbers of threads add up in another
    order, so a resumed run would end with other weights. OpenCV gets no threads: they would fight with torch's.
    The memory of a step is kept for the next one.
    """
    keep_training_memory()
    limit_threads(thread_limit(pixels))
    cv2.setNumThreads(0)


def begin_worker() -> None:
    """Call this first in a process that is one of several: it uses one core."""
    keep_freed_memory()
    cv2.setNumThreads(0)


def open_error_output() -> None:
    """Let progress and messages go nowhere in a program that was started without an error output.

    Python's `sys.stderr` is None under pythonw, in some services, and after `2>&-` in a shell; writing to it fails.
    """
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 (open until the program ends)


def write_any_character() -> None:
    """Let standard output and error write escapes, such as \\xb2, for characters that their encoding does not have.

    Windows gives a pipe the encoding of its country (cp1251, cp932), Linux with LC_ALL=C gives ASCII. Without this, one
    such character ends the program, and the report is lost.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not None, as without a console, and no notebook's stream
            stream.reconfigure(errors="backslashreplace")


def keep_freed_memory() -> None:
    """Make the C library of Linux keep the memory of one photo for the next.

    glibc returns large blocks to the system when they are freed, so every photo pays again for all pages of its memory:
    up to half of the time to read it. glibc keeps blocks that are smaller than the largest block that was ever freed
    (up to 32 MiB, see M_MMAP_THRESHOLD in mallopt(3)). So this frees a block of 31 MiB, which costs nothing.
    """
    np.empty(31 * 2**20, np.uint8)


def keep_training_memory() -> None:
    """Make the C library of Linux keep the memory of one training step for the next, in blocks of any size.

    A feature map of four pictures at 320² has 52 MB, more than the blocks that `keep_freed_memory` keeps. So every step
    pays again for all of its pages: a sixth to a third of its time on a CPU. M_MMAP_MAX = 0 takes every block from the
    heap, and M_TRIM_THRESHOLD leaves up to 2 GiB at its end with the process (mallopt(3)). Does nothing elsewhere.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, another C library, Windows
        return
    mallopt(-4, 0)  # M_MMAP_MAX
    mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


def usable_cores() -> int:
    """The processor cores that this process may use: its affinity, or a container's limit if that is less."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        time, period = CPU_LIMIT.read_text(encoding="ascii").split()
        return max(1, min(cores, int(time) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max": no limit
        return cores


def thread_limit(pixels: int | None = None) -> int | None:
    """The most threads that may compute one network, or None where nothing limits them and libraries choose well.

    Limits are the usable cores, where the machine has more; OMP_NUM_THREADS, if it is a positive number (of a list such
    as `4,2` the first one), anything else is ignored; and for a training batch of `pixels` pixels, one thread for each
    `PIXELS_PER_THREAD` of them.
    """
    cores, limits = usable_cores(), []
    if cores < (os.cpu_count() or 1):
        limits.append(cores)
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isascii() and asked.isdigit() and int(asked) > 0:
        limits.append(min(int(asked), cores))
    if pixels is not None:
        limits.append(max(1, pixels // PIXELS_PER_THREAD))
    return min(limits, default=None)


def limit_threads(limit: int | None) -> None:
    """Let torch compute with `limit` threads at most, now or when it is imported later."""
    if "torch" in sys.modules:
        own = _threads_at_first()
        sys.modules["torch"].set_num_threads(min(limit or own, own))
    elif limit:
        os.environ["OMP_NUM_THREADS"] = str(limit)
    else:
        os.environ.pop("OMP_NUM_THREADS", None)  # not a number: torch would print a warning


@cache
def _threads_at_first() -> int:
    """What torch chose when it was imported, such as one thread for each physical core."""
    return sys.modules["torch"].get_num_threads()
