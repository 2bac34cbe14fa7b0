"""The tab "My photos" of the page: the steps of `helpers.mine` with buttons, and the brush, by mouse or by keyboard."""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gradio as gr

from helpers.mine.desk import COLOURS, Job, MineDesk
from helpers.mine.keys import HELP
from helpers.mine.propose import SHEET
from helpers.mine.report import REPORT
from helpers.mine.steps import what_is_next

EVERY = 2.0
"""Seconds between two looks at a step that runs."""

BRUSH = 24
"""Pixels of the photo as it is shown that the brush is wide at first."""


@contextmanager
def _told():
    """An error in the block becomes one whose words the page shows; of any other it shows only that there was one."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise gr.Error(str(error), print_exception=False) from None


@dataclass
class _Answers:
    """What the parts of the tab answer. `folder` is what the command line named; another one may be chosen only where
    `may_choose()`: on a page that nobody else can reach."""

    folder: Path | None
    work: Path | None
    weights: str | None
    may_choose: Callable[[], bool]
    desks: dict[str, MineDesk] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)

    def desk_of(self, path: str) -> MineDesk:
        """The desk of the folder at `path`, or of the folder of the command line where `path` is empty."""
        chosen = Path(os.path.expanduser(path.strip() or str(self.folder or "")))
        if not path.strip() and self.folder is None:
            raise gr.Error("Name the folder that holds your photos.", print_exception=False)
        is_named = self.folder is not None and os.path.abspath(chosen) == os.path.abspath(self.folder)
        if not is_named and not self.may_choose():
            raise gr.Error("Only the folder named when the page was started can be opened.", print_exception=False)
        key = str(chosen.resolve())
        if key not in self.desks:
            self.desks[key] = MineDesk(chosen, self.work if is_named else None)
        return self.desks[key]

    @_told()
    def open_folder(self, path: str, selected: str | None = None) -> tuple:
        """The list of photos, the next steps and the files of the folder, read again, and the step that runs.

        The list stays at the photo `selected` if that is still in it; else the most doubtful photo is opened.
        """
        desk = self.desk_of(path)
        step = self.job_of(desk)  # first: what it changes later is read when the clock has ticked
        desk.reload()
        choices = desk.choices()
        if selected in desk.project.photos:
            listed = gr.update(choices=choices)
        else:
            listed = gr.update(choices=choices, value=choices[0][1] if choices else None)
        return listed, *self.state_of(desk), *step

    def state_of(self, desk: MineDesk) -> tuple:
        """What comes next, and copies of the report and the contact sheet where they exist."""
        lines = "\n".join(what_is_next(desk.project, self.weights))
        there = [desk.project.work / name for name in (REPORT, SHEET) if (desk.project.work / name).is_file()]
        copies = tempfile.mkdtemp() if there else ""  # the page hands out temporary files only
        return lines, [shutil.copy(file, copies) for file in there] or None

    def job_of(self, desk: MineDesk) -> tuple:
        """The clock, which ticks while a step of the folder runs, and what the last step has printed."""
        job = self.jobs.get(str(desk.project.work))
        if job is None:
            return gr.Timer(active=False), ""
        return gr.Timer(active=job.is_running), job.last_lines()

    def begin(self, step: str) -> Callable:
        """What the button of `step` does: it starts the step in the background."""

        @_told()
        def start(path: str, backgrounds: str) -> tuple:
            desk = self.desk_of(path)
            key = str(desk.project.work)
            if key in self.jobs and self.jobs[key].is_running:
                raise gr.Error("A step is running already; wait for its end.", print_exception=False)
            options = {"weights": self.weights} if self.weights else {}
            if step == "train" and backgrounds.strip():
                if not self.may_choose():
                    raise gr.Error("Backgrounds can be named on this computer only.", print_exception=False)
                options["backgrounds"] = os.path.expanduser(backgrounds.strip())
            self.jobs[key] = desk.start(step, **options)
            return gr.Timer(EVERY, active=True), "started"

        return start

    @_told()
    def watch(self, path: str, selected: str | None) -> tuple:
        """How far the step is that runs; after its end, everything that it may have changed."""
        desk = self.desk_of(path)
        job = self.jobs.get(str(desk.project.work))
        if job is None:
            return *[gr.skip()] * 3, gr.Timer(active=False), ""
        if job.is_running:
            return *[gr.skip()] * 4, job.last_lines()
        return self.open_folder(path, selected)

    def show(self, path: str, name: str | None) -> tuple:
        """One photo in the editor and beside its matte, with the ticket under which strokes are saved, twice."""
        if not name:
            return "", "", None, None, "", False
        try:
            shown = self.desk_of(path).open(name)
        except (ValueError, OSError, KeyError) as error:
            return "", "", None, None, str(error), False
        value = {"background": shown.photo, "layers": [], "composite": None}
        return shown.ticket, shown.ticket, value, shown.compared, shown.note, False

    def save(self, path: str, ticket: str, latest: str, painted: dict | None, replace_own: bool) -> tuple:
        """Save what is painted; the comparison and the note change with it.

        A stroke takes time to be sent: if another photo was opened meanwhile, which has the ticket `latest`, they stay
        as that photo's.
        """
        if not ticket or not painted or not painted["layers"]:
            return gr.skip(), gr.skip()
        try:
            saved = self.desk_of(path).save(ticket, painted["layers"][0], replace_own)
        except (ValueError, OSError, KeyError) as error:
            return gr.skip(), f"not saved: {error}"
        return saved if saved and ticket == latest else (gr.skip(), gr.skip())

    def step_by(self, step: int) -> Callable:
        """What a button does that goes `step` photos on."""

        @_told()
        def go(path: str, name: str | None) -> str:
            return self.desk_of(path).neighbour(name, step)

        return go

    def confirm(self, path: str, ticket: str, name: str | None, replace_own: bool) -> tuple:
        """Save that nothing needs to be corrected on the photo that the list shows, and go on to the next one."""
        try:
            desk = self.desk_of(path)
            desk.confirm(ticket, name, replace_own)
        except (ValueError, OSError, KeyError) as error:
            return gr.skip(), f"not saved: {error}"
        return gr.update(choices=desk.choices(), value=desk.neighbour(name, 1)), f"{name}: nothing to correct, saved"

    def reset(self, path: str, ticket: str, name: str | None) -> tuple:
        """Drop what was painted on the photo that the list shows, and show the photo again."""
        try:
            self.desk_of(path).reset(ticket, name)
        except (ValueError, OSError, KeyError) as error:
            return *[gr.skip()] * 4, f"not reset: {error}", gr.skip()
        return self.show(path, name)

    @staticmethod
    def compare(shown: int) -> tuple:
        """Move the slider on: the half of both, the photo alone, what is kept alone."""
        shown = {50: 100, 100: 0, 0: 50}[shown]
        return shown, gr.ImageSlider(slider_position=shown)


def my_photos(folder: Path | None, work: Path | None, weights: str | None, may_choose: Callable[[], bool]) -> None:
    """Lay out the tab, in a `gr.Blocks`, and tie its parts to their answers (see `_Answers` for the arguments)."""
    answers = _Answers(folder, work, weights, may_choose)
    private: dict[str, Any] = {"api_visibility": "private"}
    quiet = private | {"show_progress": "hidden"}
    in_turn = quiet | {"concurrency_id": "photo", "concurrency_limit": 1}  # or an earlier one's note comes last
    colours: list[str | tuple[str, float]] = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in COLOURS.values()]
    with gr.Row():
        path = gr.Textbox(str(folder or ""), label="Folder of your photos", elem_id="mine-folder", scale=3)
        opening = gr.Button("Open", elem_id="mine-open")
        looking = gr.Button("Look and propose", elem_id="mine-look")
    following = gr.Textbox(label="Where you are", lines=3, interactive=False, elem_id="mine-next")
    photos = gr.Dropdown([], label="Photos, the most doubtful first", elem_id="mine-list", interactive=True)
    opened = gr.Textbox(visible="hidden", elem_id="mine-opened")  # travels with every stroke
    latest = gr.State("")  # the same, as the server knows it when the stroke arrives
    with gr.Row():
        back = gr.Button("Previous (p)", elem_id="mine-previous", min_width=80)
        on = gr.Button("Next (n)", elem_id="mine-next-photo", min_width=80)
        other = gr.Button("Compare (c)", elem_id="mine-compare", min_width=80)
        fine = gr.Button("Nothing to correct (y)", elem_id="mine-confirm", min_width=80)
        anew = gr.Button("Reset (x)", elem_id="mine-reset", min_width=80)
    note = gr.Textbox(label="This photo", interactive=False, elem_id="mine-note")
    own = gr.Checkbox(False, label="Replace my mask", elem_id="mine-own")
    with gr.Row():
        editor = gr.ImageEditor(
            label="Green: keep · red: remove · blue: unsure, such as hair", type="numpy", format="png", layers=False,
            brush=gr.Brush(colors=colours, default_color=colours[0], color_mode="fixed", default_size=BRUSH),
            eraser=gr.Eraser(default_size=BRUSH), transforms=(), sources=(), buttons=[], height=560,
            elem_id="mine-editor",
        )  # fmt: skip
        slider = gr.ImageSlider(label="Photo | what is kept", type="numpy", interactive=False, max_height=560,
                                elem_id="mine-slider", buttons=["fullscreen"])  # fmt: skip
    gr.Markdown(HELP)
    with gr.Row():
        backgrounds = gr.Textbox(label="Backgrounds to put the people in front of (a folder; may be empty)", scale=3,
                                 elem_id="mine-backgrounds")  # fmt: skip
        training = gr.Button("Train and report", variant="primary", elem_id="mine-train")
    progress = gr.Textbox(label="The step that runs", lines=6, interactive=False, elem_id="mine-progress")
    files = gr.File(label="Report and contact sheet", interactive=False, elem_id="mine-files")
    clock, position = gr.Timer(EVERY, active=False), gr.State(50)

    everything = [photos, following, files, clock, progress]
    gr.on([opening.click, path.submit], answers.open_folder, path, everything, **private)
    for button, step in ((looking, "propose"), (training, "train")):
        button.click(answers.begin(step), [path, backgrounds], [clock, progress], **private)
    clock.tick(answers.watch, [path, photos], everything, **quiet)
    photo = [opened, latest, editor, slider, note, own]
    photos.change(answers.show, [path, photos], photo, **in_turn, trigger_mode="always_last")
    editor.input(
        answers.save, [path, opened, latest, editor, own], [slider, note], **in_turn, trigger_mode="always_last"
    )
    back.click(answers.step_by(-1), [path, photos], photos, **quiet)
    on.click(answers.step_by(1), [path, photos], photos, **quiet)
    fine.click(answers.confirm, [path, opened, photos, own], [photos, note], **in_turn)
    other.click(answers.compare, position, [position, slider], **quiet)
    anew.click(answers.reset, [path, opened, photos], photo, **in_turn)
