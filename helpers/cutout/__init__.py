"""From photos to cutouts: `load_matter()` for a script, `python -m helpers.cutout` for files. Imports no torch."""

from helpers.cutout.foreground import checkerboard, foreground_colours, over
from helpers.cutout.matter import Matter, load_matter

__all__ = ["Matter", "checkerboard", "foreground_colours", "load_matter", "over"]
