"""The state of a training run: what a checkpoint holds, and what has to match before one is continued."""

import hashlib
import json
from dataclasses import asdict

import torch

from helpers.checkpoints import rng_state, set_rng_state
from helpers.u2net import load_official, to_official

UNBOUND = ("name", "workers", "checkpoint_every", "log_every", "download", "synthetic_count", "synthetic_size")
"""Fields of the configuration that may change between stopping and resuming: the weights don't depend on them."""


class Run:
    """Everything that training changes: model, optimiser, schedule, scaler, position and history.

    `loss(outputs, alpha)` and `loader` (from `make_loader`) are part of what the run is, not of its state. The model is
    moved to the runtime's device and memory format.

    Attributes:
        epoch: whole epochs trained. batch: batches trained of the epoch after them. step: all batches trained.
        history: `{"train": [loss, …], "val": [[step, loss], …]}`, training loss per step, validation loss per epoch.
        recipe: what determines the result; a checkpoint with another recipe is refused.
    """

    def __init__(self, model, optimizer, schedule, loss, loader, config, runtime):
        self.model = model.to(runtime.device, memory_format=runtime.memory_format)
        self.optimizer, self.schedule, self.loss = optimizer, schedule, loss
        self.loader, self.config, self.runtime = loader, config, runtime
        self.scaler = runtime.scaler()
        self.epoch = self.batch = 0
        self.history = {"train": [], "val": []}
        self.recipe = recipe_of(self)

    @property
    def step(self):
        return len(self.history["train"])

    @property
    def validated(self):
        """Whether every trained epoch has its validation loss."""
        return len(self.history["val"]) >= self.epoch

    @property
    def finished(self):
        return self.epoch >= self.config.epochs and self.validated

    def state_dict(self):
        """What a checkpoint holds: tensors and plain values only. The weights are under the original key names."""
        return {
            "model_state_dict": to_official(self.model),
            "table": [list(stage) for stage in self.model.table],
            "optimizer_state_dict": self.optimizer.state_dict(),
            "scheduler_state_dict": self.schedule.state_dict(),
            "scaler_state_dict": self.scaler.state_dict(),
            "rng": rng_state(),
            "epoch": self.epoch,
            "batch": self.batch,
            "history": {name: list(values) for name, values in self.history.items()},
            "config": asdict(self.config),
            "recipe": self.recipe,
        }

    def differences(self, state):
        """Names of what differs between this run's recipe and that of a checkpoint; empty if it can be resumed."""
        theirs = state.get("recipe", {})
        return [key for key in self.recipe if theirs.get(key) != self.recipe[key]]

    def load_state_dict(self, state):
        """Become the run that `state` was taken from."""
        load_official(self.model, state["model_state_dict"])
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        self.schedule.load_state_dict(state["scheduler_state_dict"])
        if state["scaler_state_dict"]:  # empty where the run stood on a device that needs none
            self.scaler.load_state_dict(state["scaler_state_dict"])
        self.epoch, self.batch, self.history = state["epoch"], state["batch"], state["history"]
        set_rng_state(state["rng"])


def recipe_of(run):
    """What determines the result of a run, as a flat dict of plain values; long things as fingerprints.

    The loss is told by its value on fixed maps, so that another λ is noticed wherever it was written.
    """
    numbers = torch.Generator().manual_seed(0)
    *maps, alpha = torch.rand(8, 2, 1, 16, 16, generator=numbers)
    weights = hashlib.sha256()
    for name, tensor in run.model.state_dict().items():
        weights.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.cpu().contiguous().numpy().tobytes())
    dataset = run.loader.dataset
    return {
        **{key: value for key, value in asdict(run.config).items() if key not in UNBOUND},
        "loss function": f"{run.loss(maps, (alpha > 0.5).float())['total'].item():.5f}",
        "initial weights": weights.hexdigest()[:16],
        "optimiser": _fingerprint([type(run.optimizer).__name__, run.optimizer.defaults]),
        "schedule": _fingerprint([type(run.schedule).__name__, run.schedule.state_dict()]),
        "augmentation": _fingerprint(dataset.transform.to_dict()),
        "images": _fingerprint([[pair.image.name, pair.truth.name] for pair in dataset.pairs]),
    }


def _fingerprint(value):
    text = json.dumps(value, sort_keys=True, default=lambda thing: type(thing).__name__)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
