"""Text files that people write, and file names in messages."""

from pathlib import Path


def read_text(path: Path | str) -> str:
    """The text of a file in UTF-8, with or without a byte-order mark.

    Raises FileNotFoundError for a missing file, and ValueError with the file's name for another encoding.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f'{path}: not in UTF-8; save it as "CSV UTF-8", or as plain text in UTF-8') from None


def shown(name: object) -> str:
    """A file's name for a message of one line. It is quoted and escaped if it holds a line end or the like."""
    text = str(name)
    return text if text.isprintable() else repr(text)


def check_utf8(name: object, what: str = "file") -> None:
    """Raise ValueError for a name that is not in UTF-8, such as those from old archives and memory cards."""
    try:
        str(name).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{shown(name)}: the name is not in UTF-8; rename the {what}") from None


NAMED = 10
"""The largest number of lines of one kind that are printed."""


def first_lines(texts: list[str]) -> list[str]:
    """The first ten lines, and how many more there are."""
    return texts[:NAMED] + [f"… and {len(texts) - NAMED} more"] * (len(texts) > NAMED)


def fault_of(path: Path | str, error: Exception) -> str:
    """The line about a file that could not be read. The name is added if the error does not hold it."""
    return str(error) if isinstance(error, (ValueError, OSError)) else f"{path}: {error!r}"
