"""One training at a time in a folder, and a killed one is no obstacle."""

import os
import socket
import subprocess
import sys

import pytest
from support import ROOT

from helpers.training.lock import LOCK, alone_in

HOLD = """
import sys
from helpers.training.lock import alone_in
with alone_in(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as process:  # fmt: skip
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_the_second_is_refused_and_told_who_is_first(holder, tmp_path):
    before = sorted(tmp_path.iterdir())
    with (
        pytest.raises(ValueError, match=f"process {holder.pid} on {socket.gethostname()} is training there; wait"),
        alone_in(tmp_path),
    ):
        pytest.fail("two at a time")
    assert sorted(tmp_path.iterdir()) == before
    with (
        pytest.raises(ValueError, match=str(holder.pid)),
        alone_in(tmp_path),
    ):  # the refusal took nothing from the first
        pytest.fail("two at a time")


def test_when_the_first_ends_or_is_killed_the_second_begins(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert len(list(tmp_path.iterdir())) == 1  # what it left behind
    with alone_in(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]
    assert not any(tmp_path.iterdir())


def test_equal_process_ids_are_no_way_past_the_lock(holder, tmp_path, monkeypatch):
    """As in two containers on one volume: after a refusal, too, the folder belongs to the first."""
    monkeypatch.setattr(os, "getpid", lambda: holder.pid)
    for _ in range(3):
        with pytest.raises(ValueError, match="is training there"), alone_in(tmp_path):
            pytest.fail("two at a time")
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_holder_that_cannot_be_read_is_another_process(holder, tmp_path):
    (tmp_path / LOCK).write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="another process is training there; wait for it"), alone_in(tmp_path):
        pytest.fail("two at a time")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_workers_process_does_not_hold_the_folder_for_its_dead_parent(tmp_path):
    """A forked loader worker outlives its killed parent by seconds."""
    forked = HOLD.replace("print", "import os, time\n    if os.fork() == 0: time.sleep(60), os._exit(0)\n    print")
    with subprocess.Popen([sys.executable, "-c", forked, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, start_new_session=True) as process:  # fmt: skip
        assert process.stdout.readline() == b"held\n"
        process.kill()
        process.wait()
        try:
            with alone_in(tmp_path):
                pass
        finally:
            os.killpg(process.pid, 9)


def test_the_folder_is_free_after_an_error(tmp_path):
    with pytest.raises(OSError, match="disk"), alone_in(tmp_path):
        raise OSError("disk full")
    assert not any(tmp_path.iterdir())
