"""The runs of the report's claims: which are missing, and doing them, several at a time."""

import os
import shutil
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from tqdm import tqdm

from helpers.config import Config
from helpers.datasets.layouts import find_pairs
from helpers.experiments.answers import QUESTIONS
from helpers.experiments.claims import CLAIMS, RESULTS, VARIANTS, add_results, is_trained
from helpers.experiments.trial import origin_of, run_variant
from helpers.files.atomic import naming
from helpers.files.parallel import in_parallel
from helpers.startup import keep_training_memory, usable_cores
from helpers.training.lock import alone_in

SECONDARY_SEEDS = 3
"""Seeds for variants that no primary comparison needs."""


def missing_runs(
    rows: Iterable[dict[str, Any]],
    claims: Iterable[int],
    seeds: Iterable[int],
    config: Config,
    made: Path,
    real: Sequence[Path] = (),
    weights: Path | str | None = None,
    full: bool = False,
) -> list[tuple[str, int]]:
    """[(variant, seed)] that `rows` do not hold, the primary comparisons of docs/protocol.md first.

    Other variants follow, with the first `SECONDARY_SEEDS` of the `seeds`; the full network comes last, only if `full`.

    `made`, `real` and `weights` as in `run_variant`. Raises ValueError where a run was stored with other data or other
    weights to start from, or was not measured on `real`, FileNotFoundError for photos or weights that are missing.
    """
    for folder in real:
        find_pairs(folder, "val")
    rows = [row for row in rows if row["preset"] == config.name]
    stored = {(row["variant"], row["seed"]): row for row in rows}
    on_real = {(row["variant"], row["seed"]) for row in rows if row["set"] == "real"}
    seeds, variants = list(seeds), [name for claim in claims for name in CLAIMS[claim].variants]
    primary = {name for question in QUESTIONS for name in (question.variant, question.against)}
    runs = dict.fromkeys((name, seed) for seed in seeds for name in variants if name in primary)
    runs |= dict.fromkeys((name, seed) for seed in seeds[:SECONDARY_SEEDS] for name in variants)
    light: list[tuple[str, int]] = []
    heavy: list[tuple[str, int]] = []
    for name, seed in runs:
        now, then = origin_of(name, made, real, weights), stored.get((name, seed))
        if then is None:
            (heavy if _is_full(name) else light).append((name, seed))
            continue
        differing = ", ".join(f"{key} {then[key]!r}, now {now[key]!r}" for key in now if now[key] != then[key])
        fault = f"with {differing}" if differing else ""
        if not fault and real and is_trained(name) and (name, seed) not in on_real:
            fault = "without having been measured on real photos"
        if fault:
            raise ValueError(
                f"{name}, seed {seed}: stored {fault}; name another file with --out, or delete the lines of "
                "that run to measure it again"
            )
    return light + heavy * full


def _is_full(name):
    changes = VARIANTS[name]
    return isinstance(changes, dict) and changes.get("network") == "u2net"


def time_left(rows: Iterable[dict[str, Any]], runs: Sequence[tuple[str, int]], config: Config, jobs: int = 1) -> str:
    """A sentence: how many `runs` are left and for how long, by the training seconds of the stored `rows`."""
    seconds = {(row["variant"], row["seed"]): row["seconds"] for row in rows if row["preset"] == config.name}
    trained = [spent for spent in seconds.values() if spent]
    left = f"{len(runs)} runs are left"
    if not runs or not trained:
        return left + ("; how long they take is known after the first one" if runs else "")
    usual, total = median(trained), 0.0
    for name in (name for name, _ in runs if is_trained(name)):
        own = [spent for (other, _), spent in seconds.items() if other == name]
        total += median(own) if own else usual
    return f"{left}, about {total / jobs / 3600:.1f} hours of training at {jobs} at a time"


def measure_runs(
    runs: Sequence[tuple[str, int]],
    config: Config,
    made: Path,
    real: Sequence[Path] = (),
    weights: Path | str | None = None,
    jobs: int = 1,
    out: Path = RESULTS,
) -> list[tuple[str, int]]:
    """Do the `runs` [(variant, seed)], `jobs` at a time, and store each in `out` when it ends; a line tells of each.

    A run is saved in a folder of its own beside `out` until it is stored; an interrupted one goes on from there.
    Returns those whose loss did not stay finite; nothing of them is stored.
    """
    failed, started = [], time.perf_counter()
    for number, ((name, seed), result) in enumerate(_done(runs, (config, made, real, weights), jobs, out), start=1):
        if isinstance(result, FloatingPointError):
            failed.append((name, seed))
            outcome = f"failed: {result}"
        else:
            add_results(out, result)
            shutil.rmtree(_unfinished(out, config, name, seed), ignore_errors=True)
            outcome = ", ".join(f"{row['set']} {row['region']} sad {row['sad']:.4f}" for row in result)
        tqdm.write(f"{number}/{len(runs)} after {time.perf_counter() - started:.0f} s: {name}, seed {seed}: {outcome}")
    return failed


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold the table `out` for this process during the block: two commands would do the same runs, and lose rows.

    Raises ValueError naming the process that holds it.
    """
    folder = _folder(out)
    with naming(folder):
        folder.mkdir(parents=True, exist_ok=True)
    try:
        with alone_in(folder):
            yield
    finally:
        with suppress(OSError):  # runs are left that go on from there
            folder.rmdir()


def _folder(out):
    return out.with_suffix(".unfinished")


def _unfinished(out, config, name, seed):
    """Where a run is saved until it is stored."""
    return _folder(out) / f"{config.name}-{name}-{seed}"


def _done(runs, rest, jobs, out):
    """Yield `(run, rows or FloatingPointError)` in the order of the runs."""
    jobs = min(jobs, len(runs))
    if jobs <= 1:
        yield from ((run, _rows_or_error(run, rest, out)) for run in runs)
    else:
        alone = partial(_one_of_several, rest=rest, out=out, threads=max(1, usable_cores() // jobs))
        yield from zip(runs, in_parallel(alone, runs, jobs, "runs", chunk=1))


def _one_of_several(run, rest, out, threads):
    """A run with its share of the cores, and without bars: those of several would overwrite each other."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # it takes minutes, so Ctrl-C doesn't wait for its end
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    torch.set_num_threads(threads)
    keep_training_memory()
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        return _rows_or_error(run, rest, out)


def _rows_or_error(run, rest, out):
    try:
        return run_variant(*run, *rest, _unfinished(out, rest[0], *run))
    except FloatingPointError as error:
        return error
