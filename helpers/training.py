"""Training: one step, an epoch, validation, and the headless run.

    python -m helpers.training --preset paper --data DIR --out DIR [--weights FILE] [--set epochs=5 …]
"""

import argparse
import signal
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from helpers.augment import training_transform, validation_transform
from helpers.checkpoints import FINAL, LATEST, keep_checkpoints, read_weights, resume, write_checkpoint
from helpers.config import PRESETS, load_config, parse_setting
from helpers.datasets import EpochBatches, PortraitDataset, find_pairs
from helpers.devices import best_runtime
from helpers.losses import LOSSES
from helpers.run import Run
from helpers.schedule import one_cycle
from helpers.u2net import build, load_official, outputs_of


def train_step(model, optimizer, batch, loss, runtime, scaler=None):
    """One optimiser step on a batch of images (B, 3, S, S) and alphas (B, 1, S, S), both uint8.

    `loss(outputs, alphas)` returns a dict with `total`. Returns that dict, detached.
    """
    scaler = scaler or runtime.scaler()
    images, alphas = batch
    terms = loss(outputs_of(model, images, runtime), alphas.to(runtime.device, non_blocking=True) / 255)
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(terms["total"]).backward()
    scaler.step(optimizer)
    scaler.update()
    return {name: term.detach() for name, term in terms.items()}


def make_loader(dataset, batch_size, shuffle, workers=0):
    """Batches of a `PortraitDataset`, read by `workers` processes; shuffled anew, but reproducibly, every epoch.

    The processes are spawned, as on Windows and macOS, so that what works here works there; they stay for all epochs.
    """
    batches = EpochBatches(len(dataset), batch_size, shuffle, dataset.seed)
    processes = {}
    if workers:
        processes = dict(num_workers=workers, multiprocessing_context="spawn", persistent_workers=True,
                         worker_init_fn=_leave_interrupts_to_the_run)  # fmt: skip
    # a generator of its own: taking up an epoch again must not draw from the one that a layer or a loss may draw from
    own = torch.Generator().manual_seed(dataset.seed)
    return DataLoader(dataset, batch_sampler=batches, pin_memory=torch.cuda.is_available(), generator=own, **processes)


def _leave_interrupts_to_the_run(_worker):
    # Ctrl-C reaches every process of a terminal; a worker that died of it would end the run before it could be saved
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def uninterrupted():
    """Ctrl-C waits for the end of the block, so that a run never stands half-way between two batches."""
    if threading.current_thread() is not threading.main_thread():  # Ctrl-C arrives there and only there
        yield
        return
    pressed = []
    previous = signal.signal(signal.SIGINT, lambda *_: pressed.append(True))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if pressed:
        signal.raise_signal(signal.SIGINT)


def train_epoch(run, after_batch=None):
    """Train from where `run` stands to the end of the epoch, with a progress bar.

    `after_batch(run)` is called after every batch, when the run can be saved and resumed.
    Raises FloatingPointError when the loss is no longer finite; the checkpoints stay as they are.
    """
    run.model.train()
    run.loader.batch_sampler.seek(run.epoch, run.batch)
    batches, size = len(run.loader), run.loader.batch_sampler.batch_size
    title, smoothed = f"epoch {run.epoch + 1}/{run.config.epochs}", None
    with tqdm(total=batches * size, initial=run.batch * size, desc=title, unit="img", mininterval=1) as bar:
        for batch in run.loader:
            lr = run.optimizer.param_groups[0]["lr"]
            with uninterrupted():
                loss = train_step(run.model, run.optimizer, batch, run.loss, run.runtime, run.scaler)["total"].item()
                if not loss < float("inf"):
                    raise FloatingPointError(f"{title}, batch {run.batch + 1}: the loss is {loss}; lower max_lr")
                run.batch += 1
                run.history["train"].append(loss)
                if run.step < run.config.epochs * batches:  # the schedule ends at its last step, not after it
                    run.schedule.step()
            smoothed = loss if smoothed is None else 0.95 * smoothed + 0.05 * loss
            bar.set_postfix(loss=f"{smoothed:.3f}", lr=f"{lr:.1e}", refresh=False)
            bar.update(size)
            if after_batch:
                after_batch(run)
    run.epoch, run.batch = run.epoch + 1, 0


@torch.inference_mode()
def evaluate(model, loader, loss, runtime):
    """Mean of every loss term over all images of `loader`: a dict of floats, the same definition as in training."""
    model.eval()
    loader.batch_sampler.seek(0)
    sums, count = {}, 0
    for images, alphas in tqdm(loader, desc="validation", mininterval=1, leave=False):
        terms = loss(outputs_of(model, images, runtime), alphas.to(runtime.device) / 255)
        for name, term in terms.items():
            sums[name] = sums.get(name, 0.0) + term.item() * len(images)
        count += len(images)
    return {name: total / count for name, total in sums.items()}


def validate(run, loader):
    """Append the validation loss of the epoch just trained to the history of `run`; returns it.

    Raises FloatingPointError if it is not finite.
    """
    loss = evaluate(run.model, loader, run.loss, run.runtime)["total"]
    if not loss < float("inf"):
        raise FloatingPointError(f"after epoch {run.epoch}: the validation loss is {loss}; lower max_lr")
    run.history["val"].append([run.step, loss])
    return loss


def fit(run, val_loader, folder):
    """Train `run` to its end; checkpoints in `folder` after every epoch.

    Interrupted by Ctrl-C, the run is saved as it stands, be it in the middle of an epoch or of its validation.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)  # fails now, not after the first epoch
    while not run.finished:
        try:
            if run.validated:
                train_epoch(run)
            validate(run, val_loader)
        except KeyboardInterrupt:
            write_checkpoint(Path(folder) / LATEST, run.state_dict())
            raise
        keep_checkpoints(run, folder)


def prepare(config, data, weights=None, runtime=None):
    """A `Run` on the training images of the EasyPortrait folder `data`, and the loader of its validation images.

    The choices are the report's, as the notebook's cells write them out. Starts from the weight file `weights`, or from
    random weights.
    """
    torch.manual_seed(config.seed)
    runtime = runtime or best_runtime()
    model = build(config.network)
    if weights:
        load_official(model, read_weights(weights))
    sets = {"train": training_transform(config.image_size), "val": validation_transform(config.image_size)}
    datasets = {
        split: PortraitDataset(find_pairs(data, split, config.truth), transform, config.seed)
        for split, transform in sets.items()
    }
    train, val = (
        make_loader(datasets[split], config.batch_size, split == "train", config.workers) for split in ("train", "val")
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=config.max_lr, betas=(0.9, 0.999), weight_decay=0)
    schedule = one_cycle(optimizer, config.max_lr, config.epochs * len(train))
    loss = partial(LOSSES[config.loss], edge_weight=config.edge_weight, edge_width=config.edge_width)
    return Run(model, optimizer, schedule, loss, train, config, runtime), val


def main(arguments=None):
    """The headless run: train, or resume if `--out` holds an unfinished run of the same recipe."""
    parser = argparse.ArgumentParser(prog="python -m helpers.training", description=main.__doc__)
    parser.add_argument("--preset", choices=list(PRESETS), help="default: $PORTRAIT_PRESET, else quick")
    parser.add_argument("--data", required=True, help="folder in EasyPortrait's layout")
    parser.add_argument("--out", required=True, help="folder for the checkpoints")
    parser.add_argument("--weights", help="weights to start from, such as saved_models/u2net.pth")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="change a field")
    options = parser.parse_args(arguments)
    try:
        config = load_config(options.preset, **dict(parse_setting(text) for text in options.set))
        run, val_loader = prepare(config, options.data, options.weights)
        if resume(run, options.out):
            print(f"resumed at epoch {run.epoch}, batch {run.batch}")
        fit(run, val_loader, options.out)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {str(error).strip().splitlines()[-1]}", file=sys.stderr)  # a worker's begins with its traceback
        return 1
    print(f"trained {run.epoch} epochs, validation loss {run.history['val'][-1][1]:.4f}: {options.out}/{FINAL}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
