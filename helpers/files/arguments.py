"""Paths in the arguments of the commands, as argparse's `type`."""

from argparse import ArgumentTypeError
from pathlib import Path


def not_empty(text: str) -> str:
    """The path in an argument. That of a shell's unset variable is empty, and would be the current folder.

    Raises ArgumentTypeError, which argparse shows as the argument's error.
    """
    if not text:
        raise ArgumentTypeError("the path is empty; name a file or folder, or . for the current one")
    return text


def path(text: str) -> Path:
    """As `not_empty`, as a `Path`."""
    return Path(not_empty(text))
