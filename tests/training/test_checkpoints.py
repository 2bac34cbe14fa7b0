"""Checkpoint files: whole or not there, harmless to read, the right ones kept and found again."""

import os
import pickle
import random
import time

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from support import same_run

from helpers.config import BEST, FINAL, LATEST
from helpers.networks.weights import read_checkpoint, read_weights, weights_of
from helpers.training.checkpoints import (
    OtherRun,
    keep_checkpoints,
    replace_damaged,
    resume,
    rng_state,
    set_aside,
    set_rng_state,
    take_up,
    write_checkpoint,
)
from helpers.training.logs import HISTORY
from helpers.training.loop import fit
from helpers.u2net import U2Net, load_official, to_official

STATE = {"weights": torch.arange(6.0), "epoch": 3, "history": {"val": [[4, 0.5]]}, "name": "x", "none": None}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# -------------------------------------------------------------------------------------------------------------- writing


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "new" / "folder" / "a.pth"
    write_checkpoint(path, STATE)
    state = read_checkpoint(path)
    assert torch.equal(state.pop("weights"), STATE["weights"])
    assert state == {key: value for key, value in STATE.items() if key != "weights"}
    assert names(path.parent) == ["a.pth"]


@pytest.mark.parametrize("failure", [OSError("disk full"), RuntimeError("no space"), KeyboardInterrupt()])
def test_a_write_that_fails_half_way_leaves_the_old_file_whole(failure, tmp_path, monkeypatch):
    path = tmp_path / "latest.pth"
    write_checkpoint(path, STATE)
    before = path.read_bytes()

    def half(_state, file):
        file.write(before[: len(before) // 2])
        file.flush()
        assert path.read_bytes() == before
        raise failure

    monkeypatch.setattr(torch, "save", half)
    for target in (path, tmp_path / "first.pth"):
        with pytest.raises(type(failure)):
            write_checkpoint(target, {"epoch": 4})
    assert path.read_bytes() == before
    assert names(tmp_path) == ["latest.pth"]


def test_a_file_is_replaced_only_once_it_is_on_the_disk(tmp_path, monkeypatch):
    path, steps = tmp_path / "latest.pth", []
    write_checkpoint(path, {"epoch": 1})
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append("sync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda old, new: (steps.append("replace"), replace(old, new)))
    write_checkpoint(path, {"epoch": 2})
    assert steps == ["sync", "replace"]
    assert read_checkpoint(path) == {"epoch": 2}


@pytest.mark.skipif(os.name != "posix", reason="limits of a process are POSIX")
@pytest.mark.parametrize("numbers", [10, 100_000], ids=["small", "large"])
def test_what_cannot_be_written_to_its_end_is_named(numbers, tmp_path):
    """torch.save alone would tell of an `enforce fail at inline_container.cc`."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (999, limits[1]))  # Python ignores the signal, and gets an error
    try:
        with pytest.raises(OSError, match=r"File too large: '.*latest\.pth'$"):
            write_checkpoint(tmp_path / LATEST, {"weights": torch.zeros(numbers)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not any(tmp_path.iterdir())


# -------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_files_are_refused_by_name(share, zipped, tmp_path):
    path = tmp_path / "cut.pth"
    torch.save(STATE, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    to_do = (
        "name the weight file, or replace it by a whole copy" if path.stat().st_size else "copy or download it again"
    )
    with pytest.raises(ValueError, match=rf"cut\.pth: not a readable checkpoint .*{to_do}"):
        read_checkpoint(path)


def flip_bit(path, place, bit=0):
    data = bytearray(path.read_bytes())
    data[place] ^= 1 << bit
    path.write_bytes(data)


def test_another_bit_in_the_weights_is_refused_though_pytorch_does_not_see_it(tmp_path):
    path = tmp_path / "flipped.pth"
    write_checkpoint(path, STATE)
    flip_bit(path, path.read_bytes().index(STATE["weights"].numpy().tobytes()) + 5)
    assert not torch.equal(torch.load(path, weights_only=True)["weights"], STATE["weights"])
    with pytest.raises(ValueError, match=r"flipped\.pth: not a readable checkpoint \(the checksum of \S+ is wrong\)"):
        read_checkpoint(path)


def test_weights_that_are_called_a_folder_are_refused_though_pytorch_makes_up_others(tmp_path):
    path, attributes = tmp_path / "flipped.pth", 38  # where the zip format's table tells a part's, a folder's 16
    write_checkpoint(path, STATE)
    table = path.read_bytes().index(b"PK\1\2")
    flip_bit(path, path.read_bytes().index(b"/data/0", table) - len("flipped") - 46 + attributes, bit=4)
    with pytest.raises(
        ValueError, match=r"flipped\.pth: not a readable checkpoint \(the table of its parts is wrong\)"
    ):
        read_checkpoint(path)


def test_garbage_is_refused_by_name(tmp_path):
    path, numbers = tmp_path / "garbage.pth", random.Random(0)
    for content in [b"<html>", b"hello", b"version https://git-lfs", b"PK\x03\x04"] + [
        numbers.randbytes(length) for length in range(1, 300)
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"garbage\.pth: not a readable checkpoint") as caught:
            read_checkpoint(path)
        assert len(str(caught.value).splitlines()) == 1


class Malicious:
    """Leaves a file behind when it is unpickled without care."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("save", [torch.save, lambda state, path: path.write_bytes(pickle.dumps(state))],
                         ids=["torch", "pickle"])  # fmt: skip
def test_code_in_a_file_is_refused_and_not_run(save, tmp_path):
    save({"weights": Malicious(tmp_path / "run")}, tmp_path / "evil.pth")
    with pytest.raises(ValueError, match=r"evil\.pth"):
        read_checkpoint(tmp_path / "evil.pth")
    assert names(tmp_path) == ["evil.pth"]
    torch.load(tmp_path / "evil.pth", weights_only=False) if save is torch.save else None
    assert (tmp_path / "run").exists() == (save is torch.save)  # the trap works


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(2), "text"])
def test_anything_but_a_dict_is_refused(content, tmp_path):
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=rf"other\.pth: holds a {type(content).__name__}, expected a dict"):
        read_checkpoint(tmp_path / "other.pth")


@pytest.mark.parametrize("read", [read_checkpoint, read_weights])
def test_a_missing_file_is_named(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        read(tmp_path / "nowhere.pth")


# -------------------------------------------------------------------------------------------------------------- weights


def test_weights_are_read_from_all_the_files_people_have(make_run, tiny, tmp_path):
    run, _ = make_run()
    official = to_official(run.model)
    torch.save(official, tmp_path / "plain.pth")
    write_checkpoint(tmp_path / "ours.pth", run.state_dict())
    published = {"epoch": 15, "model_state_dict": official, "optimizer_state_dict": {}, "scheduler_state_dict": {}}
    torch.save(published, tmp_path / "published.pth")
    for name in ("plain.pth", "ours.pth", "published.pth"):
        weights = read_weights(tmp_path / name)
        assert weights.keys() == official.keys()
        assert all(torch.equal(weights[key], official[key]) for key in official)
        load_official(U2Net(tiny), weights)


@pytest.mark.parametrize("state", [
    {}, {"model_state_dict": {}}, {"epoch": 3}, {"model_state_dict": {"a": 1}}, {"model_state_dict": [1]},
    {1: torch.ones(1)}, {"a": torch.ones(1, dtype=torch.complex64)},
    {"a": torch.ones(1).expand(10**12)}, {"a": torch.ones(1, device="meta")},
], ids=range(9))  # fmt: skip
def test_a_file_without_weights_is_refused_by_name(state, tmp_path):
    torch.save(state, tmp_path / "empty.pth")
    with pytest.raises(ValueError, match=r"empty\.pth: holds no weights"):
        read_weights(tmp_path / "empty.pth")
    with pytest.raises(ValueError, match="elsewhere: holds no weights"):
        weights_of(state, "elsewhere")


# ------------------------------------------------------------------------------------------------------- random numbers


def numbers():
    return [torch.rand(3).tolist(), np.random.rand(3).tolist(), np.random.normal(), random.random(), random.gauss(0, 1)]


def test_every_generator_continues_where_it_stood(tmp_path):
    for seed in (torch.manual_seed, np.random.seed, random.seed):
        seed(3)
    numbers()  # leaves half a pair of normal numbers in two generators
    write_checkpoint(tmp_path / "rng.pth", rng_state())
    expected = numbers()
    assert numbers() != expected
    set_rng_state(read_checkpoint(tmp_path / "rng.pth"))
    assert numbers() == expected


# -------------------------------------------------------------------------------------------------- best, latest, final


def end_of_epoch(run, loss):
    """Pretend that `run` has trained another epoch and validated it with `loss`."""
    run.epoch += 1
    run.history["val"].append([run.epoch * 4, loss])
    run.history["metrics"].append({"loss": loss})


def test_what_is_kept_at_the_end_of_each_epoch(make_run, tmp_path):
    run, _ = make_run(epochs=5, checkpoint_every=2)
    kept = []
    for loss in (0.5, 0.3, 0.4, 0.2, 0.6):
        end_of_epoch(run, loss)
        kept.append(set(keep_checkpoints(run, tmp_path)))
    assert kept == [
        {LATEST, BEST}, {LATEST, BEST, "epoch_002.pth"}, {LATEST}, {LATEST, BEST, "epoch_004.pth"}, {LATEST, FINAL},
    ]  # fmt: skip
    assert names(tmp_path) == sorted([BEST, "epoch_002.pth", "epoch_004.pth", FINAL, LATEST])
    epochs = {name: read_checkpoint(tmp_path / name)["epoch"] for name in names(tmp_path)}
    assert epochs == {BEST: 4, "epoch_002.pth": 2, "epoch_004.pth": 4, FINAL: 5, LATEST: 5}
    assert FINAL == "final_model_ckpt.pth"


def test_the_latest_is_written_last(make_run, tmp_path, monkeypatch):
    run, _ = make_run(epochs=1, checkpoint_every=1)
    written = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (replace(old, new), written.append(new.name)))
    end_of_epoch(run, 0.5)
    assert sorted(keep_checkpoints(run, tmp_path)) == sorted(written) == sorted([LATEST, BEST, "epoch_001.pth", FINAL])
    assert written[-1] == LATEST


@pytest.mark.parametrize("missing", [FINAL, "epoch_002.pth"])
def test_a_file_that_is_missing_at_the_end_of_a_run_is_written_again(missing, make_run, tmp_path):
    """It was moved away, or the run was interrupted just before it was written."""
    run, val_loader = make_run(checkpoint_every=2)
    fit(run, val_loader, tmp_path)
    whole = read_checkpoint(tmp_path / missing)
    (tmp_path / missing).unlink()
    (tmp_path / HISTORY).unlink()
    again, _ = make_run(checkpoint_every=2)
    assert resume(again, tmp_path) and again.finished
    fit(again, val_loader, tmp_path)
    assert same_run(read_checkpoint(tmp_path / missing), whole)
    assert len((tmp_path / HISTORY).read_text().splitlines()) == 3


def test_each_checkpoint_is_on_the_disk_before_it_gets_its_name(make_run, tmp_path, monkeypatch):
    run, _ = make_run(epochs=1, checkpoint_every=1)
    steps, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append("sync"), fsync(file)))
    monkeypatch.setattr(os, "replace", lambda old, new: (steps.append("replace"), replace(old, new)))
    end_of_epoch(run, 0.5)
    assert len(keep_checkpoints(run, tmp_path)) == 4
    assert steps == ["sync", "replace"] * 4
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_the_latest_is_told_by_its_name_not_by_the_alphabet(make_run, tmp_path):
    run, _ = make_run()
    for epoch, name in ((1, "epoch_001.pth"), (2, FINAL), (9, "zebra.pth"), (5, "epoch_015.pth"), (1, LATEST)):
        write_checkpoint(tmp_path / name, run.state_dict() | {"epoch": epoch})
    again, _ = make_run()
    assert resume(again, tmp_path) is True
    assert again.epoch == 1


def test_nothing_to_resume_in_a_folder_without_checkpoints(make_run, tmp_path):
    run, _ = make_run()
    torch.save({"weight": torch.zeros(1)}, tmp_path / "u2net.pth")
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert resume(run, folder) is False
    assert (run.epoch, run.step) == (0, 0)


def test_checkpoints_without_the_latest_are_not_overwritten(make_run, tmp_path):
    run, _ = make_run()
    write_checkpoint(tmp_path / FINAL, run.state_dict() | {"epoch": 7})
    with pytest.raises(
        OtherRun, match=f"such as {FINAL}, but no {LATEST}; copy one of them over {LATEST} to go on, or"
    ):
        resume(run, tmp_path)
    assert (run.epoch, run.step) == (0, 0)
    told = take_up(run, tmp_path)
    assert told.endswith("a new run") and "set aside in" in told
    assert read_checkpoint(next(tmp_path.glob(f"replaced-*/{FINAL}")))["epoch"] == 7


def test_a_damaged_latest_is_named_and_the_run_unchanged(make_run, tmp_path):
    run, _ = make_run()
    write_checkpoint(tmp_path / LATEST, run.state_dict() | {"epoch": 1})
    whole = (tmp_path / LATEST).read_bytes()
    (tmp_path / LATEST).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=LATEST) as damaged:
        resume(run, tmp_path)
    assert not isinstance(damaged.value, OtherRun)
    assert run.epoch == 0


def test_a_damaged_latest_is_replaced_by_the_newest_whole_one_and_kept(make_run, tmp_path):
    run, _ = make_run()
    for epoch, name in ((2, "epoch_002.pth"), (1, BEST)):
        write_checkpoint(tmp_path / name, run.state_dict() | {"epoch": epoch})
    (tmp_path / LATEST).write_bytes(b"PK")
    assert replace_damaged(tmp_path) == "epoch_002.pth"
    assert resume(run, tmp_path) and run.epoch == 2
    assert (tmp_path / f"{LATEST}.damaged").read_bytes() == b"PK"


def test_a_damaged_latest_without_a_whole_one_leaves_nothing_to_resume(make_run, tmp_path):
    (tmp_path / LATEST).write_bytes(b"PK")
    assert replace_damaged(tmp_path) is None
    assert not resume(make_run()[0], tmp_path)
    assert names(tmp_path) == [f"{LATEST}.damaged"]


def test_taking_up_a_folder_tells_a_damaged_checkpoint_from_another_run(make_run, tmp_path):
    run, _ = make_run()
    assert take_up(run, tmp_path) == "a new run"
    write_checkpoint(tmp_path / "epoch_001.pth", run.state_dict() | {"epoch": 1})
    (tmp_path / LATEST).write_bytes(b"PK")
    damaged = take_up(run, tmp_path)
    assert "not a readable checkpoint" in damaged and "another" not in damaged
    assert damaged.endswith("epoch_001.pth takes its place\nresumed after step 0") and run.epoch == 1
    other = take_up(make_run(edge_weight=4.0)[0], tmp_path)
    assert "from another run, which differs in edge_weight" in other and "damaged" not in other.splitlines()[0]
    assert "set aside in" in other and not (tmp_path / LATEST).exists()


def test_a_damaged_latest_names_the_furthest_whole_one_beside_it(make_run, tmp_path):
    run, _ = make_run()
    for epoch, name in ((9, LATEST), (2, "epoch_002.pth"), (3, BEST), (4, "epoch_004.pth")):
        write_checkpoint(tmp_path / name, run.state_dict() | {"epoch": epoch})
    torch.save({"weight": torch.zeros(1)}, tmp_path / "u2net.pth")
    for damaged in (LATEST, "epoch_004.pth"):
        (tmp_path / damaged).write_bytes(b"PK")
    remedy = "best.pth beside it is whole: copy it over latest.pth to go on after epoch 3"
    for read in (lambda: resume(run, tmp_path), lambda: make_run(max_lr="auto", folder=tmp_path)):
        with pytest.raises(ValueError, match=f"latest.pth: not a readable checkpoint .*; {remedy}$"):
            read()


def test_a_damaged_latest_beside_weights_alone_names_none(make_run, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "u2net.pth")
    (tmp_path / LATEST).write_bytes(b"PK")
    with pytest.raises(ValueError, match="a whole copy; or move latest.pth to another place to begin anew$"):
        resume(make_run()[0], tmp_path)


@pytest.mark.parametrize("change, message", [
    (lambda state: state.pop("timing"), "it lacks timing"),
    (lambda state: state["history"].pop("metrics"), "it lacks history of metrics"),
    (lambda state: state.update(swarm={}), "it holds the unknown swarm"),
    (lambda state: (state.pop("rng"), state.update(swarm={})), "it holds the unknown swarm, lacks rng"),
])  # fmt: skip
def test_a_checkpoint_of_another_version_is_refused_by_what_is_strange(change, message, make_run, tmp_path):
    run, _ = make_run()
    state = run.state_dict() | {"epoch": 1}
    change(state)
    write_checkpoint(tmp_path / LATEST, state)
    with pytest.raises(OtherRun, match=rf"{LATEST}: written by another version of this project, {message}; go on with"):
        resume(run, tmp_path)
    assert run.epoch == 0


@pytest.mark.parametrize("state", [{}, {"epoch": 15, "model_state_dict": {}}], ids=["empty", "published"])
def test_a_checkpoint_of_unknown_origin_is_not_resumed(state, make_run, tmp_path):
    run, _ = make_run()
    write_checkpoint(tmp_path / LATEST, state)
    with pytest.raises(ValueError, match=f"{LATEST}: from another run, which differs in .*a folder of its own"):
        resume(run, tmp_path)


def test_setting_aside_loses_nothing_even_twice_in_a_second(tmp_path):
    assert set_aside(tmp_path) is None
    assert set_aside(tmp_path / "nowhere") is None
    asides = []
    for moment in ("first", "second"):
        for name in (LATEST, FINAL, "epoch_003.pth"):
            (tmp_path / name).write_text(f"{moment} {name}")
        (tmp_path / "README.md").write_text("stays")
        asides.append(set_aside(tmp_path))
    assert names(tmp_path) == sorted(["README.md", *(aside.name for aside in asides)])
    for moment, aside in zip(("first", "second"), asides, strict=True):
        for name in (LATEST, FINAL, "epoch_003.pth"):
            assert (aside / name).read_text() == f"{moment} {name}"


def test_the_folders_name_begins_with_a_time(tmp_path):
    (tmp_path / LATEST).touch()
    aside = set_aside(tmp_path)
    time.strptime(aside.name[:24], "replaced-%Y%m%d-%H%M%S")
    assert names(aside) == [LATEST]


def test_complex_numbers_are_no_weights(tmp_path):
    save_file({"a": torch.ones(1, dtype=torch.complex64)}, tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match=r"odd\.safetensors: not a readable checkpoint"):
        read_checkpoint(tmp_path / "odd.safetensors")
