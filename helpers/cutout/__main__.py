"""From photos to cutouts, the command.

python -m helpers.cutout photo.jpg                             # photo_cutout.png beside it
python -m helpers.cutout holidays -o cutouts --background blur # a folder, sub-folders alike
curl https://… | python -m helpers.cutout - > cutout.png
"""

import argparse
import sys
import warnings
from contextlib import suppress
from pathlib import Path

from PIL import Image, ImageColor

from helpers.cutout.batch import cut_bytes, cut_files, plan, reason_of
from helpers.cutout.foreground import opaque
from helpers.cutout.matter import Matter, load_matter
from helpers.cutout.output import Look
from helpers.files.arguments import not_empty, path
from helpers.files.folders import in_words
from helpers.files.photos import open_photo
from helpers.startup import begin, usable_cores

PIPE = "-"
SMALLEST = 32  # pixels a side, of which a U²-Net's deepest stage leaves one


def main(arguments: list[str] | None = None) -> int:
    """Cut out what the command line names; returns the exit code.

    0: all done. 1: some photos were skipped; each is named with the reason. 2: nothing could be started, because a
    path, colour or weight file does not exist. 130: after Ctrl-C. Wrong arguments raise `SystemExit` with 2.
    """
    begin()
    options = _options(arguments)
    # Pillow warns of damage that it repairs, and of pictures half as large as those that it refuses.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    try:
        look = Look(options.kind, _background(options.background))
        if options.paths == [PIPE]:
            return _pipe(load_matter(options.weights, size=options.size), look)
        outputs, skipped, passed_over = plan(options.paths, options.out)
        for line in skipped:
            print(line, file=sys.stderr)
        outcome = cut_files(load_matter(options.weights, size=options.size), outputs, look, options.jobs)
        outcome = outcome._replace(skipped=skipped + outcome.skipped)
        print(outcome, flush=True)
        if passed_over:
            print(f"passed over, not photos by their names: {in_words(passed_over)}", file=sys.stderr)
        return 1 if outcome.skipped else 0
    except KeyboardInterrupt:
        print("interrupted: the files written so far are whole", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _pipe(matter: Matter, look: Look) -> int:
    """A photo from the standard input, its PNG to the standard output."""
    if sys.stdin is None or sys.stdout is None:
        raise ValueError("standard input or output is closed; give the photo's path instead of -")
    try:
        encoded, note = cut_bytes(matter, sys.stdin.buffer.read(), look, "standard input")
    except Exception as error:  # a decoder may raise anything on a broken file
        print(f"skipped: {reason_of('standard input', error)}", file=sys.stderr)
        return 1
    if note:
        print(note, file=sys.stderr)
    sys.stdout.buffer.write(encoded)
    sys.stdout.buffer.flush()
    return 0


def _background(text: str | None) -> str | Image.Image | None:
    """The background of a `Look`, from the command line."""
    if text in (None, "none"):
        return None
    if text == "blur":
        return text
    with suppress(ValueError):
        if len(ImageColor.getrgb(text)) == 3:
            return text
    if not Path(text).is_file():
        raise ValueError(f"{text}: neither an opaque colour, such as white or #00ff00, nor a picture file")
    return opaque(open_photo(text))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m helpers.cutout", description="Cut people out of photos: transparent PNG files, at the photos' "
        "own size.", epilog="Exit code: 0 all done, 1 some skipped (each named with the reason), 2 nothing begun.",
    )  # fmt: skip
    parser.add_argument("paths", nargs="+", type=not_empty, metavar="PATH", help="photos, folders of photos (with "
                        "their sub-folders), or - alone: a photo on the standard input, a PNG on the standard "
                        "output")  # fmt: skip
    parser.add_argument("-o", "--out", type=not_empty, metavar="OUT", help="folder to write to, sub-folders as in the "
                        "folders given; or a name ending in .png for a single photo. Files of earlier runs are "
                        "replaced there, photos given never. Default: photo_cutout.png beside photo.jpg, "
                        "FOLDER_cutouts/ beside FOLDER")  # fmt: skip
    parser.add_argument("--background", metavar="COLOUR|PICTURE|blur|none", help="what is put behind the person: a "
                        "colour (white, #00ff00), a picture (white where it is transparent), or blur: the photo's own "
                        "background, blurred; default: none, transparent")  # fmt: skip
    kinds = parser.add_mutually_exclusive_group()
    for kind, text in (("mask", "write the alpha alone, grey from 0 to 255"),
                       ("side-by-side", "write photo and cutout side by side, on a checkerboard unless --background is "
                        "given"),
                       ("trimap", "write 0, 128 or 255: background, unknown, person, for matting tools")):  # fmt: skip
        kinds.add_argument("--mask-only" if kind == "mask" else f"--{kind}", dest="kind", action="store_const",
                           const=kind, default="cutout", help=text)  # fmt: skip
    parser.add_argument("--weights", type=path, metavar="FILE", help="a checkpoint, an original weight file, "
                        ".safetensors or .onnx; default: your own saved_models/final_model_ckpt.pth if it is there, "
                        "else the weights of this project")  # fmt: skip
    parser.add_argument("--size", type=int, metavar="PIXELS", help="side of the network's input; default: what it was "
                        "trained at")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=min(usable_cores(), 4), metavar="N", help="photos at the same "
                        "time; default: one per core, at most 4")  # fmt: skip
    options = parser.parse_args(arguments)
    if PIPE in options.paths and (len(options.paths) > 1 or options.out):
        parser.error("- stands alone: one photo from the standard input, the PNG to the standard output, no -o")
    if options.out == PIPE:
        parser.error("-o - is for no folder. A PNG to the standard output: python -m helpers.cutout - < photo.jpg; a "
                     "folder of this name: ./-")  # fmt: skip
    if options.background and options.kind in ("mask", "trimap"):
        parser.error(f"--background changes nothing in a {options.kind}; leave one of the two out")
    if options.size is not None and options.size < SMALLEST:
        parser.error(f"--size {options.size}: the network needs {SMALLEST} pixels at least")
    if options.jobs < 1:
        parser.error(f"--jobs {options.jobs}: at least 1 photo at a time")
    return options


if __name__ == "__main__":
    sys.exit(main())
