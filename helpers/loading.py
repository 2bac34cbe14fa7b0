"""Batches from worker processes, and the signals that must not stop them half-way."""

import signal
import threading
from contextlib import contextmanager

import torch
from torch.utils.data import DataLoader

from helpers.samples import EpochBatches

STOPS = signal.SIGINT, signal.SIGTERM
"""Ctrl-C, and what the run is sent by a service manager or a cluster at the end of its time."""


def make_loader(dataset, batch_size, shuffle, workers=0, process=0, processes=1):
    """Batches (`Sample`) of a dataset, read by `workers` processes; shuffled anew, but reproducibly, every epoch.

    The workers are spawned, as on Windows and macOS, so that what works here works there; they stay for all epochs. Of
    several training `processes` each gets its share of every batch.
    """
    batches = EpochBatches(dataset, batch_size, shuffle, process, processes)
    spawned = {}
    if workers:
        spawned = dict(num_workers=workers, multiprocessing_context="spawn", persistent_workers=True,
                       worker_init_fn=_leave_interrupts_to_the_run)  # fmt: skip
    # a generator of its own: taking up an epoch again must not draw from the one that a layer or a loss may draw from
    own = torch.Generator().manual_seed(dataset.seed)
    return DataLoader(dataset, batch_sampler=batches, pin_memory=torch.cuda.is_available(), generator=own, **spawned)


def _leave_interrupts_to_the_run(_worker):
    # Ctrl-C reaches every process of a terminal; a worker that died of it would end the run before it could be saved.
    # SIGTERM must end it: that is how Python ends the workers with the run
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def uninterrupted():
    """Ctrl-C and SIGTERM wait for the end of the block, so that a run never stands half-way between two batches."""
    if threading.current_thread() is not threading.main_thread():  # signals arrive there and only there
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
