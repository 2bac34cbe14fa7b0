"""Training: an epoch, its validation, and the headless run, by one process or many.

    python -m helpers.training --preset paper --data DIR --out DIR [--weights FILE] [--set epochs=5 …]
    accelerate launch --multi_gpu --num_processes 8 -m helpers.training …

On a CPU the same command ends with the same weights, bit by bit, whatever the number of loader workers and however
often it was stopped and resumed, as long as machine, PyTorch and number of threads are the same. A GPU adds gradients
in no fixed order (atomic additions), so two runs on a GPU agree only up to rounding.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from accelerate.utils import broadcast, gather_object
from tqdm import tqdm

from helpers.config import LATEST
from helpers.files.atomic import naming, remove_leftovers
from helpers.samples.loading import Loader
from helpers.samples.samples import Sample
from helpers.training.checkpoints import complete, keep_checkpoints, write_checkpoint
from helpers.training.interrupts import uninterrupted
from helpers.training.lock import alone_in
from helpers.training.logs import TensorBoard, write_history
from helpers.training.run import Run
from helpers.training.step import evaluate, step_in_memory

SAVE_EVERY = 600
"""Seconds after which a headless run saves itself in the middle of an epoch."""


def train_epoch(run: Run, after_batch: Callable[[Run], object] | None = None) -> None:
    """Train to the end of the current epoch, with a progress bar.

    Parameters
    ----------
    run : Run
        Training begins at the batch that this run has reached.
    after_batch : callable, optional
        `after_batch(run)` is called after every batch. The run can be saved and resumed there.

    Raises
    ------
    FloatingPointError
        A loss is no longer finite. The checkpoints stay as they are.

    Notes
    -----
    `data` in the progress bar is the share of the time spent on waiting for the loader. More workers or a prepared copy
    of the data set make it smaller.
    """
    run.set_training()
    run.loader.batch_sampler.seek(run.epoch, run.batch)
    batches, size = len(run.loader), run.loader.batch_sampler.batch_size
    title, smoothed, waited, first = f"epoch {run.epoch + 1}/{run.config.epochs}", None, 0.0, run.batch
    started = asked = time.perf_counter()
    with tqdm(total=batches * size, initial=run.batch * size, desc=title, unit="img", mininterval=1,
              disable=not run.accelerator.is_main_process) as bar:  # fmt: skip
        for batch in run.loader:
            waited += time.perf_counter() - asked
            lr = run.optimizer.param_groups[0]["lr"]
            with uninterrupted():
                terms, run.micro_batch = step_in_memory(
                    run.network, run.optimizer, batch, run.loss, run.runtime, run.scaler, run.micro_batch,
                    run.config.clip, run.accelerator.num_processes,
                )  # fmt: skip
                loss = terms["total"]
                run.record(loss, Sample(*batch).index)
                if run.ema:
                    run.ema.update(run.model, run.step)
                if not run.plateau and run.step < run.config.epochs * batches:  # it ends at its last step, not after it
                    run.schedule.step()
            if run.history["train"]:
                last = run.history["train"][-1]
                smoothed = last if smoothed is None else 0.95 * smoothed + 0.05 * last
                share = waited / (time.perf_counter() - started)
                bar.set_postfix(loss=f"{smoothed:.3f}", lr=f"{lr:.1e}", data=f"{share:.0%}", refresh=False)
            bar.update(size)
            if after_batch:
                after_batch(run)
            asked = time.perf_counter()
    run.fetch_losses()
    took = time.perf_counter() - started
    with uninterrupted():
        run.timing.append([(batches - first) * size / took, waited / took])
        run.epoch, run.batch = run.epoch + 1, 0


def validate(run: Run, loader: Loader) -> float:
    """Append loss and metrics of the epoch just trained to the history of `run`; returns the loss.

    Raises FloatingPointError if it is not finite.
    """
    reduce, sampler = None, loader.batch_sampler
    if run.micro_batch:  # the batch that was too large for training may be too large here
        sampler.batch_size = min(sampler.batch_size, run.micro_batch * run.accelerator.num_processes)
    if run.accelerator.num_processes > 1:
        broadcast(list(run.kept.buffers()))  # the checkpoint holds the batch norm statistics of the first process
        reduce = run.accelerator.reduce
    result = evaluate(run.kept, loader, run.loss, run.runtime, reduce and (lambda sums: reduce(sums, "sum")))
    loss = result["total"]
    if not abs(loss) < float("inf"):
        raise FloatingPointError(f"after epoch {run.epoch}: the validation loss is {loss}; lower max_lr")
    metrics = {"loss": loss, **{name: result[name] for name in ("mse", "mad", "iou")}}
    with uninterrupted():
        run.history["metrics"].append(metrics | {"lr": run.optimizer.param_groups[0]["lr"]})
        run.history["val"].append([run.step, loss])
        if run.plateau:
            run.schedule.step(metrics[run.config.best_by])  # type: ignore[arg-type]  # a plateau takes what it watches
    return loss


def fit(run: Run, val_loader: Loader, folder: Path | str, save_every: float = SAVE_EVERY) -> None:
    """Train `run` to its end and write checkpoints.

    Parameters
    ----------
    run : Run
        A new run or a resumed one.
    val_loader : Loader
        The validation photos. They are measured after every epoch.
    folder : path
        The folder of the checkpoints. It is made if it is missing. A checkpoint is written after every epoch.
    save_every : float
        Seconds after which a checkpoint is written in the middle of an epoch as well.

    Raises
    ------
    ValueError
        Another process trains in `folder`, the processes of this run do not stand at the same step, or a picture
        cannot be read.
    FloatingPointError
        A loss is no longer finite.

    Notes
    -----
    After Ctrl-C or an unreadable picture the run is saved as it is, even in the middle of an epoch or of the
    validation. The exception is raised again.
    """
    main = run.accelerator.is_main_process
    with naming(folder):  # an impossible folder fails now, not after the first epoch
        Path(folder).mkdir(parents=True, exist_ok=True)
    places = gather_object([[run.step, run.recipe]])
    if any(place != places[0] for place in places):
        raise ValueError(f"{folder}: not every process stands at the same step of the same run; "
                         "all machines must see the same folders --out and --data")  # fmt: skip
    with alone_in(folder) if main else nullcontext():
        if main:
            remove_leftovers(folder)
        _fit_alone(run, val_loader, Path(folder), save_every)


def _fit_alone(run: Run, val_loader: Loader, folder: Path, save_every: float) -> None:
    """`fit` in a folder that no other process trains in."""
    main = run.accelerator.is_main_process
    board = TensorBoard(run, folder) if run.config.tensorboard and main else None
    saved = time.monotonic()

    def after_batch(run):
        nonlocal saved
        if board:
            board.after_batch(run)
        if main and time.monotonic() - saved >= save_every:
            write_checkpoint(folder / LATEST, run.state_dict())
            saved = time.monotonic()

    if main and complete(run, folder):
        write_history(run, folder)
    while not run.finished:
        try:
            if run.validated:
                train_epoch(run, after_batch)
            validate(run, val_loader)
        except (KeyboardInterrupt, ValueError, OSError):
            if main:
                write_checkpoint(folder / LATEST, run.state_dict())
            raise
        with uninterrupted():
            if main:
                write_history(run, folder)
            keep_checkpoints(run, folder)
        saved = time.monotonic()
        if board:
            board.after_epoch(run, val_loader)
    if board:
        board.close()
