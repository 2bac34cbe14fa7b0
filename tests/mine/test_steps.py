"""The path by command, from photos to the report; what is bad in a folder is named and harms nothing else."""

import json
import os
import re
import shlex
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from support import draw_portrait

from helpers.config import FINAL
from helpers.datasets.layouts import find_splits
from helpers.datasets.pairs import read_pair
from helpers.mine import steps
from helpers.mine.__main__ import main
from helpers.mine.correct import CONFIRMED, CORRECTED, WAITING, Corrections
from helpers.mine.lesson import lesson_of
from helpers.mine.look import look
from helpers.mine.project import Project
from helpers.mine.report import CARD, REPORT, WEIGHTS, commands
from helpers.mine.steps import (
    count_of,
    found,
    look_and_propose,
    starting_weights,
    train_and_report,
    training_seconds,
    what_is_next,
)
from helpers.networks.registry import weights_out
from helpers.networks.weights import read_checkpoint
from helpers.training.lock import alone_in
from helpers.u2net import U2Net

COUNT = 20


def draw_photos(folder, count=COUNT, seed=0):
    """Photos in a folder, and {file stem: right matte (H, W) in [0, 1]}."""
    folder.mkdir(parents=True)
    numbers, mattes = np.random.default_rng(seed), {}
    for number in range(count):
        photo, ids = draw_portrait(numbers)
        Image.fromarray(photo).save(folder / f"p{number:02}.png")
        mattes[f"p{number:02}"] = (ids > 0).astype(np.float32)
    return mattes


@pytest.fixture
def weights(headless, tiny, tmp_path):
    """A weight file of the tiny network with random weights."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.pth"
    torch.save({"model_state_dict": weights_out(U2Net(tiny)), "table": [list(stage) for stage in tiny],
                "network": "u2net_lite", "config": {"image_size": 32}}, path)  # fmt: skip
    return path


@pytest.fixture
def mattes(tmp_path):
    return draw_photos(tmp_path / "photos")


QUICK = {"epochs": 2, "batch_size": 4, "workers": 0}


@pytest.fixture
def project(weights, mattes, tmp_path):
    """The photos with a matte proposed for each."""
    project = Project.open(tmp_path / "photos")
    look_and_propose(project, weights, 0)
    return project


def correct_all(project, mattes):
    """Say the right matte of every photo."""
    for name in project.photos:
        Corrections(project).replace(name, mattes[name])


def test_the_whole_path_by_command(weights, mattes, tmp_path, capsys):
    folder, work = tmp_path / "photos", tmp_path / "photos_mine"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert main([str(folder), "propose", "--weights", str(weights)]) == 0
    printed = capsys.readouterr().out
    assert f"{COUNT} photos" in printed
    assert f"{COUNT} mattes proposed" in printed
    assert "next: correct or confirm" in printed
    with Image.open(work / "contact.png") as sheet:
        assert sheet.width > sheet.height > 200

    assert main([str(folder), "train", "--weights", str(weights)]) == 2
    assert "correct or confirm" in capsys.readouterr().err

    project = Project.open(folder)
    correct_all(project, mattes)
    settings = [part for key, value in QUICK.items() for part in ("--set", f"{key}={value}")]
    assert main([str(folder), "train", "--weights", str(weights), *settings]) == 0
    printed = capsys.readouterr().out
    assert "kept out" in printed
    assert str(work / REPORT) in printed
    page = (work / REPORT).read_text(encoding="utf-8")
    assert '<img src="data:image/jpeg;base64,' in page
    assert not re.search(r"(?:src|href)=\"(?!data:)", page)
    numbers = json.loads((work / "report.json").read_text())
    assert numbers["checked"] + numbers["kept_out"] == COUNT
    assert set(numbers["errors"]) == {"before", "half of the photos", "all photos"}
    assert numbers["better"] == (work / WEIGHTS).is_file() == (work / CARD).is_file()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_what_is_kept_out_is_never_trained_on_and_half_is_half(weights, mattes, tmp_path):
    project = Project.open(tmp_path / "photos")
    look_and_propose(project, weights, 0)
    correct_all(project, mattes)
    lesson = lesson_of(project)
    assert {pair.image.stem for pair in lesson.kept_out} == {n for n, p in project.photos.items() if p.kept_out}
    train_and_report(project, weights, **QUICK)
    seen = {}
    for part in ("all", "half"):
        splits = find_splits(project.work / "training" / part / "checked.csv")
        assert {pair.image.name for pair in splits["val"].pairs} == {pair.image.name for pair in lesson.kept_out}
        seen[part] = {pair.image.name for pair in splits["train"].pairs}
        assert not seen[part] & {pair.image.name for pair in lesson.kept_out}
    assert seen["half"] < seen["all"]
    assert len(seen["half"]) == (len(seen["all"]) + 1) // 2
    assert [steps_of(project, part) for part in ("all", "half")] == [2 * (14 // 4), 6 * (7 // 4)]


def steps_of(project, part):
    """The steps of a training that is finished."""
    return len(read_checkpoint(project.work / "training" / part / FINAL)["history"]["train"])


def test_a_photo_that_is_both_doubtful_and_kept_out_waits_once(weights, mattes, tmp_path):
    project = Project.open(tmp_path / "photos")
    look_and_propose(project, weights, 0)
    names = [photo.name for photo in project.by_doubt()]
    for name in names:
        project.set(name, kept_out=name in (names[0], names[-1]))
    assert count_of(project).waiting == 11
    Corrections(project).confirm(names[0])
    assert count_of(project).waiting == 10


def test_an_interrupted_training_goes_on_and_a_finished_one_is_not_repeated(weights, mattes, tmp_path, monkeypatch):
    from helpers.training import step as steps_of_training

    project = Project.open(tmp_path / "photos")
    look_and_propose(project, weights, 0)
    correct_all(project, mattes)
    stepped = []

    def interrupted(*arguments, step=steps_of_training.train_step, **settings):
        if len(stepped) == 5:
            raise KeyboardInterrupt
        stepped.append(1)
        return step(*arguments, **settings)

    with monkeypatch.context() as patch:
        patch.setattr(steps_of_training, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train_and_report(project, weights, **QUICK)
    train_and_report(Project.open(tmp_path / "photos"), weights, **QUICK)
    assert steps_of(project, "all") == 2 * (14 // 4)

    def refused(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(steps_of_training, "train_step", refused)
    train_and_report(Project.open(tmp_path / "photos"), weights, **QUICK)
    for name in lesson_names(project, "kept_out"):  # what is only measured on teaches nothing
        Corrections(project).replace(name, painted_again(mattes[name]))
    train_and_report(Project.open(tmp_path / "photos"), weights, **QUICK)
    assert not list((project.work / "training" / "all").glob("replaced-*"))


def painted_again(matte, side=10):
    """A matte with a square less of the person, whose middle is in the lower half."""
    changed = matte.copy()
    changed[-20 : -20 + side, 20 : 20 + side] = 0
    assert (changed != matte).any()
    return changed


def lesson_names(project, part):
    return [pair.image.stem for pair in getattr(lesson_of(project), part)]


def test_masks_that_were_painted_again_are_trained_on(project, weights, mattes, monkeypatch):
    """The files have the same names, and other pixels."""
    from helpers.training import step as steps_of_training

    correct_all(project, mattes)
    train_and_report(project, weights, **QUICK)
    checked = lesson_names(project, "checked")
    half = {pair.image.stem for pair in lesson_of(project).half().checked}
    stepped = []

    def counted(*arguments, step=steps_of_training.train_step, **settings):
        stepped.append(1)
        return step(*arguments, **settings)

    monkeypatch.setattr(steps_of_training, "train_step", counted)
    one = next(name for name in checked if name not in half)
    Corrections(project).replace(one, painted_again(mattes[one]))
    train_and_report(project, weights, **QUICK)
    assert len(stepped) == 6  # the half has nothing new
    for name in checked:
        Corrections(project).replace(name, painted_again(mattes[name], 12))
    train_and_report(project, weights, **QUICK)
    assert len(stepped) == 6 + 12
    for part, count in (("all", 2), ("half", 1)):
        assert len(list((project.work / "training" / part).glob("replaced-*"))) == count


def test_a_second_training_is_refused_before_it_changes_anything(project, weights, mattes):
    correct_all(project, mattes)
    train_and_report(project, weights, **QUICK)
    training = project.work / "training"
    before = {path: path.read_bytes() for path in training.rglob("*.*") if path.is_file()}
    name = lesson_names(project, "checked")[0]
    Corrections(project).replace(name, painted_again(mattes[name]))
    with alone_in(training):
        files = sorted(training.rglob("*"))
        with pytest.raises(ValueError, match="is training there"):
            train_and_report(project, weights, **QUICK)
        assert sorted(training.rglob("*")) == files
    assert {path: path.read_bytes() for path in training.rglob("*.*") if path.is_file()} == before


def test_another_correction_trains_anew(weights, mattes, tmp_path):
    project = Project.open(tmp_path / "photos")
    look_and_propose(project, weights, 0)
    kept_out = [name for name, photo in project.photos.items() if photo.kept_out]
    others = [name for name in project.photos if name not in kept_out]
    corrections = Corrections(project)
    for name in kept_out + others[:6]:
        corrections.replace(name, mattes[name])
    train_and_report(project, weights, **QUICK)
    for name in others[6:]:
        corrections.replace(name, mattes[name])
    train_and_report(project, weights, **QUICK)
    assert list((project.work / "training" / "all").glob("replaced-*"))


def test_composites_are_trained_on_where_there_are_backgrounds(weights, mattes, tmp_path):
    draw_photos(tmp_path / "places", 3, seed=9)
    project = Project.open(tmp_path / "photos")
    look_and_propose(project, weights, 0)
    correct_all(project, mattes)
    train_and_report(project, weights, tmp_path / "places", **QUICK)
    splits = find_splits(project.work / "training" / "all" / "others.csv")
    assert all(pair.is_cutout for pair in splits["train"].pairs)
    assert len(splits["train"].pairs) == len(lesson_of(project).checked)
    assert [steps_of(project, part) for part in ("all", "half")] == [2 * (28 // 4), 5 * (14 // 4)]
    photo = splits["train"].pairs[0].image
    with Image.open(photo) as cutout:
        assert cutout.mode == "RGBA"
        stem = photo.stem.partition("-")[2]
        assert np.array_equal(np.asarray(cutout)[..., 3], (mattes[stem] * 255).astype(np.uint8))

    train_and_report(project, weights, tmp_path / "places", **QUICK)
    assert not list((project.work / "training").glob("*/replaced-*"))
    place = sorted((tmp_path / "places").iterdir())[0]
    with Image.open(place) as picture:
        other = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    other.save(place)  # another picture under the same name
    train_and_report(project, weights, tmp_path / "places", **QUICK)
    assert len(list((project.work / "training").glob("*/replaced-*"))) == 2


def test_a_new_file_takes_neither_the_name_nor_the_place_of_a_corrected_photo(weights, project):
    """A PNG beside a JPEG of the same name, and a copy whose name comes first."""
    corrections = Corrections(project)
    for name in ("p01", "p02"):
        corrections.confirm(name)
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (80, 80, 3), np.uint8)).save(project.folder / "p01.bmp")
    shutil.copy2(project.folder / "p02.png", project.folder / "a.png")
    for _ in range(2):  # the names stay, as often as it is looked
        look_and_propose(project, weights, 0)
        assert {name: corrections.how(name) for name in ("p01", "p02", "p01.bmp")} == {
            "p01": CONFIRMED, "p02": CONFIRMED, "p01.bmp": WAITING}  # fmt: skip
        assert project.photos["p01"].file == "p01.png"
        assert project.left_out == {"a.png": "the same file as p02.png"}


def test_a_corrected_photo_keeps_its_name_without_the_state_and_after_it_was_gone(weights, project):
    corrections = Corrections(project)
    for name in ("p01", "p02"):
        corrections.confirm(name)
    pixels = np.random.default_rng(9).integers(0, 256, (2, 80, 80, 3), np.uint8)
    for picture, name in zip(pixels, ("p01.bmp", "p02.bmp")):
        Image.fromarray(picture).save(project.folder / name)
    (project.work / "mine.json").unlink()
    away = project.work / "p02.png"
    shutil.move(project.folder / "p02.png", away)
    project = Project.open(project.folder)
    look_and_propose(project, weights, 0)
    shutil.move(away, project.folder / "p02.png")
    look_and_propose(project, weights, 0)
    corrections = Corrections(project)
    assert {project.photos[name].file: corrections.how(name) for name in ("p01", "p02")} == {
        "p01.png": CONFIRMED, "p02.png": CONFIRMED}  # fmt: skip
    assert {photo.file for photo in project.photos.values()} >= {"p01.bmp", "p02.bmp"}


def test_what_is_bad_in_a_folder_is_named_and_left_out(weights, mattes, tmp_path, capsys):
    folder = tmp_path / "photos"
    shutil.copy(folder / "p03.png", folder / "q03.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    Image.new("RGB", (20, 40)).save(folder / "tiny.png")
    (folder / "notes.txt").write_text("no photo")
    project = Project.open(folder)
    look_and_propose(project, weights, 0)
    assert set(project.photos) == set(mattes)
    assert project.left_out["q03.png"] == "the same file as p03.png"
    assert "not a readable picture" in project.left_out["broken.jpg"]
    assert project.left_out["tiny.png"] == "too small: 20×40 pixels"
    assert all(text.startswith("small: ") for text in project.notes.values())


def test_a_folder_without_photos_and_one_that_is_not_there_are_refused(weights, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for folder, text in (("empty", "no photos there"), ("nowhere", "no such folder")):
        assert main([str(tmp_path / folder), "--weights", str(weights)]) == 2
        assert text in capsys.readouterr().err


def test_a_folder_of_which_no_photo_can_be_used_is_told_what_was_found(weights, tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_text("no photo")
    for step in ([], ["propose"]):
        assert main([str(folder), *step, "--weights", str(weights)]) == 2
        printed = capsys.readouterr()
        assert printed.out.startswith("0 photos\nleft out: 1\n  a.jpg: ")
        assert f"error: {folder}: none of its photos can be used; put others into it" in printed.err
    assert not (tmp_path / "photos_mine" / "contact.png").exists()


def test_the_commands_that_are_told_hold_for_any_name_and_another_work_folder(weights, mattes, tmp_path):
    folder, work = tmp_path / "Anna's photos", tmp_path / "other work"
    (tmp_path / "photos").rename(folder)
    for place, named in ((None, []), (work, ["--work", str(work)])):
        project = Project.open(folder, place)
        look_and_propose(project, weights, 0)
        correct_all(project, mattes)
        for file, given in ((None, []), ("my weights.pth", ["--weights", "my weights.pth"])):
            [line] = [line for line in what_is_next(project, file) if "train" in line]
            words = shlex.split(line.partition("python -m helpers.mine ")[2])
            assert words == [str(folder), "train", *named, *given]
        cut, export = map(shlex.split, commands(project))
        assert cut[-1] == export[3] == str(project.work / WEIGHTS)


def test_the_time_of_both_trainings_is_told(project, mattes):
    correct_all(project, mattes)
    project.pace = 0.5
    # 14 photos to learn from for 60 epochs, 7 for 60: 8 and 7 are one batch; 6 kept out are looked at every time
    assert training_seconds(project) == pytest.approx(0.5 * (60 * (0.5 * 14 + 6) + 60 * (0.5 * 7 + 6)))


def test_photos_kept_out_are_asked_for_until_they_are_enough(project, mattes):
    kept_out = [name for name, photo in project.photos.items() if photo.kept_out]
    assert len(kept_out) == 6
    correct_all(project, mattes)
    assert not any("correct or confirm" in line for line in what_is_next(project))
    for name in project.photos:
        project.set(name, doubt=0.0 if name in kept_out else 1.0)
    Corrections(project).reset(kept_out[0])
    assert "those kept out, 1 in all" in "".join(what_is_next(project))


@pytest.mark.parametrize("count, kept_out", [(1, 0), (2, 1), (9, 3), (17, 5), (18, 6), (24, 6)])
def test_small_folders_keep_out_a_third_until_it_is_enough_to_tell(tmp_path, count, kept_out):
    draw_photos(tmp_path / "photos", count)
    project = Project.open(tmp_path / "photos")
    look(project, 0)
    assert sum(photo.kept_out for photo in project.photos.values()) == kept_out


def test_new_photos_of_an_old_project_are_kept_out_until_they_are_enough(tmp_path):
    """An earlier version kept one of twenty out; those that it trained on stay in the training."""
    folder = tmp_path / "photos"
    draw_photos(folder, 20)
    project = Project.open(folder)
    look(project, 0)
    for number, name in enumerate(project.photos):
        project.set(name, kept_out=number == 0)
    project.save()
    draw_photos(tmp_path / "more", 30)
    for path in (tmp_path / "more").iterdir():
        if not (folder / path.name).exists():
            path.rename(folder / path.name)
    again = Project.open(folder)
    look(again, 0)
    kept_out = [name for name, photo in again.photos.items() if photo.kept_out]
    assert len(kept_out) == 6 and not set(kept_out[1:]) & set(project.photos)


def test_a_report_that_cannot_tell_is_foreseen(weights, tmp_path):
    draw_photos(tmp_path / "few", 9)
    project = Project.open(tmp_path / "few")
    look_and_propose(project, weights, 0)
    for name in project.photos:
        Corrections(project).confirm(name)
    assert any(line.startswith("only 3 photos kept out: the report can tell from 6") for line in what_is_next(project))


def test_files_that_changed_since_the_folder_was_looked_at_are_told_before_training(weights, project, mattes):
    correct_all(project, mattes)
    os.utime(project.folder / "p03.png", ns=(0, 0))
    with pytest.raises(
        ValueError, match=r"1 file, such as p03.png, changed since .* look at it again: python -m .* propose"
    ):
        train_and_report(project, weights)
    assert not (project.work / "training").exists()


def test_nothing_is_written_into_a_folder_and_another_work_folder_can_be_named(weights, mattes, tmp_path):
    folder = tmp_path / "photos"
    before = {path: path.read_bytes() for path in folder.rglob("*")}
    folder.chmod(0o500)  # which does not keep out the superuser
    try:
        command = [str(folder), "propose", "--weights", str(weights), "--work", str(tmp_path / "elsewhere")]
        assert main(command) == 0
    finally:
        folder.chmod(0o700)
    assert (tmp_path / "elsewhere" / "mine.json").is_file()
    assert {path: path.read_bytes() for path in folder.rglob("*")} == before


def test_the_work_folder_of_other_photos_is_refused_and_stays_as_it_is(weights, project, mattes, tmp_path, capsys):
    correct_all(project, mattes)
    before = {path: path.read_bytes() for path in project.work.rglob("*") if path.is_file()}
    draw_photos(tmp_path / "others")
    assert main([str(tmp_path / "others"), "--weights", str(weights), "--work", str(project.work)]) == 2
    assert f"{project.work}: is the work folder of {project.folder}; name another" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in project.work.rglob("*") if path.is_file()} == before
    project.folder.rename(tmp_path / "renamed")  # the same photos under another name
    assert Project.open(tmp_path / "renamed", project.work).photos == project.photos


def test_the_root_of_a_drive_needs_a_work_folder_of_another_name(tmp_path):
    with pytest.raises(ValueError, match="/: no folder can lie beside a whole drive; name the work folder with --work"):
        Project.open("/")
    project = Project.open("/", tmp_path / "work")
    assert f"--work {tmp_path / 'work'}" in steps.step_command(project, "train")


def test_a_work_folder_that_cannot_be_written_is_named_at_once(weights, mattes, tmp_path, capsys):
    (tmp_path / "a file").touch()
    assert main([str(tmp_path / "photos"), "--weights", str(weights), "--work", str(tmp_path / "a file" / "x")]) == 2
    assert "--work" in capsys.readouterr().err


def test_a_photo_deleted_meanwhile_stops_nothing(weights, mattes, tmp_path):
    folder = tmp_path / "photos"
    project = Project.open(folder)
    look_and_propose(project, weights, 0)
    correct_all(project, mattes)
    waiting = next(name for name, photo in project.photos.items() if not photo.kept_out)
    Corrections(project).reset(waiting)
    (folder / f"{waiting}.png").unlink()
    with pytest.raises(FileNotFoundError, match="deleted meanwhile"):
        Corrections(project).save(waiting, np.zeros((8, 8), np.uint8))
    assert waiting not in {pair.image.stem for pair in lesson_of(project).proposed}
    project = Project.open(folder)
    look_and_propose(project, weights, 0)
    assert waiting not in project.photos


def test_a_proposal_for_an_earlier_file_teaches_nothing(project, mattes, tmp_path):
    correct_all(project, mattes)
    name = next(name for name, photo in project.photos.items() if not photo.kept_out)
    project.set(name, sure=True)
    Corrections(project).reset(name)
    assert lesson_names(project, "proposed") == [name]
    os.utime(tmp_path / "photos" / f"{name}.png", ns=(0, 0))
    assert lesson_names(project, "proposed") == []


def test_only_new_photos_are_proposed_again_and_corrections_stay(weights, mattes, tmp_path):
    folder = tmp_path / "photos"
    project = Project.open(folder)
    assert look_and_propose(project, weights, 0) == COUNT
    kept_out = {name for name, photo in project.photos.items() if photo.kept_out}
    Corrections(project).replace("p01", mattes["p01"])
    photo, _ = draw_portrait(np.random.default_rng(77))
    Image.fromarray(photo).save(folder / "new.png")
    project = Project.open(folder)
    assert look_and_propose(project, weights, 0) == 1
    assert {name for name, photo in project.photos.items() if photo.kept_out} - {"new"} == kept_out
    assert Corrections(project).how("p01") == CORRECTED
    assert count_of(project).looked_at == 1


def test_a_photo_whose_file_has_changed_is_proposed_anew_and_stays_kept_out(weights, mattes, tmp_path):
    folder = tmp_path / "photos"
    project = Project.open(folder)
    look_and_propose(project, weights, 0)
    kept_out = {name for name, photo in project.photos.items() if photo.kept_out}
    assert kept_out
    for name in project.photos:
        os.utime(folder / f"{name}.png", ns=(0, 0))
    project = Project.open(folder)
    assert look_and_propose(project, weights, 0) == COUNT
    assert {name for name, photo in project.photos.items() if photo.kept_out} == kept_out


def test_what_was_corrected_on_an_earlier_file_is_forgotten_and_its_owner_is_told(project, weights, mattes, tmp_path):
    for name in ("p01", "p02"):
        Corrections(project).replace(name, mattes[name])
    photo, _ = draw_portrait(np.random.default_rng(77))
    Image.fromarray(photo).save(tmp_path / "photos" / "p01.png")
    os.utime(tmp_path / "photos" / "p02.png", ns=(0, 0))
    look(project, 0)
    assert not project.proposal("p01").exists()
    assert [Corrections(project).how(name) for name in ("p01", "p02")] == [WAITING, CORRECTED]
    [line] = [line for line in found(project) if "has changed" in line]
    assert line.startswith("  p01.png: ") and line.endswith("and the photo waits again")
    look_and_propose(project, weights, 0)
    Corrections(project).confirm("p01")
    pair = Corrections(project).pair(project.photos["p01"], Corrections(project).lines())
    assert np.array_equal(read_pair(pair)[0], photo)


def test_a_damaged_state_is_named_and_the_corrections_survive_it(weights, mattes, tmp_path, capsys):
    folder = tmp_path / "photos"
    project = Project.open(folder)
    look_and_propose(project, weights, 0)
    Corrections(project).replace("p01", mattes["p01"])
    state = project.work / "mine.json"
    state.write_text(state.read_text()[:100])
    assert main([str(folder), "status", "--weights", str(weights)]) == 2
    assert "mine.json" in capsys.readouterr().err
    state.unlink()
    project = Project.open(folder)
    look_and_propose(project, weights, 0)
    assert count_of(project).looked_at == 1


def test_masks_that_are_there_are_taken_over(weights, portrait_folder, tmp_path):
    project = Project.open(portrait_folder, tmp_path / "work")
    look_and_propose(project, weights, 0)
    count = count_of(project)
    assert count.photos == count.looked_at == 20
    splits = find_splits(portrait_folder)
    held_out = {pair.image.stem for split in ("val", "test") for pair in splits[split].pairs}
    lesson = lesson_of(project)
    assert {pair.image.stem for pair in lesson.kept_out} == held_out
    own = {pair.image.stem: pair for found in splits.values() for pair in found.pairs}
    assert np.array_equal(read_pair(lesson.checked[0])[1], read_pair(own[lesson.checked[0].image.stem])[1])


def test_a_persons_photos_stay_together(weights, tmp_path):
    mattes = draw_photos(tmp_path / "photos", 40)
    rows = ["image_name,user_id"] + [f"{name}.png,person{number // 4}" for number, name in enumerate(mattes)]
    (tmp_path / "photos" / "meta.csv").write_text("\n".join(rows) + "\n")
    project = Project.open(tmp_path / "photos")
    look_and_propose(project, weights, 0)
    kept_out = [photo.kept_out for photo in project.photos.values()]
    persons = [kept_out[start : start + 4] for start in range(0, 40, 4)]
    assert all(len(set(person)) == 1 for person in persons)
    assert 0 < sum(kept_out) < 20


def test_without_weights_the_error_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="--weights"):
        starting_weights(tmp_path / "none.pth")


def test_the_shipped_weights_are_where_it_starts():
    assert starting_weights().is_file()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_read_only_work_folder_is_named(mattes, tmp_path):
    (tmp_path / "work").mkdir(mode=0o500)
    with pytest.raises(PermissionError, match="--work"):
        Project.open(tmp_path / "photos", tmp_path / "work")


def test_the_report_keeps_the_old_network_when_nothing_was_gained(weights, mattes, tmp_path, monkeypatch):
    """The new networks are the old one: not better, so no weights are written."""
    project = Project.open(tmp_path / "photos")
    look_and_propose(project, weights, 0)
    correct_all(project, mattes)
    config = {"augmentation": "strong", "loss": "l1", "max_lr": 1e-4, "batch_size": 4, "ema": 0.9, "seed": 0,
              "network": "u2net_lite", "image_size": 32, "epochs": 2, "freeze_encoder": True}  # fmt: skip
    same = tmp_path / "same.pth"
    torch.save(torch.load(weights, weights_only=True) | {"config": config}, same)
    monkeypatch.setattr(steps, "train", lambda *_, **__: {"all": same, "half": same})
    verdict = train_and_report(project, weights)
    assert not verdict.is_better
    assert "old network is kept" in verdict.better
    assert not (project.work / WEIGHTS).exists()
    assert "No new weight file was written" in (project.work / REPORT).read_text(encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_a_name_that_is_not_in_utf_8_is_left_out_and_the_others_go_on(weights, mattes, tmp_path):
    folder = tmp_path / "photos"
    shutil.copy(folder / "p00.png", folder / os.fsdecode(b"\xe9t\xe9.png"))
    project = Project.open(folder)
    look_and_propose(project, weights, 0)
    assert len(project.photos) == COUNT
    assert any("name is not in UTF-8; rename the file" in line for line in found(Project.open(folder)))
    odd = folder.rename(tmp_path / os.fsdecode(b"fot\xf3s"))
    with pytest.raises(ValueError, match="name is not in UTF-8; rename the folder"):
        Project.open(odd)


def test_options_that_a_step_does_not_have_are_refused(weights, project, capsys):
    for step in ([], ["propose"], ["status"]):
        for option in (["--set", "epochs=3"], ["--backgrounds", "places"]):
            with pytest.raises(SystemExit) as ended:
                main([str(project.folder), *step, *option])
            assert ended.value.code == 2
            assert "--backgrounds and --set are for the step train" in capsys.readouterr().err
    for step in ("propose", "train", "status"):
        with pytest.raises(SystemExit) as ended:
            main([str(project.folder), step, "--port", "7861"])
        assert ended.value.code == 2
        assert "--port is the page's" in capsys.readouterr().err
