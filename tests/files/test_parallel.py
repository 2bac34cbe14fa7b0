"""The same results with and without worker processes, and what ends the work."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.files.parallel import in_parallel

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_results_come_in_the_order_of_the_items(workers):
    assert list(in_parallel(abs, list(range(-20, 0)), workers)) == list(range(20, 0, -1))


def test_nothing_to_do_starts_nothing():
    assert list(in_parallel(abs, [])) == []


@pytest.mark.parametrize("workers", [0, 2])
def test_errors_are_raised_here(workers):
    with pytest.raises(ValueError):
        list(in_parallel(math.sqrt, [4] * 10 + [-1] * 10, workers))


def test_no_more_processes_start_than_the_system_allows(monkeypatch):
    monkeypatch.setattr("helpers.files.parallel.MOST", 1)
    assert list(in_parallel(lambda number: number + 1, list(range(40)), 8)) == list(range(1, 41))  # no other can run it


def test_a_worker_that_dies_is_told():
    with pytest.raises(RuntimeError, match="a worker process died.*fewer workers"):
        list(in_parallel(os._exit, [1] * 20, 2))


def test_workers_end_with_their_parent_even_if_it_is_killed():
    """They hold the pipe of the parent's output open: its end is theirs."""
    script = ("import time\nfrom helpers.files.parallel import in_parallel\nif __name__ == '__main__':\n"
              "    for _ in in_parallel(time.sleep, [0.01] * 20000, 2):\n        print('.', flush=True)")  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
        killed = time.monotonic()
        process.stdout.read()
    assert time.monotonic() - killed < 20  # not the 100 s that their work would take
