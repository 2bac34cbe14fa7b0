"""From a folder of photos to a network of one's own: python -m helpers.mine FOLDER

looks at the photos, proposes a matte for each and opens the page to correct them; `train` then trains and reports.
"""

import argparse
import signal
import subprocess
import sys
import warnings

from helpers.config import parse_setting
from helpers.files.arguments import not_empty, path
from helpers.mine.project import Project
from helpers.mine.steps import (
    concluded,
    found,
    look_and_propose,
    starting_weights,
    train_and_report,
    what_is_next,
)
from helpers.mine.words import counted
from helpers.startup import begin

STEPS = ("propose", "correct", "train", "status")


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code: 0, or 2 after an error, 130 after Ctrl-C."""
    begin()
    parser = argparse.ArgumentParser(prog="python -m helpers.mine", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=path, metavar="FOLDER", help="your photos; nothing is written into it")
    parser.add_argument("step", nargs="?", choices=STEPS, help="one step alone; default: "
                        "look at the photos, propose what is new, and open the page to correct it")  # fmt: skip
    parser.add_argument("--work", type=path, metavar="DIR", help="where everything is written; default: FOLDER_mine")
    parser.add_argument("--weights", type=not_empty, metavar="FILE", help="the network to start from; default: the one "
                        "that comes with the project")  # fmt: skip
    parser.add_argument("--port", type=int, metavar="PORT", help="port that the page listens on; default: 7860")
    parser.add_argument("--backgrounds", type=path, metavar="DIR", help="train: pictures to put the people in front of")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="train: change a field of "
                        "the preset `mine`, such as epochs=5")  # fmt: skip
    options = parser.parse_args(arguments)
    if options.step != "train" and (options.backgrounds or options.set):
        parser.error("--backgrounds and --set are for the step train; the page has a box for backgrounds")
    if options.step not in (None, "correct") and options.port is not None:
        parser.error(f"--port is the page's, which the step {options.step} does not open")
    warnings.showwarning = lambda message, *_: print(f"warning: {message}", file=sys.stderr)
    try:
        changes = dict(parse_setting(text) for text in options.set)
        project, weights = Project.open(options.folder, options.work), starting_weights(options.weights)
        if options.step in (None, "propose"):
            proposed = look_and_propose(project, weights)
            print("\n".join(found(project)))
            if not project.photos:
                raise ValueError(f"{project.folder}: none of its photos can be used; put others into it")
            print(f"{counted(proposed, 'matte')} proposed; all of them on one sheet: {project.work / 'contact.png'}")
        if options.step == "train":
            print("\n".join(concluded(project, train_and_report(project, weights, options.backgrounds, **changes))))
        else:
            print("\n".join(what_is_next(project, options.weights)))
        if options.step in (None, "correct"):
            return _open_page(options)
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _open_page(options: argparse.Namespace) -> int:
    """Serve the page in a process of its own, until Ctrl-C; its exit code."""
    print("the page opens at the address below, in its tab “My photos”; its button “Train and report” does the rest")
    named = [("--photos", options.folder), ("--work", options.work), ("--weights", options.weights),
             ("--port", options.port)]  # fmt: skip
    settings = [str(part) for pair in named if pair[1] is not None for part in pair]
    return subprocess.call([sys.executable, "-m", "helpers.app", *settings])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # saves the run as Ctrl-C does
    sys.exit(main())
