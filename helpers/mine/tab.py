"""The tab "My photos" of the page: the steps of `helpers.mine` with buttons, and the brush, by mouse or by keyboard."""

import shutil
import tempfile
from collections.abc import Callable
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


def my_photos(folder: Path | None, work: Path | None, weights: str | None, may_choose: Callable[[], bool]) -> None:
    """Lay out the tab, in a `gr.Blocks`. `folder` is what the command line named; another one may be chosen only where
    `may_choose()`: on a page that nobody else can reach."""
    desks: dict[str, MineDesk] = {}
    jobs: dict[str, Job] = {}

    def desk_of(path: str) -> MineDesk:
        chosen = Path(path.strip() or str(folder or "")).expanduser()
        if not path.strip() and folder is None:
            raise gr.Error("Name the folder that holds your photos.", print_exception=False)
        if chosen != folder and not may_choose():
            raise gr.Error("Only the folder named when the page was started can be opened.", print_exception=False)
        key = str(chosen.resolve())
        try:
            if key not in desks:
                desks[key] = MineDesk(chosen, work if chosen == folder else None)
            return desks[key]
        except (ValueError, OSError) as error:
            raise gr.Error(str(error), print_exception=False) from None

    def open_folder(path: str) -> tuple:
        desk = desk_of(path)
        desk.reload()
        if not desk.project.photos:
            return gr.update(choices=[], value=None), *state_of(desk)
        choices = desk.choices()
        return gr.update(choices=choices, value=choices[0][1]), *state_of(desk)

    def state_of(desk: MineDesk) -> tuple:
        lines = "\n".join(what_is_next(desk.project))
        there = [desk.project.work / name for name in (REPORT, SHEET) if (desk.project.work / name).is_file()]
        copies = tempfile.mkdtemp() if there else ""  # the page hands out temporary files only
        return lines, [shutil.copy(file, copies) for file in there] or None

    def begin(step: str) -> Callable:
        def start(path: str, backgrounds: str) -> tuple:
            desk = desk_of(path)
            key = str(desk.project.work)
            if key in jobs and jobs[key].is_running:
                raise gr.Error("A step is running already; wait for its end.", print_exception=False)
            settings = ["--weights", weights] if weights else []
            if step == "train" and backgrounds.strip():
                if not may_choose():
                    raise gr.Error("Backgrounds can be named on this computer only.", print_exception=False)
                settings += ["--backgrounds", backgrounds.strip()]
            jobs[key] = desk.start(step, *settings)
            return gr.Timer(EVERY, active=True), "started"

        return start

    def watch(path: str) -> tuple:
        desk = desk_of(path)
        job = jobs.get(str(desk.project.work))
        if job is None:
            return gr.Timer(active=False), "", gr.skip(), gr.skip(), gr.skip()
        if job.is_running:
            return gr.skip(), job.last_lines(), gr.skip(), gr.skip(), gr.skip()
        listed, lines, files = open_folder(path)
        return gr.Timer(active=False), job.last_lines(), listed, lines, files

    def show(path: str, name: str | None) -> tuple:
        if not name:
            return "", None, None, "", False
        try:
            shown = desk_of(path).open(name)
        except (ValueError, OSError, KeyError) as error:
            return "", None, None, str(error), False
        value = {"background": shown.photo, "layers": [], "composite": None}
        return shown.ticket, value, shown.compared, shown.note, False

    def save(path: str, ticket: str, painted: dict | None, replace_own: bool) -> tuple:
        if not ticket or not painted or not painted["layers"]:
            return gr.skip(), gr.skip()
        try:
            saved = desk_of(path).save(ticket, painted["layers"][0], replace_own)
        except (ValueError, OSError, KeyError) as error:
            return gr.skip(), f"not saved: {error}"
        return saved or (gr.skip(), gr.skip())

    def step_by(step: int) -> Callable:
        return lambda path, name: desk_of(path).neighbour(name, step)

    def confirm(path: str, ticket: str, name: str, replace_own: bool) -> tuple:
        desk = desk_of(path)
        try:
            desk.confirm(ticket, replace_own)
        except (ValueError, OSError, KeyError) as error:
            return gr.skip(), f"not saved: {error}"
        return gr.update(choices=desk.choices(), value=desk.neighbour(name, 1)), f"{name}: nothing to correct, saved"

    def reset(path: str, ticket: str) -> tuple:
        try:
            name = desk_of(path).reset(ticket)
        except (ValueError, OSError, KeyError) as error:
            return gr.skip(), gr.skip(), gr.skip(), f"not reset: {error}", gr.skip()
        return show(path, name)

    def compare(shown: int) -> tuple:
        shown = {50: 100, 100: 0, 0: 50}[shown]
        return shown, gr.ImageSlider(slider_position=shown)

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

    gr.on([opening.click, path.submit], open_folder, path, [photos, following, files], **private)
    for button, step in ((looking, "propose"), (training, "train")):
        button.click(begin(step), [path, backgrounds], [clock, progress], **private)
    clock.tick(watch, path, [clock, progress, photos, following, files], **quiet)
    photos.change(show, [path, photos], [opened, editor, slider, note, own], **in_turn, trigger_mode="always_last")
    editor.input(save, [path, opened, editor, own], [slider, note], **in_turn, trigger_mode="always_last")
    back.click(step_by(-1), [path, photos], photos, **quiet)
    on.click(step_by(1), [path, photos], photos, **quiet)
    fine.click(confirm, [path, opened, photos, own], [photos, note], **in_turn)
    other.click(compare, position, [position, slider], **quiet)
    anew.click(reset, [path, opened], [opened, editor, slider, note, own], **in_turn)
