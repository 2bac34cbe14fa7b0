"""Training: a run set up, its steps and epochs, checkpoints and logs."""

from helpers.training.checkpoints import (
    OtherRun,
    keep_checkpoints,
    replace_damaged,
    resume,
    set_aside,
    take_up,
    write_checkpoint,
)
from helpers.training.loop import fit, train_epoch, validate
from helpers.training.run import Run
from helpers.training.setup import assemble
from helpers.training.step import evaluate, train_step

__all__ = [
    "OtherRun",
    "Run",
    "assemble",
    "evaluate",
    "fit",
    "keep_checkpoints",
    "replace_damaged",
    "resume",
    "set_aside",
    "take_up",
    "train_epoch",
    "train_step",
    "validate",
    "write_checkpoint",
]
