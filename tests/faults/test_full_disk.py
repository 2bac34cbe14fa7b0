"""The disk is full while something is written: one line, no half-written file; with space made, the same end."""

import os
import subprocess
from pathlib import Path

import pytest
from support import arguments, assert_same_end, error_of

from helpers.config import FINAL, LATEST
from helpers.training import checkpoints
from helpers.training import loop as training
from helpers.training.__main__ import main
from helpers.training.logs import HISTORY

FULL = "[Errno 28] No space left on device; make room, then run the same command again: "
SETTINGS = ("checkpoint_every=1",)
MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && echo mounted && exec cat'


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 24 MiB of its own, seen through the process that has mounted it; it vanishes with that process."""
    (tmp_path / "disk").mkdir()
    command = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-c",
        MOUNT,
        "sh",
        "24m",
        str(tmp_path / "disk"),
    ]
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError:
        pytest.skip("a disk of its own needs unshare, of Linux")
    with process:
        if process.stdout.readline() != b"mounted\n":
            pytest.skip(f"no disk of its own may be mounted here: {process.stderr.read().decode().strip()}")
        yield Path(f"/proc/{process.pid}/root{tmp_path}/disk")
        process.kill()


def fill(disk, free):
    """Leave so many bytes of a disk free."""
    space = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(max(0, space.f_bavail * space.f_frsize - free)))


def test_the_disk_is_full_when_a_checkpoint_is_written(
    headless, ended, small_disk, portrait_folder, capsys, monkeypatch, long, survived
):
    """Whichever it is: there is space for another part of all that the run, saved after every batch, writes."""
    monkeypatch.setattr(training.fit, "__defaults__", (0,))
    size, replaced, replace = (ended / FINAL).stat().st_size, {}, os.replace

    def remember(source, target):
        content = Path(source).read_bytes()
        replace(source, target)
        replaced[Path(target)] = content

    monkeypatch.setattr(checkpoints.os, "replace", remember)
    shares, named = [0.01 + part * 0.4 for part in range(15)] if long else [0.01, 2.5, 4.5], set()
    for share in shares:
        folder = small_disk / f"{share:.2f}"
        replaced.clear()
        fill(small_disk, int(share * size))
        capsys.readouterr()
        line = error_of(main(arguments(portrait_folder, folder, *SETTINGS)), capsys)
        assert f"error: {FULL}'{folder}/" in line
        named.add(line.split("/")[-1])
        assert {path: path.read_bytes() for path in folder.iterdir()} == replaced  # whole, and nothing else
        (small_disk / "ballast").unlink()
        resumes = folder / LATEST in replaced
        assert main(arguments(portrait_folder, folder, *SETTINGS)) == 0
        assert ("\nresumed at " in capsys.readouterr().out) == resumes
        assert_same_end(folder, ended)
        for path in folder.iterdir():
            path.unlink()  # the disk is for the next
    assert named == {"latest.pth'", "best.pth'", "epoch_002.pth'"} | ({"epoch_001.pth'"} if long else set())
    survived("disk full while a checkpoint is written", len(shares), "stopped in one line naming the file; nothing "
             "half-written, the last good one whole; with space made, bitwise the same end")  # fmt: skip


def test_the_disk_is_full_when_history_and_curves_are_written(
    headless, ended, small_disk, portrait_folder, tmp_path, capsys, monkeypatch, long, survived
):
    write_history = training.write_history
    for number in (1, 2) if long else (2,):  # in the end of which epoch
        folder = small_disk / str(number)
        monkeypatch.setattr(training, "write_history", lambda run, folder, last=number: (
            fill(small_disk, 0) if run.epoch == last else None, write_history(run, folder)
        ))  # fmt: skip
        capsys.readouterr()
        line = error_of(main(arguments(portrait_folder, folder, *SETTINGS)), capsys)
        assert line == f"error: {FULL}'{folder / HISTORY}'"
        (small_disk / "ballast").unlink()
        monkeypatch.setattr(training, "write_history", write_history)
        assert main(arguments(portrait_folder, folder, *SETTINGS)) == 0
        assert_same_end(folder, ended)

    pytest.importorskip("tensorboard")
    rooms = [4096 * pages for pages in range(4)] if long else [0, 4096]
    for room in rooms:
        folder, curves = tmp_path / f"curves-{room}", small_disk / f"curves-{room}"
        for path in (folder, curves):
            path.mkdir()
        (folder / "tensorboard").symlink_to(curves)  # on a disk of its own
        fill(small_disk, room)
        capsys.readouterr()
        settings = (*SETTINGS, "tensorboard=true", "log_every=1")
        line = error_of(main(arguments(portrait_folder, folder, *settings)), capsys)
        assert line == f"error: {FULL}'{folder / 'tensorboard'}'"
        (small_disk / "ballast").unlink()
        assert main(arguments(portrait_folder, folder, *settings)) == 0
        assert_same_end(folder, ended)
    survived("disk full while history.csv or TensorBoard's curves are written", number + len(rooms),
             "stopped in one line naming the place; with space made, bitwise the same end")  # fmt: skip
