"""Texts that people wrote: files such as lists and tables, and names of files in messages."""

from pathlib import Path


def read_text(path):
    """The text of a file in UTF-8, with or without a mark of its byte order.

    Raises FileNotFoundError for a missing file, and ValueError naming one in another encoding.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f'{path}: not in UTF-8; save it as "CSV UTF-8", or as plain text in UTF-8') from None


def shown(name):
    """A file's name as a message shows it: quoted, with escapes, if a line end or the like in it would tear the line."""
    text = str(name)
    return text if text.isprintable() else repr(text)


NAMED = 10  # lines of a kind that are printed


def first_lines(texts):
    """The first ten of some lines, and how many more there are."""
    return texts[:NAMED] + [f"… and {len(texts) - NAMED} more"] * (len(texts) > NAMED)


def fault_of(path, error):
    """The line that tells of a file which could not be read, whatever was raised; ours name the very file."""
    return str(error) if isinstance(error, (ValueError, OSError)) else f"{path}: {error!r}"
