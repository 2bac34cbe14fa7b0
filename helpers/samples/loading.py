"""Batches from worker processes, and the signals that must not stop them half-way."""

import signal

import torch
from torch.utils.data import DataLoader

from helpers.samples.samples import EpochBatches
from helpers.startup import begin_worker


def make_loader(dataset, batch_size, shuffle, workers=0, process=0, processes=1):
    """Batches (`Sample`) of a dataset, read by `workers` processes; shuffled anew, but reproducibly, every epoch.

    The workers are spawned, as on Windows and macOS, so that what works here works there; they stay for all epochs. Of
    several training `processes` each gets its share of every batch.
    """
    batches = EpochBatches(dataset, batch_size, shuffle, process, processes)
    spawned = {}
    if workers:
        spawned = dict(num_workers=workers, multiprocessing_context="spawn", persistent_workers=True,
                       worker_init_fn=_begin)  # fmt: skip
    # a generator of its own: taking up an epoch again must not draw from the one that a layer or a loss may draw from
    own = torch.Generator().manual_seed(dataset.seed)
    return DataLoader(dataset, batch_sampler=batches, pin_memory=torch.cuda.is_available(), generator=own, **spawned)


def _begin(_worker):
    begin_worker()
    # Ctrl-C reaches every process of a terminal; a worker that died of it would end the run before it could be saved.
    # SIGTERM must end it: that is how Python ends the workers with the run
    signal.signal(signal.SIGINT, signal.SIG_IGN)
