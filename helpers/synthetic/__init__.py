"""Synthetic portraits: drawn by a program, with exact mattes."""

from helpers.synthetic.dataset import make_portrait, write_dataset

__all__ = ["make_portrait", "write_dataset"]
