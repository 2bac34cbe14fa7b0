"""Training samples: augmented portraits, several sets of them mixed by weight, and the order of the batches.

Light on purpose (no torch), as worker processes import it.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helpers.datasets.pairs import read_pair


class Sample(NamedTuple):
    """What the network learns from; a batch is the same with a first dimension B, as tensors.

    Attributes:
        image: (3, S, S) uint8 RGB. alpha: (1, S, S) uint8.
        rough: whether the alpha is a rough mask; None: it is not.
        index: which of the dataset's pairs it is.
    """

    image: Any
    alpha: Any
    rough: Any = None
    index: Any = None  # type: ignore[assignment]  # hides a tuple's method that nobody calls


class PortraitDataset:
    """Augmented samples, each determined by (seed, visit, index) alone.

    So a sample is the same whichever process reads it, and however often the run was stopped and resumed. `least`:
    photos may be decoded smaller while their shorter side keeps that many pixels (`helpers.datasets.pairs.read_pair`).
    """

    def __init__(self, pairs, transform, seed=0, least=None):
        self.pairs, self.transform, self.seed, self.least = pairs, transform, seed, least
        self.counts, self.weights = [len(pairs)], [1.0]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        """The `Sample` for the key `(visit, index)`: how often this picture was shown before, and which one it is."""
        visit, index = key
        numbers = np.random.default_rng((self.seed, visit, index))
        image, alpha = self.read(index, numbers)
        # One stream for all transforms: set_random_seed would start each from the same number, so that the photos that
        # are cropped were those that are mirrored, and so on.
        self.transform.set_random_state(numbers, random.Random(int(numbers.integers(2**63))))
        changed = self.transform(image=image, mask=alpha)
        image = np.ascontiguousarray(changed["image"].transpose(2, 0, 1))
        return Sample(image, changed["mask"][None], self.pairs[index].rough, index)

    def read(self, index: int, numbers: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Photo (H, W, 3) and alpha (H, W) before augmentation; `numbers` is the sample's random stream."""
        return read_pair(self.pairs[index], self.least)

    def recipe(self) -> dict[str, Any]:
        """What determines the samples, as plain values under the names that a refusal to resume will tell."""
        pairs = [[pair.image.name, pair.truth.name, pair.reading, pair.rough] for pair in self.pairs]
        return {"augmentation": [self.transform.to_dict(), self.least], "images": pairs}


class MixedDataset:
    """Several datasets as one, each with its own transforms and a weight.

    A weight of 1 shows each picture of that dataset once an epoch, 3 three times, .1 another tenth of them every epoch.
    """

    def __init__(self, parts, weights):
        self.parts, self.weights = list(parts), [float(weight) for weight in weights]
        if len(self.parts) != len(self.weights) or not all(0 < weight < float("inf") for weight in self.weights):
            raise ValueError(f"{len(self.parts)} datasets need as many positive weights, found {self.weights}")
        self.counts = [len(part) for part in self.parts]
        self.starts = [0, *accumulate(self.counts)]
        self.pairs = [pair for part in self.parts for pair in part.pairs]
        self.seed = self.parts[0].seed

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: tuple[int, int]) -> Sample:
        visit, index = key
        part = bisect_right(self.starts, index) - 1
        return self.parts[part][visit, index - self.starts[part]]._replace(index=index)

    def recipe(self) -> dict[str, Any]:
        """The same as a `PortraitDataset`'s."""
        parts = [part.recipe() for part in self.parts]
        return {"mixture": self.weights} | {key: [part.get(key) for part in parts] for part in parts for key in part}


class EpochBatches:
    """Batch sampler whose order depends on (seed, epoch) alone, and which can start at any batch of an epoch.

    Yields lists of keys `(visit, index)` for the dataset. Shuffled: incomplete last batches are dropped (another
    remainder every epoch), and the weights of a `MixedDataset` decide how often each picture comes. Not shuffled: all
    indices in order. Of several processes each takes its own share of every batch: the first one the first images, and
    so on, as `train_step` splits a batch into micro-batches; shares of shuffled batches are equally large.
    """

    def __init__(self, dataset, batch_size, shuffle, process=0, processes=1):
        self.counts, self.weights, self.seed = dataset.counts, dataset.weights, dataset.seed
        self.shuffle, self.process, self.processes = shuffle, process, processes
        self.shown = sum(self._shown()) if shuffle else sum(self.counts)
        if self.shown < processes:
            raise ValueError(f"{self.shown} samples cannot be shared by {processes} processes")
        self.batch_size = min(batch_size, self.shown // processes * processes)
        self.epoch = self.first_batch = 0

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        return self.shown // self.batch_size if self.shuffle else -(-self.shown // self.batch_size)

    def seek(self, epoch: int, batch: int = 0) -> None:
        """Make the next iteration start at this batch of this epoch."""
        self.epoch, self.first_batch = epoch, batch

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        keys = self._shuffled_keys() if self.shuffle else [(0, index) for index in range(sum(self.counts))]
        for batch in range(self.first_batch, len(self)):
            whole = keys[batch * self.batch_size : (batch + 1) * self.batch_size]
            first, end = (len(whole) * process // self.processes for process in (self.process, self.process + 1))
            if first < end:  # the last batch of a validation may not do for all processes
                yield whole[first:end]

    def _shown(self):
        """How many samples of each dataset an epoch has."""
        return [max(1, round(weight * count)) for weight, count in zip(self.weights, self.counts)]

    def _shuffled_keys(self):
        """The epoch's stretch of each dataset's endless stream of shuffled passes, shuffled together."""
        keys, start = [], 0
        for part, (count, shown) in enumerate(zip(self.counts, self._shown())):
            first = self.epoch * shown
            for visit in range(first // count, (first + shown - 1) // count + 1):
                order = start + np.random.default_rng((self.seed, part, visit)).permutation(count)
                stretch = order[max(0, first - visit * count) : first + shown - visit * count]
                keys += [(visit, int(index)) for index in stretch]
            start += count
        np.random.default_rng((self.seed, self.epoch)).shuffle(keys)
        return keys
