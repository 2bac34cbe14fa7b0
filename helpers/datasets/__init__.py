"""Data sets: pairs of photo and ground truth, layouts, manifests, splits; check, manifest and prepare."""

from helpers.datasets.layouts import CLASSES, backgrounds_in, find_pairs, find_splits, recognise, splits_in
from helpers.datasets.pairs import Pair, read_alpha, read_pair
from helpers.datasets.splits import user_ids

__all__ = [
    "CLASSES",
    "Pair",
    "backgrounds_in",
    "find_pairs",
    "find_splits",
    "read_alpha",
    "read_pair",
    "recognise",
    "splits_in",
    "user_ids",
]
