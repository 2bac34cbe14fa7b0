"""Reading at another place of an open file, of which Pillow goes on reading where it stopped."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def reading_from(file: IO[bytes] | None, place: int) -> Iterator[IO[bytes]]:
    """The `file`, read from byte `place` on in the block; afterwards the reading position is what it was.

    `file` may be the `fp` of a picture that is open.
    """
    assert file is not None  # it is open
    before = file.tell()
    file.seek(place)
    try:
        yield file
    finally:
        file.seek(before)
