"""The same work for many files, spread over the cores: a `ProcessPoolExecutor`, a progress bar, and a clean Ctrl-C."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

from helpers.startup import begin_worker, usable_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST = 61 if sys.platform == "win32" else 1000
"""The largest number of processes; on Windows, a `ProcessPoolExecutor` refuses more."""

CHUNK = 4
"""Items that a worker takes at a time: enough to make the transfer cheap, few enough to stop within seconds."""


def in_parallel(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int | None = None,
    description: str = "reading",
    chunk: int = CHUNK,
) -> Iterator[Result]:
    """Yield `function(item)` for each item of the list `items` in their order, under a progress bar.

    `workers` is the number of processes; None means one per core, and with 0 or 1 this process does the work. Each
    process takes `chunk` items at a time. The processes are spawned, so `function` must be importable, and a script
    that calls this needs the usual `if __name__ == "__main__":`. What `function` raises is raised here and ends the
    work. Ctrl-C ends it after the chunks that have begun.
    Raises RuntimeError if a worker process dies.
    """
    if not items:
        return
    workers = min(usable_cores() if workers is None else workers, -(-len(items) // chunk), MOST)
    bar = {"total": len(items), "desc": description, "unit": "file" if chunk > 1 else "run", "mininterval": 1.0}
    if workers <= 1:
        yield from tqdm(map(function, items), **bar)
        return
    # spawn: forking a process in which torch runs threads can hang
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker) as pool:
        try:
            with _interrupts_held():
                results = pool.map(function, items, chunksize=chunk)  # starts the processes
            yield from tqdm(results, **bar)
        except BrokenExecutor as error:
            raise RuntimeError("a worker process died, probably because memory ran out; use fewer workers") from error
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold back Ctrl-C, which a terminal sends to all processes, until the end of the block.

    Processes that start in the block never receive it, so it stops none of them during its imports. Windows has no
    signal masks; there it may.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    """Use one thread, leave Ctrl-C to the parent process, and end with it, even if it is killed."""
    begin_worker()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where the signal could not be masked
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    if parent := multiprocessing.parent_process():
        parent.join()
    os._exit(1)
