"""The report's claims, measured: all variants of `helpers.experiments.claims` with several seeds, and their tables.

    python -m helpers.experiments                                    # what there is to do, and what is stored
    python -m helpers.experiments --preset protocol --seeds 0 1 2 3 4 5 \\
        --claims 1 2 3 4 5 6 7 --real SELFIES --real STREET --weights u2netp.pth --jobs 2

That is docs/protocol.md. An interrupted table goes on with the same command: each run is stored when it ends, what
is stored is not repeated, and a run that was stopped goes on where it was last saved.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.config import PRESETS, load_config
from helpers.experiments.answers import answer_table, pace, scale
from helpers.experiments.claims import (
    CLAIMS,
    LARGE,
    LEGEND,
    RESULTS,
    claim_table,
    config_of,
    is_trained,
    read_results,
)
from helpers.experiments.runs import alone, measure_runs, missing_runs, time_left
from helpers.experiments.trial import portraits_of
from helpers.experiments.verdicts import stored_rows
from helpers.files.arguments import path
from helpers.startup import begin, begin_training
from helpers.synthetic.dataset import write_dataset

PROTOCOL = """    python -m helpers.experiments --preset protocol --seeds 0 1 2 3 4 5 \\
        --claims 1 2 3 4 5 6 7 --real SELFIES --real STREET --weights u2netp.pth --jobs 2"""
"""The command of docs/protocol.md."""


def _parser():
    parser = argparse.ArgumentParser(prog="python -m helpers.experiments", description=main.__doc__)
    parser.add_argument("--claims", type=int, nargs="+", choices=list(CLAIMS), help="what to measure")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], metavar="SEED", help="default: 0 1 2")
    parser.add_argument("--real", type=path, action="append", default=[], metavar="DIR", help="photos to train on and "
                        "to measure, besides the synthetic portraits; may be repeated")  # fmt: skip
    parser.add_argument("--weights", type=path, metavar="FILE", help="u2netp.pth; default: the one in saved_models/")
    parser.add_argument(
        "--work", type=path, default=Path(), metavar="DIR", help="where data/ has the synthetic portraits"
    )
    parser.add_argument("--jobs", type=_positive, default=1, metavar="N", help="runs at the same time; default: 1")
    parser.add_argument("--out", type=path, default=RESULTS, metavar="FILE", help="default: results/claims.csv")
    parser.add_argument("--preset", choices=list(PRESETS), default="experiment", help="default: experiment")
    parser.add_argument("--with-full", action="store_true", help="the full network as well, which takes far longer")
    return parser


def _positive(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1 up")
    return int(text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is missing of some claims and print their tables; without --claims, tell what there is to do.

    Without --claims and --out the tables are those of docs/claims.md.
    """
    begin()
    options = _parser().parse_args(arguments)
    config, failed = load_config(options.preset), []
    begin_training(config.batch_size * config.image_size**2)
    name = f"synthetic-{config.synthetic_count}x{config.synthetic_size}"
    data = {"made": options.work / "data" / name, "real": options.real, "weights": options.weights}
    try:
        if options.claims and _missing(options, config, data):
            with alone(options.out):  # and what another command has stored until now is missing no longer
                failed = _measured(_missing(options, config, data), options, config, data)
        elif options.claims:
            print("nothing is missing")
        whole_page = not options.claims and options.out == RESULTS
        rows = stored_rows() if whole_page else [row for row in _stored(options) if row["preset"] == config.name]
        _print_tables(rows, options.claims)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if failed:
        print("failed: " + ", ".join(f"{name}, seed {seed}" for name, seed in failed), file=sys.stderr)
    return 1 if failed else 0


def _stored(options):
    return read_results(options.out) if options.out.exists() else []


def _missing(options, config, data):
    return missing_runs(_stored(options), options.claims, options.seeds, config, **data, full=options.with_full)


def _measured(runs, options, config, data):
    """Do the runs [(variant, seed)], after drawing the portraits for them; returns those that failed."""
    print(f"to be measured: {', '.join(f'{name} {seed}' for name, seed in runs)}")
    print(time_left(_stored(options), runs, config, options.jobs))
    trained = [(run, seed) for run, seed in runs if is_trained(run)]
    for run, seed in trained:
        config_of(run, seed, config)  # refuses what this preset cannot measure, before hours of work
    sizes = {portraits_of(run, data["made"]): 2 if run in LARGE else 1 for run, _ in trained}
    for folder, times in sizes.items():
        write_dataset(folder, config.synthetic_count, times * config.synthetic_size, config.seed)
    return measure_runs(runs, config, **data, jobs=options.jobs, out=options.out)


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
        if line := pace(rows, number):
            print("\n" + line)
        if not claims:
            missing = [name for name in claim.variants if name not in measured]
            print(f"\nclaim {number}, {claim.question}: not measured are {', '.join(missing) or 'none'}")
    if rows:
        print(f"\n{LEGEND}\n\n{scale(rows)} The answers:\n{answer_table(rows)}")
    if not claims:
        print(f"\nTo measure what is missing, minutes a run:\n{PROTOCOL}")


if __name__ == "__main__":
    sys.exit(main())
