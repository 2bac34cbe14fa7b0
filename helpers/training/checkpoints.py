"""Checkpoint files: written atomically, read without running code. The latest, the best and some epochs are kept."""

import os
import random
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch

from helpers.config import BEST, FINAL, LATEST
from helpers.files.atomic import whole_file
from helpers.networks.weights import read_checkpoint


class OtherRun(ValueError):
    """The checkpoint is whole, and belongs to another run: its recipe or the project's version differs."""


@contextmanager
def _durable_file(path):
    """A `whole_file` to write to in binary. It is on the disk before it gets its name, in case the power fails."""
    with whole_file(path) as temporary, open(temporary, "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def write_checkpoint(path: Path | str, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain values) so that `path` is always a whole file: the old one or the new one.

    Raises OSError naming the file, as for a full disk.
    """
    with _durable_file(path) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # torch.save hides the reason when it closes a file that it could not write
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def keep_checkpoints(run: Any, folder: Path | str) -> list[str]:
    """Write the checkpoints that are due at the end of an epoch: latest, best so far, every n-th, final.

    The first of several processes writes, the others wait for it. Returns the names of the files.
    """
    names = _due(run)
    if run.accelerator.is_main_process:
        _write_all(run, [Path(folder) / name for name in names])
    run.accelerator.wait_for_everyone()
    return names


def complete(run: Any, folder: Path | str) -> bool:
    """Write what `keep_checkpoints` would have, if `run` stands at the end of an epoch and a file of that is missing.

    The file was moved away, or the run was interrupted in the moment between the end of the validation and the writing.
    For the first of several processes alone. Returns whether anything was written.
    """
    paths = [Path(folder) / name for name in _due(run)]
    if not run.epoch or run.batch or not run.validated or all(path.exists() for path in paths):
        return False
    _write_all(run, paths)
    return True


def _due(run):
    """The names of the checkpoints at the end of an epoch; the latest comes last: where it is, the others are, too."""
    names = [FINAL] if run.finished else []
    if run.epoch % run.config.checkpoint_every == 0:
        names.append(f"epoch_{run.epoch:03d}.pth")
    if run.best_epoch == run.epoch:
        names.append(BEST)
    return [*names, LATEST]


def _write_all(run, paths):
    """Write the checkpoint of a run to several places."""
    first, *others = paths
    write_checkpoint(first, run.state_dict())
    for path in others:
        with _durable_file(path) as file, open(first, "rb") as written:
            shutil.copyfileobj(written, file)


def resume(run: Any, folder: Path | str) -> bool:
    """Continue from the latest checkpoint in `folder`.

    Parameters
    ----------
    run : Run
        A run with the same recipe as the checkpoint. Its whole state is replaced by that of the checkpoint.
    folder : path
        The folder of the checkpoints.

    Returns
    -------
    bool
        False if the folder holds no checkpoint. The run is then unchanged.

    Raises
    ------
    ValueError
        The checkpoint is damaged, as in `read_latest`. The run is unchanged.
    OtherRun
        The checkpoint belongs to a run with another recipe, or to another version of this project. The message names
        the differences. Or there is no latest checkpoint, but there are others, which this run would overwrite. The run
        is unchanged.
    """
    path, state = Path(folder) / LATEST, read_latest(folder)
    if state is None:
        if newest := _newest_whole(folder):
            raise OtherRun(
                f"{folder}: holds checkpoints of a run, such as {newest[1]}, but no {LATEST}; copy one of them over "
                f"{LATEST} to go on, or give the new run a folder of its own"
            )
        return False
    differing = run.differences(state)
    if differing:
        raise OtherRun(
            f"{path}: from another run, which differs in {', '.join(differing)}; give the new run a folder of its own, "
            "or move the .pth files there to another place"
        )
    expected, stored = _fields(run.state_dict()), _fields(state)
    if expected != stored:
        lacking = [f"lacks {name}" for name in expected - stored]
        unknown = [f"holds the unknown {name}" for name in stored - expected]
        raise OtherRun(
            f"{path}: written by another version of this project, it {', '.join(sorted(lacking + unknown))}; "
            "go on with that version, or give the new run a folder of its own"
        )
    run.load_state_dict(state)
    return True


def take_up(run: Any, folder: Path | str) -> str:
    """`resume` for a folder with anything in it. Returns a sentence that says what was done. No file is lost.

    Another run's checkpoints are set aside. A damaged latest checkpoint is replaced by the newest whole one.
    """
    messages = []
    while True:
        try:
            resumed = resume(run, folder)
        except OtherRun as error:
            messages.append(f"{error}\nset aside in {set_aside(folder)}; a new run")
            break
        except ValueError as error:  # the latest one is damaged and is renamed, so it is not read again
            newest = replace_damaged(folder)
            messages.append(f"{error}\nkept as {LATEST}.damaged; {newest or 'no checkpoint'} takes its place")
        else:
            messages.append(f"resumed after step {run.step}" if resumed else "a new run")
            break
    return "\n".join(messages)


def read_latest(folder: Path | str) -> dict[str, Any] | None:
    """The latest checkpoint in `folder`, as `read_checkpoint` gives it; None if there is none.

    The latest is the file of that name, never the last in alphabetical order. Raises ValueError for a damaged one that
    names the whole one beside it to go on from.
    """
    path = Path(folder) / LATEST
    if not path.exists():
        return None
    try:
        return read_checkpoint(path)
    except ValueError as error:
        newest = _newest_whole(folder)
        if newest is None:
            raise ValueError(f"{error}; or move {LATEST} to another place to begin anew") from error
        epoch, name = newest
        remedy = f"{name} beside it is whole: copy it over {LATEST} to go on after epoch {epoch}"
        raise ValueError(f"{error}; {remedy}") from error


def _newest_whole(folder):
    """(epoch, file name) of the newest checkpoint in `folder` that can be read; None if there is none."""
    whole = []
    for path in Path(folder).glob("*.pth"):
        with suppress(ValueError):
            state = read_checkpoint(path)
            if "recipe" in state:  # a file that is no checkpoint is passed over
                whole.append((state["epoch"], state["batch"], path.name))
    return max(whole)[::2] if whole else None


def replace_damaged(folder: Path | str) -> str | None:
    """Put the newest whole checkpoint in the place of a damaged latest one, which is kept as `latest.pth.damaged`.

    Returns the name of the file that now serves as the latest, or None if there is no whole one: then a run that
    resumes in `folder` starts afresh.
    """
    path = Path(folder) / LATEST
    newest = _newest_whole(folder)
    path.replace(path.with_name(f"{LATEST}.damaged"))
    if newest is None:
        return None
    with _durable_file(path) as file, open(Path(folder) / newest[1], "rb") as whole:
        shutil.copyfileobj(whole, file)
    return newest[1]


def _fields(state):
    """The names of everything in a checkpoint."""
    return {*state, *(f"history of {name}" for name in state.get("history", ()))}


def set_aside(folder: Path | str) -> Path | None:
    """Move the checkpoints in `folder` into a subfolder named by the time; returns it, or None if there are none."""
    checkpoints = sorted(Path(folder).glob("*.pth"))
    if not checkpoints:
        return None
    aside = Path(tempfile.mkdtemp(prefix=time.strftime("replaced-%Y%m%d-%H%M%S-"), dir=folder))
    for path in checkpoints:
        path.rename(aside / path.name)
    return aside


def rng_state() -> dict[str, Any]:
    """State of every random number generator that a loss or a layer might draw from, as tensors and plain values."""
    version, internal, gauss = random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": [version, list(internal), gauss],
        "numpy": {**numpy_state, "state": {"key": torch.from_numpy(numpy_state["state"]["key"].copy()),
                                           "pos": int(numpy_state["state"]["pos"])}},
    }  # fmt: skip


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the generators back to where they were when `rng_state()` returned `state`."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    key, pos = state["numpy"]["state"]["key"].numpy(), state["numpy"]["state"]["pos"]
    np.random.set_state({**state["numpy"], "state": {"key": key, "pos": pos}})
