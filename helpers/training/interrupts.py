"""The signals that must not stop a run half-way between two batches."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPS = signal.SIGINT, signal.SIGTERM
"""Ctrl-C, and the signal that a service manager or a cluster sends when the time of a job is over."""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait for the end of the block, so that a run never stands half-way between two batches."""
    if threading.current_thread() is not threading.main_thread():  # Python delivers signals to the main thread only
        yield
        return
    arrived = []
    previous = {stop: signal.signal(stop, lambda number, _: arrived.append(number)) for stop in STOPS}
    try:
        yield
    finally:
        for stop, handler in previous.items():
            signal.signal(stop, handler)
    if arrived:
        signal.raise_signal(arrived[0])
