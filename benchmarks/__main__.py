"""The speed tables of docs/speed.md, as Markdown: python -m benchmarks [PART …]"""

import argparse
import sys
from collections.abc import Callable

import benchmarks.input
from benchmarks import cutouts, loading, memory, steps
from benchmarks.timing import machine, table

PARTS: dict[str, tuple[str, Callable[[], str]]] = {
    "input": ("from files to augmented pairs", lambda: table(benchmarks.input.rows())),
    "steps": ("the training step, lite and full", lambda: table(steps.rows())),
    "loading": ("the share of an epoch for which a GPU waits for data", loading.line),
    "memory": ("memory of a training run, epoch by epoch", memory.table),
    "networks": ("one photo through the network", lambda: table(cutouts.rows())),
    "command": ("a folder of photos by the command, against rembg", cutouts.command),
}
"""Each part: what it measures, and the function that returns its table."""


def main(arguments: list[str] | None = None) -> int:
    """Print the tables of the chosen parts, of all without a choice; returns the exit code."""
    parts = "\n".join(f"  {name:<10}{what}" for name, (what, _) in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Speed and memory against the plain way of doing the same work, as Markdown tables.",
        epilog=f"parts:\n{parts}\n\nLet nothing else run meanwhile.",
    )  # fmt: skip
    parser.add_argument("parts", nargs="*", metavar="PART", help="what to measure; default: everything")
    chosen = parser.parse_args(arguments).parts
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    print(f"Measured on {machine()}. Let nothing else run meanwhile.", flush=True)
    for name in chosen or PARTS:
        print(f"\n{PARTS[name][1]()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
