"""What the parts of the tab "My photos" answer, without a browser."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from helpers.mine import desk as desks
from helpers.mine.correct import CONFIRMED, CORRECTED, KEEP, WAITING, Corrections
from helpers.mine.project import Photo, Project, stamp_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # what Gradio's own imports have to say
    gr = pytest.importorskip("gradio", reason="the web page needs gradio")
    from helpers.mine.tab import _Answers

NOTHING = gr.skip()


class Step:
    """A step that runs or has ended."""

    def __init__(self, is_running):
        self.is_running = is_running

    def last_lines(self):
        return "40 %" if self.is_running else "report: there"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Three photos, a to c by doubt, in the folder `photos` of the current folder, proposed as their left half."""
    monkeypatch.chdir(tmp_path)
    project = Project.open(_made(tmp_path / "photos"))
    half = np.zeros((40, 60), np.uint8)
    half[:, :30] = 255
    for number, name in enumerate("abc"):
        file = project.folder / f"{name}.png"
        Image.fromarray(np.full((40, 60, 3), number, np.uint8)).save(file)
        project.proposal(name).parent.mkdir(exist_ok=True)
        Image.fromarray(half).save(project.proposal(name))
        project.photos[name] = Photo(name, file.name, (40, 60), stamp_of(file), doubt=3 - number)
    project.save()
    return project


def _made(folder):
    folder.mkdir()
    return folder


@pytest.fixture
def answers(project):
    """The tab of a page that was started beside the folder, with relative paths."""
    return _Answers(Path("photos"), Path("photos_mine"), "weights/a.pth", lambda: True)


def how(project):
    corrections = Corrections(project)
    return [corrections.how(name) for name in "abc"]


def painted():
    """The editor with a green stroke of 5 rows."""
    layer = np.zeros((40, 60, 4), np.uint8)
    layer[:5] = *desks.COLOURS[KEEP], 255
    return {"layers": [layer]}


def test_the_folder_of_the_command_line_is_known_in_any_spelling(answers, project, monkeypatch):
    answers.work = Path("elsewhere")
    answers.may_choose = lambda: False
    for spelling in ("", "photos", str(project.folder), "./photos/../photos"):
        assert answers.desk_of(spelling).project.work == Path("elsewhere")
    with pytest.raises(gr.Error):
        answers.desk_of(".")


def test_the_command_to_train_names_the_weights_of_the_page(answers, project):
    corrections = Corrections(project)
    project.set("a", kept_out=True)
    project.save()
    for name in "abc":
        corrections.confirm(name)
    assert "photos train --weights weights/a.pth" in answers.state_of(answers.desk_of(""))[0]


def test_a_damaged_state_or_list_is_told_in_words(answers, project):
    Corrections(project).confirm("a")
    answers.open_folder("photos")
    list_of_corrections = project.work / "pairs" / "corrected.csv"
    whole = list_of_corrections.read_text()
    list_of_corrections.write_text(whole + '"' + 200_000 * "x")  # more than a field may hold
    with pytest.raises(gr.Error, match=r"corrected\.csv, line 3: .*; correct or remove the line"):
        answers.open_folder("photos")
    list_of_corrections.write_text(whole)
    (project.work / "mine.json").write_text("{")
    with pytest.raises(gr.Error, match=r"mine\.json: not a readable state"):
        answers.open_folder("photos")


def test_a_folder_that_is_gone_is_told(answers, project):
    answers.open_folder("photos")
    project.folder.rename("elsewhere")
    with pytest.raises(gr.Error, match="photos: no such folder"):
        answers.open_folder("photos")


def test_a_button_in_an_empty_folder_says_what_to_do(answers):
    Path("empty").mkdir()
    with pytest.raises(gr.Error, match="look at the folder first"):
        answers.step_by(1)("empty", None)


def test_a_step_gets_absolute_paths_as_it_works_in_another_folder(answers, project, monkeypatch):
    begun = []
    monkeypatch.setattr(desks, "Job", lambda command, log: begun.append(command) or Step(False))
    answers.begin("propose")("", "")
    answers.begin("train")("photos", " walls ")
    home = project.folder.parent
    folders = ["--work", f"{home}/photos_mine", "--weights", f"{home}/weights/a.pth"]
    assert begun == [
        [sys.executable, "-m", "helpers.mine", f"{home}/photos", "propose", *folders],
        [sys.executable, "-m", "helpers.mine", f"{home}/photos", "train", *folders, "--backgrounds", f"{home}/walls"],
    ]


def test_the_photo_that_is_open_is_confirmed_and_the_next_one_comes(answers, project):
    ticket = answers.show("", "a")[0]
    listed, note = answers.confirm("", ticket, "a", False)
    assert (listed["value"], note) == ("b", "a: nothing to correct, saved")
    assert how(project) == [CONFIRMED, WAITING, WAITING]


def test_nothing_is_confirmed_or_reset_while_another_photo_is_being_opened(answers, project):
    """The list has gone on to b, but what is seen is still a."""
    ticket = answers.show("", "a")[0]
    answers.save("", ticket, ticket, painted(), False)
    reason = "b: the photo is still being opened; try again when it is shown"
    assert answers.confirm("", ticket, "b", False) == (NOTHING, f"not saved: {reason}")
    assert answers.reset("", ticket, "b") == (*[NOTHING] * 4, f"not reset: {reason}", NOTHING)
    assert how(project) == [CORRECTED, WAITING, WAITING]
    assert answers.reset("", ticket, "a")[4] == "a.png: waiting"
    assert how(project) == [WAITING, WAITING, WAITING]


def test_a_late_stroke_is_saved_and_changes_nothing_beside_the_next_photo(answers, project):
    first, latest = answers.show("", "a")[0], answers.show("", "b")[1]
    assert answers.save("", first, latest, painted(), False) == (NOTHING, NOTHING)
    assert how(project) == [CORRECTED, WAITING, WAITING]
    assert (Corrections(project).matte("a")[:5] == 1).all()
    assert answers.save("", latest, latest, painted(), False)[1] == "b.png: saved"


def test_whoever_opens_the_folder_again_sees_the_step_that_runs(answers, project):
    assert state(answers.open_folder("")) == ("a", False, "")
    answers.jobs[str(answers.desk_of("").project.work)] = Step(True)
    assert state(answers.open_folder("")) == ("a", True, "40 %")
    assert answers.watch("", "b") == (*[NOTHING] * 4, "40 %")


@pytest.mark.parametrize("selected, opened", [("b", None), ("gone", "a"), (None, "a")])
def test_the_end_of_a_step_leaves_the_list_where_it_is(selected, opened, answers, project):
    answers.jobs[str(answers.desk_of("").project.work)] = Step(False)
    listed, following, *_ = answered = answers.watch("", selected)
    assert state(answered) == (opened, False, "report: there")
    assert [name for _, name in listed["choices"]] == ["a", "b", "c"]
    assert following.startswith("0 of 3 photos have a right matte")


def state(answered):
    """The photo that an answer sends the list to, whether the clock ticks after it, and what the step has printed."""
    listed, _, _, clock, printed = answered
    return listed.get("value"), clock.active, printed
