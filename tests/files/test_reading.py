"""Reading elsewhere in an open file leaves its reading position as it was, also after an error."""

import io

import pytest

from helpers.files.reading import reading_from


def test_the_reading_position_stays():
    file = io.BytesIO(b"0123456789")
    file.seek(3)
    with reading_from(file, 8) as there:
        assert there.read() == b"89"
    with pytest.raises(KeyError), reading_from(file, 0) as there:
        raise KeyError(there.read(1))
    assert file.read(1) == b"3"
