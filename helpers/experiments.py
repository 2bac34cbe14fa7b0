"""The report's claims, measured: all variants of `helpers.claims` with several seeds, and their tables.

    python -m helpers.experiments                                    # what there is to do, and what is stored
    python -m helpers.experiments --claims 1 2 3 4 5 6 --real DIR --weights u2netp.pth --jobs 2

An interrupted table goes on with the same command: each run is stored when it ends, and what is stored is not repeated.
"""

import argparse
import os
import signal
import sys
import time
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from helpers.claims import CLAIMS, LEGEND, RESULTS, VARIANTS, add_results, claim_table, read_results
from helpers.config import PRESETS, load_config
from helpers.layouts import find_pairs
from helpers.parallel import in_parallel
from helpers.synthetic import write_dataset
from helpers.trials import origin_of, run_variant


def missing_runs(rows, claims, seeds, config, made, real=None, weights=None, full=False):
    """[(variant, seed)] that `rows` do not hold, claim by claim; the full network comes last, and only if `full`.

    `made`, `real` and `weights` as in `run_variant`. Raises ValueError where a run was stored with other data or other
    weights to start from, FileNotFoundError for photos or weights that are missing.
    """
    if real:
        find_pairs(real, "val")
    stored = {(row["variant"], row["seed"]): row for row in rows if row["preset"] == config.name}
    runs = dict.fromkeys((name, seed) for claim in claims for seed in seeds for name in CLAIMS[claim].variants)
    light, heavy = [], []
    for name, seed in runs:
        now, then = origin_of(VARIANTS[name], made, real, weights), stored.get((name, seed))
        if then is None:
            (heavy if _is_full(name) else light).append((name, seed))
        elif differing := [f"{key} {then[key]!r}, now {now[key]!r}" for key in now if now[key] != then[key]]:
            raise ValueError(f"{name}, seed {seed}: stored with {', '.join(differing)}; name another file with --out")
    return light + heavy * full


def _is_full(name):
    return getattr(VARIANTS[name], "network", None) == "u2net"


def measure_runs(runs, config, made, real=None, weights=None, jobs=1, out=RESULTS):
    """Do the `runs` [(variant, seed)], `jobs` at a time, and store each in `out` when it ends; a line tells of each.

    Returns those whose loss did not stay finite; nothing of them is stored.
    """
    failed, started = [], time.perf_counter()
    for number, ((name, seed), result) in enumerate(_done(runs, (config, made, real, weights), jobs), start=1):
        if isinstance(result, FloatingPointError):
            failed.append((name, seed))
            told = f"failed: {result}"
        else:
            add_results(out, result)
            told = ", ".join(f"{row['set']} {row['region']} sad {row['sad']:.4f}" for row in result)
        tqdm.write(f"{number}/{len(runs)} after {time.perf_counter() - started:.0f} s: {name}, seed {seed}: {told}")
    return failed


def _done(runs, rest, jobs):
    """Yield `(run, rows or FloatingPointError)` in the order of the runs."""
    if jobs == 1:
        yield from ((run, _rows_or_error(run, rest)) for run in runs)
    else:
        alone = partial(_one_of_several, rest=rest, threads=max(1, (os.cpu_count() or 1) // jobs))
        yield from zip(runs, in_parallel(alone, runs, jobs, "runs", chunk=1))


def _one_of_several(run, rest, threads):
    """A run with its share of the cores, and without bars: those of several would overwrite each other."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # it takes minutes, so Ctrl-C doesn't wait for its end
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    torch.set_num_threads(threads)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        return _rows_or_error(run, rest)


def _rows_or_error(run, rest):
    try:
        return run_variant(*run, *rest)
    except FloatingPointError as error:
        return error


def _parser():
    parser = argparse.ArgumentParser(prog="python -m helpers.experiments", description=main.__doc__)
    parser.add_argument("--claims", type=int, nargs="+", choices=list(CLAIMS), help="what to measure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="default: 0 1 2")
    parser.add_argument("--real", type=Path, metavar="DIR", help="photos to train on and to measure, besides made ones")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="u2netp.pth; default: the one in saved_models/")
    parser.add_argument("--work", type=Path, default=Path(), metavar="DIR", help="where data/ has the made portraits")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at the same time; default: 1")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FILE", help="default: results/claims.csv")
    parser.add_argument("--preset", choices=list(PRESETS), default="experiment", help="default: experiment")
    parser.add_argument("--with-full", action="store_true", help="the full network as well, which takes far longer")
    return parser


def main(arguments=None):
    """Measure what is missing of some claims and print their tables; without --claims, tell what there is to do."""
    options = _parser().parse_args(arguments)
    config, failed = load_config(options.preset), []
    name = f"synthetic-{config.synthetic_count}x{config.synthetic_size}"
    data = {"made": options.work / "data" / name, "real": options.real, "weights": options.weights}
    try:
        rows = read_results(options.out) if options.out.exists() else []
        if options.claims:
            runs = missing_runs(rows, options.claims, options.seeds, config, **data, full=options.with_full)
            print(f"to be measured: {', '.join(f'{name} {seed}' for name, seed in runs) or 'nothing that is missing'}")
            write_dataset(data["made"], config.synthetic_count, config.synthetic_size)
            failed = measure_runs(runs, config, **data, jobs=options.jobs, out=options.out)
            rows = read_results(options.out) if options.out.exists() else []
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    _print_tables([row for row in rows if row["preset"] == config.name], options.claims)
    if failed:
        print("failed: " + ", ".join(f"{name}, seed {seed}" for name, seed in failed), file=sys.stderr)
    return 1 if failed else 0


def _print_tables(rows, claims):
    """The tables of what is stored; without `claims` all of them, and how to get the rest."""
    measured = {row["variant"] for row in rows}
    for number, claim in CLAIMS.items():
        if claims and number not in claims:
            continue
        there = {row["set"] for row in rows if row["variant"] in claim.variants}
        for portraits in ("made", "real"):
            for region in ("whole", "band"):
                if portraits in there:
                    print("\n" + claim_table(rows, number, portraits, region))
        if not claims:
            missing = [name for name in claim.variants if name not in measured]
            print(f"\nclaim {number}, {claim.question}: not measured are {', '.join(missing) or 'none'}")
    if rows:
        print("\n" + LEGEND)
    if not claims:
        print("\nTo measure what is missing, minutes a run: python -m helpers.experiments --claims 1 2 3 4 5 6")


if __name__ == "__main__":
    sys.exit(main())
