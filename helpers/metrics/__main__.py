"""Matting errors of a folder of mattes or cutouts.

python -m helpers.metrics PRED_DIR TRUE_DIR            # the table
python -m helpers.metrics PRED_DIR TRUE_DIR --csv FILE --region whole --region TRIMAP_DIR
"""

import argparse
import sys

from helpers.files.arguments import not_empty, path
from helpers.metrics.folders import score_folders
from helpers.metrics.perceptual import CONVENTIONS
from helpers.metrics.table import write_csv
from helpers.startup import begin


def main(arguments: list[str] | None = None) -> int:
    """Print the table; returns the exit code: 0, 1 if anything is left out, 2 if nothing matches, 130 after Ctrl-C."""
    begin()
    options = _parser().parse_args(arguments)
    try:
        scores = score_folders(options.pred, options.true, options.region, options.band_width, options.convention,
                               options.jobs)  # fmt: skip
        for line in scores.left_out() + scores.remarks():
            print(line, file=sys.stderr)
        print(scores)
        if options.csv:
            write_csv(options.csv, scores)
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 1 if scores.left_out() else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m helpers.metrics", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pred", type=path, metavar="PRED_DIR", help="mattes, grey from 0 to 255, or cutouts, of which "
                        "the alpha channel counts; with the names of the ground truths or their photos")  # fmt: skip
    parser.add_argument("true", type=path, metavar="TRUE_DIR", help="ground truths, or a data set in a known layout "
                        "such as P3M-500-P, PPM-100 or EasyPortrait")  # fmt: skip
    parser.add_argument("--region", type=not_empty, action="append", metavar="whole|band|TRIMAP_DIR", help="where to "
                        "measure; may be given again. The whole image, the transition band, or the unknown pixels of "
                        "trimaps; default: whole and band, and trimap/ beside the truths if it is there")  # fmt: skip
    parser.add_argument("--band-width", type=int, default=15, metavar="PIXELS", help="odd; default: 15")
    parser.add_argument("--convention", choices=CONVENTIONS, default="dim", help="whose gradient and connectivity: "
                        "Deep Image Matting's (dim, default) or P3M-Net's (p3m)")  # fmt: skip
    parser.add_argument("--csv", type=path, metavar="FILE", help="also write one line per picture")
    parser.add_argument("--jobs", type=int, metavar="N", help="processes; default: one per core, 1: this one only")
    return parser


if __name__ == "__main__":
    sys.exit(main())
