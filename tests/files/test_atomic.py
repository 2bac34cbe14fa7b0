import errno
import os

import pytest

from helpers.files.atomic import whole_file


def test_a_file_appears_whole_and_its_folder_with_it(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as temporary:
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_the_longest_names_of_a_file_system_can_be_written(tmp_path):
    for name in ("x" * 251 + ".png", "x" * 250 + "y.png", "ü" * 125 + ".png"):
        with whole_file(tmp_path / name) as temporary:
            temporary.write_text(name)
        assert (tmp_path / name).read_text() == name
    assert len(list(tmp_path.iterdir())) == 3


def test_a_failing_block_keeps_the_old_file_and_leaves_nothing(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("arguments, named", [((), "a.txt"), (("elsewhere",), "elsewhere")])
def test_an_error_names_the_file_unless_it_names_another_and_says_what_to_do(arguments, named, tmp_path):
    words = rf"No space left on device; make room, then run the same command again: '.*{named}'$"
    with pytest.raises(OSError, match=words), whole_file(tmp_path / "a.txt"):
        raise OSError(errno.ENOSPC, "No space left on device", *arguments)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_where_nothing_may_be_written_the_file_itself_is_named_and_the_way_out(number, tmp_path):
    words = rf"; write to another folder, or allow writing there: '{tmp_path / 'a.txt'}'"
    with pytest.raises(OSError, match=words) as caught, whole_file(tmp_path / "a.txt") as temporary:
        raise OSError(number, os.strerror(number), str(temporary))
    with pytest.raises(OSError, match="there: ") as twice, whole_file(tmp_path / "b.txt"):
        raise caught.value  # from a file within a file
    assert str(twice.value).count("another folder") == 1


def test_a_folder_that_cannot_be_made_is_named_with_the_way_out(tmp_path, monkeypatch):
    def refuse(path, *_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    words = r"another folder, or allow writing there: '.*new'$"
    with pytest.raises(PermissionError, match=words), whole_file(tmp_path / "new" / "a.txt"):
        pass


def test_what_a_link_leads_to_is_never_written(tmp_path):
    """It may be the photo that is cut out."""
    (tmp_path / "photo.png").write_text("photo")
    (tmp_path / "link.png").symlink_to(tmp_path / "photo.png")
    with whole_file(tmp_path / "link.png") as temporary:
        temporary.write_text("cutout")
    assert (tmp_path / "photo.png").read_text() == "photo"
    assert (tmp_path / "link.png").read_text() == "cutout"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_stays_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is a pipe or a device; name a file: '.*pipe'"), whole_file(tmp_path / "pipe"):
        pass
    assert (tmp_path / "pipe").is_fifo()
