"""The logs of a run: its history as CSV, and for TensorBoard its curves and validation pictures."""

import threading
import time
from pathlib import Path
from typing import Any

import torch

from helpers.files.atomic import naming
from helpers.files.csv_file import write_csv
from helpers.samples.loading import Loader
from helpers.samples.samples import Sample
from helpers.u2net import outputs_of

HISTORY = "history.csv"

EVENTS = "events.out.tfevents."
"""How the names of TensorBoard's files begin; the second in which the file was begun follows, in ten digits."""


def history_rows(run: Any) -> list[dict[str, Any]]:
    """A dict per validated epoch: epoch, step, mean training loss, validation loss, other metrics, speed, data wait."""
    rows, start = [], 0
    for epoch, ((step, val), metrics) in enumerate(zip(run.history["val"], run.history["metrics"], strict=True)):
        losses, speed = run.history["train"][start:step], run.timing[epoch]
        rows.append({
            "epoch": epoch + 1, "step": step, "train_loss": sum(losses) / len(losses), "val_loss": val,
            **{name: metrics[name] for name in ("mse", "mad", "iou", "lr")},
            "images_per_s": round(speed[0], 2), "data_wait": round(speed[1], 4),
        })  # fmt: skip
        start = step
    return rows


def write_history(run: Any, folder: Path | str) -> None:
    """Write `history.csv` anew: it is whole at any moment, and agrees with the checkpoint after a resume."""
    rows = history_rows(run)
    write_csv(Path(folder) / HISTORY, rows, rows[0])


class TensorBoard:
    """Curves and a grid of validation pictures in `folder`/tensorboard; what a resumed run repeats is replaced.

    Raises ValueError saying what to do where the tensorboard package is missing, and for a folder that it cannot write
    to because its path is not in UTF-8; the methods raise OSError naming the folder, as for a full disk. The package's
    thread prints the same error as a traceback: see `told_elsewhere`.
    """

    def __init__(self, run: Any, folder: Path | str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ValueError("tensorboard=true needs a package: pip install tensorboard") from error
        self.folder, self.written = Path(folder) / "tensorboard", run.step
        with naming(self.folder):
            _put_before_now(self.folder)
            try:
                self.writer = SummaryWriter(self.folder, purge_step=run.step + 1)
            except UnicodeEncodeError as error:
                raise ValueError(
                    f"{self.folder}: TensorBoard cannot write to a path that is not in UTF-8; choose another folder, "
                    "or tensorboard=false"
                ) from error

    def after_batch(self, run: Any) -> None:
        """Training loss and learning rate, every `config.log_every` steps."""
        if run.step - self.written >= run.config.log_every:
            run.fetch_losses()
            losses = run.history["train"][self.written :]
            with naming(self.folder):
                self.writer.add_scalar("loss/train", sum(losses) / len(losses), run.step)
                self.writer.add_scalar("lr", run.optimizer.param_groups[0]["lr"], run.step)
                self.writer.flush()  # a killed run continues from a step whose curves are already on the disk
            self.written = run.step

    @torch.inference_mode()
    def after_epoch(self, run: Any, val_loader: Loader, count: int = 4) -> None:
        """The epoch's row of the history, and photo, truth and prediction of the first validation portraits."""
        row = history_rows(run)[-1]
        val_loader.batch_sampler.seek(0)
        batch = Sample(*(field[:count] for field in next(iter(val_loader))))
        outputs = outputs_of(run.kept.eval(), batch.image, run.runtime)
        truth, pred = (alpha.cpu().expand(-1, 3, -1, -1) for alpha in (batch.alpha / 255, outputs[0]))
        columns = torch.cat([batch.image / 255, truth, pred], dim=2)  # (B, 3, 3·S, S): one under the other
        with naming(self.folder):
            for name in ("val_loss", "mse", "mad", "iou", "images_per_s", "data_wait"):
                self.writer.add_scalar(name.replace("val_loss", "loss/val"), row[name], row["step"])
            self.writer.add_image("photo, truth, prediction", torch.cat([*columns], dim=2), row["step"])
            self.writer.flush()

    def close(self) -> None:
        """Finish the files."""
        with naming(self.folder):
            self.writer.close()


def _put_before_now(folder: Path) -> None:
    """Rename the event files of earlier runs if the name of a new file would not come after their names.

    TensorBoard reads the files of a folder in the order of their names, which begin with the second of their start; a
    file that it reads later replaces steps of those before. The order would be wrong for a run that is resumed within
    the second, or after the clock was put back. So the earlier files get the numbers 0, 1, … instead of their seconds.
    """
    names = sorted(path.name for path in folder.glob(f"{EVENTS}*"))
    if names and names[-1] >= f"{EVENTS}{int(time.time()):010d}":
        for number, name in enumerate(names):
            (folder / name).rename(folder / f"{EVENTS}{number:010d}.{name.removeprefix(EVENTS).partition('.')[2]}")


def told_elsewhere(failure: threading.ExceptHookArgs) -> None:
    """A `threading.excepthook`: what stops TensorBoard's thread on a full disk is raised where the run flushes, too."""
    if not issubclass(failure.exc_type, OSError):
        threading.__excepthook__(failure)
