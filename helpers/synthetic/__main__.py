"""The synthetic data set's command: python -m helpers.synthetic DIR --count N --size S --seed K"""

import argparse
import sys

from helpers.files.arguments import path
from helpers.startup import begin
from helpers.synthetic.dataset import write_dataset


def main(arguments: list[str] | None = None) -> None:
    """Command line: `python -m helpers.synthetic DIR --count N --size S --seed K`."""
    begin()
    parser = argparse.ArgumentParser(
        prog="python -m helpers.synthetic",
        description="Synthetic portraits and their mattes, in EasyPortrait's layout.",
    )
    parser.add_argument("folder", type=path, metavar="DIR", help="where the data set is written")
    parser.add_argument("--count", type=int, default=2000, help="number of pictures (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of a picture in pixels (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another seed gives other pictures (default: %(default)s)")
    parser.add_argument("--workers", type=int, help="processes (default: one for each core)")
    options = parser.parse_args(arguments)
    try:
        folder = write_dataset(options.folder, options.count, options.size, options.seed, options.workers)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing is written, the same command begins anew", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError) as problem:
        parser.error(str(problem))
    print(f"{options.count} portraits of {options.size} × {options.size} pixels in {folder}")


if __name__ == "__main__":
    main()
