"""Training samples: augmented portraits, composites, several data sets mixed, and their batches."""

from helpers.samples.loading import make_loader
from helpers.samples.mixing import Source, mix, parse_source
from helpers.samples.samples import Sample

__all__ = ["Sample", "Source", "make_loader", "mix", "parse_source"]
