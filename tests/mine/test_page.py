"""The tab "My photos" in a real browser: strokes, keys, two windows, a server that is killed, and a long list."""

import os
import time

import numpy as np
import pytest
from PIL import Image
from support import draw_portrait, serving

from helpers.files.photos import read_grey, read_photo
from helpers.mine.correct import CONFIRMED, CORRECTED, KEEP, REMOVE, WAITING, Corrections, corrected
from helpers.mine.project import Photo, Project, stamp_of
from helpers.mine.propose import SHEET
from helpers.mine.report import REPORT

SECONDS = 90
"""How long a slow machine may take for what a person waits a second for."""

SLOW = """
import sys, time
from pathlib import Path
from helpers.app import __main__ as app
from helpers.mine.desk import MineDesk

def slow(self, name, open=MineDesk.open):
    while name == "p001" and not Path(sys.argv[1]).exists():
        time.sleep(0.02)
    return open(self, name)

MineDesk.open = slow
sys.exit(app.main(sys.argv[2:]))
"""
"""The command, which opens the photo p001 only when a file is there."""

SHORT = """
import sys
from helpers.app import __main__ as app
from helpers.mine import desk

class Short(desk.Job):
    def __init__(self, command, log):
        super().__init__(command + ["--set", "epochs=2"] * ("train" in command), log)

desk.Job = Short
sys.exit(app.main(sys.argv[1:]))
"""
"""The command, which trains for two epochs only."""


@pytest.fixture
def project(tmp_path):
    """500 photos of 120 × 160 pixels, proposed as their left half; of most the file is the same."""
    folder = tmp_path / "photos"
    folder.mkdir()
    project = Project.open(folder)
    half = np.zeros((160, 120), np.uint8)
    half[:, :60] = 255
    pixels = np.random.default_rng(0).integers(0, 256, (160, 120, 3), np.uint8)
    first, proposal = folder / "p000.png", project.proposal("p000")
    proposal.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(first)
    Image.fromarray(half).save(proposal)
    for number in range(500):
        name = f"p{number:03}"
        if number:
            os.link(first, folder / f"{name}.png")
            os.link(proposal, project.proposal(name))
        project.photos[name] = Photo(name, f"{name}.png", (160, 120), stamp_of(first), number == 2, doubt=500 - number)
    project.save()
    return project


def serving_photos(project, weights, temporary, code=("-m", "helpers.app")):
    """The page of a project, as `serving`."""
    return serving(code, "--photos", str(project.folder), weights=weights, temporary=temporary)


class Window:
    """A window of a browser with the tab open and the first photo in it, if one is proposed."""

    def __init__(self, chromium, url, first="p000.png"):
        self.first = first
        self.page = chromium.new_page(viewport={"width": 1280, "height": 1600})
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.goto(url)
        self.open()

    def open(self):
        self.page.get_by_role("tab", name="My photos").click()
        self.page.click("#mine-open")
        if self.first:
            self.until_note(self.first)

    def text(self, box):
        """What a text box says."""
        return self.page.input_value(f"{box} textarea, {box} input")

    def note(self):
        return self.text("#mine-note")

    def state(self):
        """What the window knows, to tell why a key did nothing."""
        told = {box: self.text(box) for box in ("#mine-opened", "#mine-list", "#mine-note", "#mine-progress")}
        return f"{told}, focus on {self.page.evaluate('document.activeElement.outerHTML.slice(0, 200)')}"

    def handle(self):
        """The handle of the compare slider: its middle, across and down, in pixels of the window."""
        box = self.page.locator("#mine-slider .outer").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def until_note(self, text):
        until(lambda: text in self.note(), lambda: f"{text!r} is not in {self.note()!r}")
        self.page.wait_for_selector("#mine-editor .pixi-target canvas")
        self.page.wait_for_timeout(1500)  # the editor draws the photo in its own time

    def paint(self, across, down):
        """A short stroke from the middle of the photo, moved by a share of the canvas."""
        self.page.locator("#mine-editor button[aria-label=Brush]").click()
        box = self.page.locator("#mine-editor .pixi-target canvas").bounding_box()
        x, y = box["x"] + box["width"] * (0.5 + across), box["y"] + box["height"] * (0.5 + down)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.move(x + 20, y + 5, steps=4)
        self.page.mouse.up()


def until(condition, message=lambda: "it did not come to it", seconds=SECONDS):
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, message()
        time.sleep(0.2)


def revision(project, name="p000"):
    return Corrections(project).revision(name)


def test_a_stroke_is_saved_at_once_and_is_the_same_after_a_reload(chromium, random_weights, project, tmp_path):
    corrections = Corrections(project)
    with serving_photos(project, random_weights, tmp_path) as (process, url):
        window = Window(chromium, url)
        for name in ("p499.png", "p000.png"):  # the list finds the last of 500 by its name
            window.page.click("#mine-list input")
            window.page.keyboard.press("Control+A")
            window.page.keyboard.type(name)
            window.page.keyboard.press("Enter")
            window.until_note(name)

        window.paint(0.03, 0.05)
        until(lambda: revision(project) > 0, window.note)
        until(lambda: "saved" in window.note(), window.note)
        painted = corrections.strokes("p000")
        assert set(np.unique(painted)) == {0, KEEP}
        expected = corrected(corrections.base("p000"), painted, read_photo(project.folder / "p000.png"))
        mask = corrections.folder / "masks" / "train" / "p000.png"
        assert np.array_equal(read_grey(mask), (expected * 255).round())
        before = mask.read_bytes()

        window.page.reload()
        window.open()
        assert mask.read_bytes() == before
        window.paint(-0.03, -0.1)  # a new stroke lies on the earlier ones
        until(lambda: (corrections.strokes("p000") > 0).sum() > (painted > 0).sum(), window.note)
        assert (corrections.strokes("p000")[painted > 0] == KEEP).all()

        other = Window(chromium, url)  # a second window on the same photo
        seen = revision(project)
        window.paint(0.03, 0.15)
        until(lambda: revision(project) > seen, window.note)
        matte = mask.read_bytes()
        other.paint(-0.03, 0.2)
        until(lambda: "not saved" in other.note(), other.note)
        assert "another window" in other.note()
        assert mask.read_bytes() == matte

        window.page.mouse.down()  # the server is killed in mid-stroke
        process.kill()
        process.wait()
    assert Corrections(Project.open(project.folder)).how("p000") == CORRECTED
    assert mask.read_bytes() == matte
    assert read_grey(mask).shape == (160, 120)


def test_everything_can_be_done_by_the_keyboard(chromium, random_weights, project, tmp_path):
    corrections = Corrections(project)
    with serving_photos(project, random_weights, tmp_path) as (_, url):
        window = Window(chromium, url)
        keyboard = window.page.keyboard
        window.page.evaluate("document.activeElement.blur()")
        keyboard.press("r")
        window.page.wait_for_timeout(600)
        for _ in range(2):
            keyboard.press("Shift+ArrowRight")
        until(lambda: revision(project) > 0, window.note)
        until(lambda: REMOVE in np.unique(corrections.strokes("p000")), window.note)
        seen = (corrections.strokes("p000") > 0).sum()
        keyboard.press("ArrowDown")
        keyboard.press("]")
        window.page.wait_for_timeout(600)
        keyboard.press("Space")
        until(lambda: (corrections.strokes("p000") > 0).sum() > seen, window.note)
        seen = (corrections.strokes("p000") > 0).sum()
        keyboard.press("z")
        until(lambda: (corrections.strokes("p000") > 0).sum() < seen, window.note)
        keyboard.press("x")
        until(lambda: corrections.strokes("p000") is None, window.note)
        window.until_note("p000.png: waiting")
        keyboard.press("n")
        window.until_note("p001.png")
        keyboard.press("y")
        until(lambda: corrections.how("p001") == CONFIRMED, window.state)
        window.until_note("p002.png")
        keyboard.press("p")
        window.until_note("p001.png")


def test_a_key_that_finds_nothing_to_paint_on_stops_no_key_after_it(chromium, random_weights, project, tmp_path):
    with serving_photos(project, random_weights, tmp_path) as (_, url):
        window = Window(chromium, url)
        window.page.evaluate("document.activeElement.blur()")
        window.page.evaluate("document.querySelector('#mine-editor .pixi-target canvas').remove()")
        window.page.keyboard.press("Space")
        window.page.keyboard.press("n")
        until(lambda: "p001.png" in window.note(), window.state)


def test_what_is_pressed_before_the_next_photo_is_open_harms_neither(chromium, random_weights, project, tmp_path):
    corrections, gate = Corrections(project), tmp_path / "gate"
    with serving_photos(project, random_weights, tmp_path, ("-c", SLOW, str(gate))) as (_, url):
        window = Window(chromium, url)
        window.page.evaluate("document.activeElement.blur()")
        window.page.keyboard.press("n")
        until(lambda: "p001.png" in window.page.input_value("#mine-list input"))
        with window.page.expect_request("**/queue/join*"):  # seen is still p000
            window.page.keyboard.press("y")
        gate.touch()
        window.until_note("not saved: p001: the photo is still being opened")
        assert [corrections.how(name) for name in ("p000", "p001")] == [WAITING, WAITING]
        window.page.keyboard.press("y")
        until(lambda: corrections.how("p001") == CONFIRMED, window.note)
        window.until_note("p002.png")


def test_the_other_steps_by_buttons(chromium, random_weights, tmp_path):
    folder, numbers, mattes = tmp_path / "photos", np.random.default_rng(0), {}
    folder.mkdir()
    for number in range(12):
        photo, ids = draw_portrait(numbers)
        Image.fromarray(photo).save(folder / f"p{number:02}.png")
        mattes[f"p{number:02}"] = (ids > 0).astype(np.float32)
    project = Project.open(folder)
    with serving_photos(project, random_weights, tmp_path, ("-c", SHORT)) as (_, url):
        window = Window(chromium, url, first="")
        until(lambda: "look at the photos" in window.text("#mine-next"), lambda: window.text("#mine-next"))

        window.page.click("#mine-look")
        until(lambda: "0 of 12 photos" in window.text("#mine-next"), lambda: window.text("#mine-progress"))
        project = Project.open(folder)
        assert project.photos.keys() == mattes.keys()
        assert (project.work / SHEET).is_file()
        window.until_note(project.by_doubt()[0].file)

        start = window.handle()
        window.page.click("#mine-compare")
        until(lambda: window.handle()[0] > start[0] + 50)
        window.page.click("#mine-compare")
        until(lambda: window.handle()[0] < start[0] - 50)
        window.page.click("#mine-compare")
        until(lambda: abs(window.handle()[0] - start[0]) < 2)
        window.page.mouse.move(*start)
        window.page.mouse.down()
        window.page.mouse.move(start[0] - 60, start[1], steps=4)
        window.page.mouse.up()
        until(lambda: window.handle()[0] < start[0] - 40)

        window.page.click("#mine-train")  # too early: it says what is missing
        until(lambda: "nothing to measure on" in window.text("#mine-progress"), lambda: window.text("#mine-progress"))
        for name, matte in mattes.items():
            Corrections(project).replace(name, matte)
        chosen = project.by_doubt()[3].name

        def begins():
            window.page.click("#mine-train")
            return "nothing to measure on" not in window.text("#mine-progress")

        until(begins)  # as soon as the process of the first try has ended
        window.page.reload()  # the page forgets what it showed, the step runs on
        window.open()
        until(lambda: window.note())
        window.page.click("#mine-list input")
        window.page.keyboard.press("Control+A")
        window.page.keyboard.type(chosen)
        window.page.keyboard.press("Enter")
        window.until_note(f"{chosen}.png")
        until(
            lambda: "report: " in window.text("#mine-progress"),
            lambda: window.text("#mine-progress"),
            seconds=5 * SECONDS,
        )
        assert "12 of 12 photos" in window.text("#mine-next")
        assert (project.work / REPORT).is_file()
        listed = window.page.locator("#mine-files")  # a long name is broken over several lines
        until(lambda: REPORT in "".join(listed.inner_text().split()), listed.inner_text)
        assert f"{chosen}.png" in window.note()
        assert f"{chosen}.png" in window.page.input_value("#mine-list input")
