"""The state of a training run: what a checkpoint holds, and what must be equal before a run is continued."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from helpers.config import Config
from helpers.devices import Runtime, best_runtime
from helpers.networks.registry import weights_in, weights_out
from helpers.samples.loading import Loader
from helpers.samples.samples import MixedDataset
from helpers.training.checkpoints import rng_state, set_rng_state
from helpers.training.ema import EMA
from helpers.training.interrupts import uninterrupted
from helpers.training.step import set_training

VALIDATION = "validation images"
"""The name in the recipe of what is validated on."""

UNBOUND = (
    "name", "start", "workers", "checkpoint_every", "log_every", "tensorboard", "download", "synthetic_count",
    "synthetic_size",
)  # fmt: skip
"""Fields of the configuration that may change between stopping and resuming: the trained weights don't depend on them.

`start` is among them because the recipe has a hash of the weights that a run started from.
"""

PATIENT_DEVICES = 10
"""Number of steps after which losses are fetched from a GPU. Fetching after every step would stop the GPU each time."""


class Run:
    """Everything that training changes: model, optimiser, schedule, scaler, position and history.

    `loss(outputs, alpha)` and `loader` (from `make_loader`) are part of what the run is, not of its state. The model is
    moved to the runtime's device and memory format; with several processes (`accelerate launch`) each has a copy, and
    `network` is the one that exchanges gradients when trained.

    Attributes:
        epoch: whole epochs trained. batch: batches trained of the epoch after them. step: all batches trained.
        ema: the running average of the weights (`EMA`), or None.
        history: `{"train": [loss, …], "val": [[step, loss], …], "metrics": [{…}, …]}`: training loss per step,
            validation loss and all of `evaluate` per epoch.
        fetch_every: steps after which their losses are brought into the history.
        start: what the run started from, in words. rate_found: whether a range test found its rate.
        timing: per epoch `[images per second, share of the time spent waiting for data]`.
        recipe: what determines the result; a checkpoint with another recipe is refused. val_set: what is validated on.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        schedule: LRScheduler,
        loss: Callable[..., dict[str, torch.Tensor]],
        loader: Loader,
        config: Config,
        runtime: Runtime,
        start: str = "weights of unknown origin",
        rate_found: bool = False,
        val_set: MixedDataset | None = None,
    ):
        self.accelerator = find_processes()
        self.model: Any = model.to(runtime.device, memory_format=runtime.memory_format)  # type: ignore[call-overload]
        self.ema = EMA(self.model, config.ema) if config.ema else None
        if self.accelerator.num_processes > 1 and runtime.device.type == "cuda":
            self.model = nn.SyncBatchNorm.convert_sync_batchnorm(self.model)  # statistics of the whole batch
        self.network = self.accelerator.prepare_model(self.model, device_placement=False)  # it is on the runtime's
        self.optimizer, self.schedule, self.loss = optimizer, schedule, loss
        self.loader, self.config, self.runtime = loader, config, runtime
        self.start, self.rate_found, self.val_set = start, rate_found, val_set
        self.scaler = runtime.scaler()
        self.micro_batch = config.micro_batch
        self.epoch = self.batch = self.step = 0
        self.history: dict[str, list[Any]] = {"train": [], "val": [], "metrics": []}
        self.timing: list[list[float]] = []
        self.fetch_every = 1 if runtime.device.type == "cpu" else PATIENT_DEVICES
        # loss on the device and indices of the batch, of the steps not yet in the history
        self._pending: list[tuple[torch.Tensor, torch.Tensor | None]] = []
        self.recipe = recipe_of(self)

    @property
    def kept(self) -> nn.Module:
        """The model to validate and to keep: the average of the weights where there is one."""
        return self.ema.model if self.ema else self.model

    @property
    def plateau(self) -> bool:
        """Whether the schedule is stepped by the validation instead of after every batch."""
        return isinstance(self.schedule, ReduceLROnPlateau)

    @property
    def validated(self) -> bool:
        """Whether every trained epoch has its validation loss."""
        return len(self.history["val"]) >= self.epoch

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, whose validation was the best by `config.best_by`, the first of equals; 0 before any."""
        scores = [row[self.config.best_by] for row in self.history["metrics"]]
        return scores.index(max(scores) if self.highest_is_best else min(scores)) + 1 if scores else 0

    @property
    def highest_is_best(self) -> bool:
        return self.config.highest_is_best

    @property
    def finished(self) -> bool:
        """Whether all epochs are trained, or patience has run out."""
        impatient = 0 < self.config.patience <= len(self.history["metrics"]) - self.best_epoch
        return self.validated and (self.epoch >= self.config.epochs or impatient)

    def set_training(self) -> None:
        """Put the model into training.

        With a frozen encoder, all batch norms keep their statistics: few photos would give worse ones than many gave.
        """
        set_training(self.network, self.config.freeze_encoder)

    def record(self, loss: torch.Tensor, indices: torch.Tensor | None) -> None:
        """Count one step. `loss` is its scalar loss, which the device may still be computing."""
        if self.accelerator.num_processes > 1:
            loss = self.accelerator.reduce(loss, "mean")
        self.step, self.batch = self.step + 1, self.batch + 1
        self._pending.append((loss, indices))
        if len(self._pending) >= self.fetch_every:
            self.fetch_losses()

    def fetch_losses(self) -> None:
        """Bring the losses of the last steps into the history.

        Raises FloatingPointError naming the files of the first batch whose loss is not finite.
        """
        if not self._pending:
            return
        with uninterrupted():
            losses, first = torch.stack([loss for loss, _ in self._pending]).tolist(), len(self.history["train"])
            pending, self._pending = self._pending, []
            for number, (loss, (_, indices)) in enumerate(zip(losses, pending, strict=True), start=first + 1):
                if not abs(loss) < float("inf"):
                    pairs = self.loader.dataset.pairs
                    names = "unknown files" if indices is None else ", ".join(str(pairs[i].image) for i in indices)
                    raise FloatingPointError(
                        f"step {number}: the loss is {loss}, trained on {names}; the checkpoints are as they were: "
                        "lower max_lr, set clip=1, or look at these files"
                    )
                self.history["train"].append(loss)

    def state_dict(self) -> dict[str, Any]:
        """The content of a checkpoint: tensors and plain values, U²-Net's weights under their original names.

        `model_state_dict` has the weights to use. With EMA these are the averaged ones, and the trained ones are in
        `trained_state_dict`.
        """
        self.fetch_losses()
        state = {
            "network": self.config.network,
            "model_state_dict": weights_out(self.kept),
            "table": [list(stage) for stage in getattr(self.model, "table", ())],
            "optimizer_state_dict": self.optimizer.state_dict(),
            "scheduler_state_dict": self.schedule.state_dict(),
            "scaler_state_dict": self.scaler.state_dict(),
            "rng": rng_state(),
            "epoch": self.epoch,
            "batch": self.batch,
            "history": {name: list(values) for name, values in self.history.items()},
            "timing": list(self.timing),
            "config": asdict(self.config) | ({"max_lr_found": True} if self.rate_found else {}),
            "recipe": self.recipe,
        }
        return state | ({"trained_state_dict": weights_out(self.model)} if self.ema else {})

    def differences(self, state: dict[str, Any]) -> list[str]:
        """Names of what differs between this run's recipe and that of a checkpoint; empty if it can be resumed."""
        defaults = asdict(Config()) | {VALIDATION: self.recipe.get(VALIDATION)}
        older = {key: value for key, value in defaults.items() if key in self.recipe}
        other = older | state.get("recipe", {})  # the checkpoint may be older than a field of the recipe
        return [key for key in self.recipe | other if other.get(key) != self.recipe.get(key)]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load a `state_dict`: afterwards this run is where that run was."""
        weights_in(self.kept, state["model_state_dict"])
        if self.ema:
            weights_in(self.model, state["trained_state_dict"])
        self.optimizer.load_state_dict(state["optimizer_state_dict"])
        self.schedule.load_state_dict(state["scheduler_state_dict"])
        if state["scaler_state_dict"]:  # empty where the run stood on a device that needs none
            self.scaler.load_state_dict(state["scaler_state_dict"])
        self.epoch, self.batch, self.history = state["epoch"], state["batch"], state["history"]
        self.step, self.timing, self._pending = len(self.history["train"]), state["timing"], []
        set_rng_state(state["rng"])


def find_processes() -> Accelerator:
    """The `Accelerator` by which this process knows the others of a launch; precision and device are the runtime's."""
    # without a GPU, Accelerate finds the other processes only with cpu=True
    return Accelerator(cpu=best_runtime().device.type == "cpu", mixed_precision="no")


def recipe_of(run: Run) -> dict[str, Any]:
    """What determines the result of a run, as a flat dict of plain values; long things as fingerprints.

    The fingerprint of the loss is its value on fixed maps. So another λ is noticed, wherever it was set.
    """
    numbers = torch.Generator().manual_seed(0)
    *maps, alpha = torch.rand(8, 2, 1, 16, 16, generator=numbers)
    weights = hashlib.sha256()
    for name, tensor in run.model.state_dict().items():
        weights.update(f"{name} {tuple(tensor.shape)}".encode() + tensor.cpu().contiguous().numpy().tobytes())
    return {
        **{key: value for key, value in asdict(run.config).items() if key not in UNBOUND},
        "loss function": f"{run.loss(maps, (alpha > 0.5).float())['total'].item():.5f}",
        "initial weights": weights.hexdigest()[:16],
        "optimiser": _fingerprint([type(run.optimizer).__name__, run.optimizer.defaults]),
        "learning rates": _fingerprint([type(run.schedule).__name__, run.schedule.state_dict()]),
        **{key: _fingerprint(value) for key, value in run.loader.dataset.recipe().items()},
        # the best epoch, patience and the plateau go by them
        **({VALIDATION: _fingerprint(run.val_set.recipe()["images"])} if run.val_set is not None else {}),
    }


def _fingerprint(value):
    text = json.dumps(value, sort_keys=True, default=lambda thing: type(thing).__name__)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
