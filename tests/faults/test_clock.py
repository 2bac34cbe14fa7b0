"""The wall clock jumps, forwards and backwards, by decades: a run takes no notice."""

import random
import time

import pytest
from support import arguments, assert_same_end

from helpers.config import FINAL
from helpers.networks.weights import read_checkpoint
from helpers.training import loop as training
from helpers.training.__main__ import main
from helpers.training.checkpoints import set_aside


def test_the_clock_jumps_all_the_time(headless, ended, portrait_folder, tmp_path, capsys, monkeypatch, survived):
    """Whoever asks for the time of the day, tqdm and TensorBoard included, is told another moment of 1970 to 2100."""
    pytest.importorskip("tensorboard")
    numbers, moments, localtime, saved = random.Random(0), [], time.localtime, []
    write = training.write_checkpoint

    def moment():
        moments.append(numbers.uniform(0, 130 * 365 * 86400))
        return moments[-1]

    monkeypatch.setattr(time, "time", moment)
    monkeypatch.setattr(time, "time_ns", lambda: int(1e9 * moment()))
    monkeypatch.setattr(time, "localtime", lambda seconds=None: localtime(moment() if seconds is None else seconds))
    monkeypatch.setattr("tqdm.std.time", moment)
    monkeypatch.setattr(training, "write_checkpoint", lambda *file: (saved.append(1), write(*file)))
    monkeypatch.setattr(training.fit, "__defaults__", (0,))  # saved after every batch
    settings = ("checkpoint_every=1", "tensorboard=true", "log_every=1")
    assert main(arguments(portrait_folder, tmp_path, *settings)) == 0
    assert "Traceback" not in capsys.readouterr().err
    assert len(saved) == 8
    assert_same_end(tmp_path, ended)
    for speed, waited in read_checkpoint(tmp_path / FINAL)["timing"]:
        assert 0 < speed < 1e6 and 0 <= waited <= 1
    aside = set_aside(tmp_path)
    assert sorted(path.name for path in aside.iterdir()) == sorted(path.name for path in ended.glob("*.pth"))
    monkeypatch.undo()
    backwards = sum(later < earlier for earlier, later in zip(moments, moments[1:]))
    assert backwards > 20
    survived("the wall clock jumps by up to 130 years whenever it is looked at", f"{len(moments)} looks, {backwards} "
             "of them back in time", "saved after every batch as always; bitwise the same end")  # fmt: skip
