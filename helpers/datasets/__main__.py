"""Data sets by command: check one before training, list its pairs, or write a smaller copy of it.

    python -m helpers.datasets check DIR                 # every pair read; exit code 1 if anything is wrong
    python -m helpers.datasets manifest DIR              # DIR/manifest.csv: one line per pair, to be edited
    python -m helpers.datasets prepare DIR OUT --size 512

DIR is a data set in one of `helpers.datasets.layout_table.LAYOUTS`, or a manifest.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from helpers.datasets.check import check
from helpers.datasets.ground_truth import summary
from helpers.datasets.layouts import LAYOUTS, find_splits
from helpers.datasets.manifests import MANIFEST, manifest_of, unlistable, write_manifest
from helpers.datasets.pairs import Pair
from helpers.datasets.prepare import prepare
from helpers.datasets.splits import lines_left_out
from helpers.files.arguments import not_empty, path
from helpers.files.atomic import naming
from helpers.files.photos import picture_size
from helpers.files.text import first_lines
from helpers.startup import begin


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code: 0, 1 if something is wrong with the data or could not be done, 130 after Ctrl-C."""
    begin()
    options = _parser().parse_args(arguments)
    try:
        return options.command(options)
    except KeyboardInterrupt:
        print(f"\ninterrupted{options.on_interrupt}", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers.datasets", description=(__doc__ or "").partition("\n")[0])
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("folder", type=path, metavar="DIR", help="the data set: a folder, or a manifest")
    common.add_argument("--layout", choices=list(LAYOUTS), help="how its files lie; default: recognised")
    common.add_argument("--truth", choices=("annotations", "mattes"), default="annotations",
                        help="in EasyPortrait's layout: class masks, or a synthetic set's exact alphas")  # fmt: skip
    parallel = argparse.ArgumentParser(add_help=False)
    parallel.add_argument("--workers", type=int, metavar="N", help="processes; default: one per core, 0: none")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser("check", parents=[common, parallel], help="read every pair, find what is wrong")
    command.set_defaults(command=_check, on_interrupt="")

    command = commands.add_parser("manifest", parents=[common], help=f"list the pairs in a {MANIFEST}")
    command.add_argument("-o", "--out", type=path, metavar="FILE", help=f"default: DIR/{MANIFEST}, read instead of the "
                         "folder from then on")  # fmt: skip
    command.add_argument("--figure", type=not_empty, metavar="FILE", help="draw the counts as well, such as counts.png")
    command.set_defaults(command=_manifest, on_interrupt="")

    command = commands.add_parser("prepare", parents=[common, parallel], help="write a smaller copy")
    command.add_argument("out", type=path, metavar="OUT", help="folder for the copy; an unfinished one is finished")
    command.add_argument("--size", type=int, default=512, metavar="S", help="longest side in pixels; default: 512")
    command.set_defaults(command=_prepare, on_interrupt="; the same command goes on from here")
    return parser


def _check(options: argparse.Namespace) -> int:
    report = check(options.folder, options.truth, options.layout, options.workers)
    print(report)
    return 1 if report.problems else 0


def _manifest(options: argparse.Namespace) -> int:
    folder = options.folder
    source = manifest_of(folder)
    out = options.out or source
    if options.layout in (None, "manifest") and out.exists() and out.resolve() == source.resolve():
        raise ValueError(
            f"{out}: is what would be read, too; name another file with -o, or the folder's --layout to list it anew"
        )
    splits = find_splits(folder, options.truth, options.layout)
    for line in lines_left_out(splits):
        print(line, file=sys.stderr)
    listed, sizes, failed = {}, {}, []
    for split, found in splits.items():
        for pair in tqdm(found.pairs, desc=split, unit="file", mininterval=1.0):
            if fault := unlistable(out.parent, pair):
                failed.append(fault)
                continue
            try:
                sizes[pair.image] = picture_size(pair.image)
            except (ValueError, OSError) as error:
                failed.append(str(error))
        listed[split] = [pair for pair in found.pairs if pair.image in sizes]
    if not sizes:
        raise FileNotFoundError(
            "\n".join([f"{folder}: no usable photo with a ground truth there", *first_lines(failed)])
        )
    if options.figure:  # first: a manifest that is there would be read in the folder's place
        import matplotlib

        matplotlib.use("agg")  # a notebook's MPLBACKEND may name a module that is not installed here
        from helpers.plots import counts  # brings torch

        with naming(options.figure):
            counts(listed).savefig(options.figure)
    write_manifest(out, listed, sizes)
    return _report(listed, failed, out)


def _prepare(options: argparse.Namespace) -> int:
    done = prepare(options.folder, options.out, options.size, options.truth, options.layout, options.workers)
    for line in [*done.left_out, *summary(done.remarks)]:
        print(line, file=sys.stderr)
    return _report(done.splits, done.failed, options.out)


def _report(splits: Mapping[str, Sequence[Pair]], failed: list[str], out: Path) -> int:
    """Print what was written and what was left out; returns the exit code."""
    if failed:
        print("\n".join([f"cannot be used and left out: {len(failed)}", *first_lines(failed)]), file=sys.stderr)
    counts = ", ".join(f"{len(pairs)} {split}" for split, pairs in splits.items())
    print(f"{sum(map(len, splits.values()))} pairs ({counts}): {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
