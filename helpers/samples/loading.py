"""Batches from worker processes, and the signals that must not stop them half-way."""

import signal
from collections.abc import Iterator
from typing import Any, Protocol, cast

import torch
from torch.utils.data import DataLoader

from helpers.samples.samples import EpochBatches
from helpers.startup import begin_worker


class Loader(Protocol):
    """What `make_loader` returns: PyTorch's loader, with a data set and an order of batches of this project."""

    dataset: Any
    batch_sampler: EpochBatches

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Any]: ...


def make_loader(
    dataset: Any, batch_size: int, shuffle: bool, workers: int = 0, process: int = 0, processes: int = 1
) -> Loader:
    """Batches (`Sample`) of a dataset, read by `workers` processes; shuffled anew, but reproducibly, every epoch.

    The workers are spawned, as on Windows and macOS, so that what works here works there; they stay for all epochs. Of
    several training `processes` each gets its share of every batch.
    """
    batches = EpochBatches(dataset, batch_size, shuffle, process, processes)
    spawned: dict[str, Any] = {}
    if workers:
        spawned = {"num_workers": workers, "multiprocessing_context": "spawn", "persistent_workers": True,
                       "worker_init_fn": _begin}  # fmt: skip
    # a generator of its own: taking up an epoch again must not draw from the one that a layer or a loss may draw from
    own = torch.Generator().manual_seed(dataset.seed)
    return cast(
        Loader,
        DataLoader(dataset, batch_sampler=batches, pin_memory=torch.cuda.is_available(), generator=own, **spawned),
    )


def _begin(_worker):
    begin_worker()
    # Ctrl-C reaches every process of a terminal; a worker that died of it would end the run before it could be saved.
    # SIGTERM must end it: that is how Python ends the workers with the run
    signal.signal(signal.SIGINT, signal.SIG_IGN)
