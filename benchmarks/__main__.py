"""The speed tables of the README, as Markdown:

python -m benchmarks [input] [steps] [loading] [memory] [networks] [command]
"""

import sys

import benchmarks.input
from benchmarks import cutouts, loading, memory, steps
from benchmarks.timing import machine, table

PARTS = {
    "input": lambda: table(benchmarks.input.rows()),
    "steps": lambda: table(steps.rows()),
    "loading": loading.line,
    "memory": memory.table,
    "networks": lambda: table(cutouts.rows()),
    "command": cutouts.command,
}


def main(chosen):
    unknown = [name for name in chosen if name not in PARTS]
    if unknown:
        print(f"unknown: {', '.join(unknown)}; known are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    print(f"Measured on {machine()}. Let nothing else run meanwhile.", flush=True)
    for name in chosen or PARTS:
        print(f"\n{PARTS[name]()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
