"""The web page: a photo in, its cutout out.

from helpers.app import page; page().launch()       # in a notebook
page().launch(auth=("portrait", PASSWORD))          # in one that a proxy shows, such as JupyterHub's
"""

import os
from collections import deque
from pathlib import Path
from typing import Any

from helpers.app.desk import BACKGROUNDS, KEEP, LIMITS, MAX_BYTES, MAX_PHOTOS, Desk, Refused
from helpers.app.temporary import temporary_home
from helpers.cutout import Matter, load_matter
from helpers.files.photos import photo_extensions
from helpers.mine.keys import SCRIPT

try:
    import gradio as gr
    from gradio_client.utils import is_file_obj_with_meta, is_http_url_like, traverse
    from starlette.middleware import Middleware  # of what Gradio is built on

    from helpers.app.limits import BROKEN, BoundedBodies, SlowLogins
    from helpers.app.local import LocalNames, LocalOnly, is_loopback
    from helpers.mine.tab import my_photos
except ModuleNotFoundError as error:
    advice = f'the web page needs gradio ({error}): pip install -e ".[app]"'
    raise ModuleNotFoundError(advice) from None

USER = "portrait"  # who logs in where there is a password
QUEUE = 20  # requests that may wait, of all users together
AT_ONCE = 4  # requests of one kind that are served at a time; their photos still go through the network one by one
REMEMBERED = 100  # requests that are done
FONT = ("system-ui", "sans-serif")  # of the reader's own computer: nothing is loaded from elsewhere
CSS = """
.gradio-container {width: 100%; max-width: 1200px !important; margin: 0 auto !important}
#limits {opacity: .8}
"""
POLICY = b"default-src 'self' 'unsafe-inline' data: blob:"
"""The Content-Security-Policy: browsers load nothing from elsewhere, whatever a release of Gradio asks them to."""

BRUSH_POLICY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:"
"""The policy of a page on which photos can be painted.

The brush of Gradio's ImageEditor draws by PixiJS, which compiles functions: without 'unsafe-eval' it stays empty.
"""


class Page(gr.Blocks):
    """The page; `launch` cannot make it unsafe."""

    has_photos = False
    """Whether it was started with a folder for the tab "My photos": then that tab works wherever the page listens."""

    def launch(  # type: ignore[override]  # fewer arguments, so that nothing of it can be set aside
        self, *, server_name: str = "127.0.0.1", auth: tuple[str, str] | None = None, **settings: Any
    ) -> tuple[Any, str, str]:
        """Gradio's `launch`, with this page's limits and look, and nothing shared.

        Without `auth`, a (user, password), it answers only under names of this computer (see `LocalNames`). So a page
        behind a proxy, such as JupyterHub's, needs `auth`. Colab needs none: no browser runs on its machines, and its
        proxy lets in nobody else. Raises ValueError for a `server_name` that others can reach unless `auth` is given.
        """
        if not is_loopback(server_name) and not auth:
            raise ValueError(f"others can reach {server_name}: set a password, in PORTRAIT_PASSWORD or by --password")
        guards = [] if auth or gr.utils.colab_check() else [Middleware(LocalNames)]
        policy = BRUSH_POLICY if is_loopback(server_name) or self.has_photos else POLICY
        if ":" in server_name and not server_name.startswith("["):
            server_name = f"[{server_name}]"  # how Gradio takes an address of IPv6: it makes a URL of it
        os.environ["GRADIO_RUN_HISTORY"] = "False"  # an argument of newer Gradios, which older ones refuse
        return super().launch(
            server_name=server_name, auth=auth, share=False, max_file_size=MAX_BYTES, state_session_capacity=1000,
            footer_links=[], enable_monitoring=False, mcp_server=False, ssr_mode=False, pwa=False,
            app_kwargs={"openapi_url": None, "exception_handlers": BROKEN, "middleware": [
                Middleware(LocalOnly, policy=policy), *guards, Middleware(SlowLogins), Middleware(BoundedBodies)]},
            theme=gr.themes.Default(font=FONT, font_mono=FONT), css=CSS, head=f"<script>{SCRIPT}</script>",
            **settings,
        )  # fmt: skip

    async def preprocess_data(self, block_fn, inputs, *arguments, **settings):
        """As Gradio's, but a visitor's "file" may not be an address: the server would fetch what is there."""
        traverse(inputs, _refuse_address, is_file_obj_with_meta)
        return await super().preprocess_data(block_fn, inputs, *arguments, **settings)


def _refuse_address(file):
    if is_http_url_like(file["path"]):
        raise gr.Error("Only uploaded files are taken.", print_exception=False)


def page(
    matter: Matter | None = None,
    photos: Path | None = None,
    work: Path | None = None,
    weights: str | None = None,
) -> Page:
    """The page as a `gr.Blocks` to launch; `matter` is a `Matter`, by default that of `load_matter()`.

    `photos`, `work` and `weights` are the folder, the work folder and the weights that the tab "My photos" begins with,
    see `helpers.mine`. Errors as in `load_matter`.
    """
    desk = Desk(matter or load_matter())
    temporary_home()
    with Page(title="Portrait cutout", analytics_enabled=False, delete_cache=(60, KEEP)) as blocks:
        gr.Markdown("# Cut a person out of a photo")
        gr.Markdown(LIMITS, elem_id="limits")
        with gr.Tab("One photo"):
            _one_photo(desk)
        with gr.Tab("Several photos"):
            _several_photos(desk)
        with gr.Tab("My photos"):
            my_photos(photos, work, weights, lambda: is_loopback(getattr(blocks, "server_name", "")))
    blocks.has_photos = photos is not None
    blocks.queue(max_size=QUEUE, default_concurrency_limit=AT_ONCE, api_open=False)
    _forget_finished(blocks._queue)
    return blocks


def _forget_finished(queue):
    """Let Gradio forget old requests: it keeps all of them, and goes through all of them at each new one."""
    process, finished = queue.process_events, deque()

    async def process_and_forget(events, *arguments):
        await process(events, *arguments)
        finished.extend(event._id for event in events)
        while len(finished) > REMEMBERED:
            number = finished.popleft()
            queue.event_ids_to_events.pop(number, None)
            queue.event_analytics.pop(number, None)

    queue.process_events = process_and_forget


def _one_photo(desk):
    def cut(path, before):
        if before:
            before.forget()
        if path is None:
            return None, None, None, _note("")
        try:
            work = desk.cut(path)
        except Refused as reason:
            return None, None, None, _note(reason)
        return work, work.original, work.alpha, _note(work.note)

    def place(work, kind, colour, picture):
        if work is None:
            return None, None, _download(None), gr.skip()
        try:
            file, shown = desk.place(work, kind, colour, picture)
        except Refused as reason:
            return None, None, _download(None), _note(reason)
        return shown, (work.original, shown), _download(file), _note(work.note)

    formats = sorted(photo_extensions())
    work = gr.State(time_to_live=KEEP, delete_callback=lambda work: work and work.forget())
    with gr.Row():
        with gr.Column(scale=2, min_width=320):
            photo = gr.File(label="Photo", file_types=formats, height=280, elem_id="photo")
            note = gr.Textbox(label="Note", visible=False, interactive=False, elem_id="note")
            kind = gr.Radio(BACKGROUNDS, value=BACKGROUNDS[0], label="Background", elem_id="background")
            colour = gr.ColorPicker("#2a6f97", label="Colour", visible="hidden", elem_id="colour")
            picture = gr.File(label="Picture", file_types=formats, height=140, visible="hidden", elem_id="picture")
            save = gr.DownloadButton("Download PNG", variant="primary", interactive=False, elem_id="save")
        with gr.Column(scale=5, min_width=320):
            slider = gr.ImageSlider(
                label="Original | cutout", interactive=False, max_height=430, buttons=["fullscreen"], elem_id="slider"
            )
            with gr.Row():
                original, alpha, cutout = (
                    gr.Image(
                        label=label,
                        interactive=False,
                        height=230,
                        min_width=120,
                        buttons=["fullscreen"],
                        elem_id=label.lower(),
                    )
                    for label in ("Original", "Alpha", "Cutout")
                )

    # Only the latest of several changes matters. None of these is an interface for programs.
    ways = {"api_visibility": "private", "trigger_mode": "always_last"}
    placing = {"fn": place, "inputs": [work, kind, colour, picture], "outputs": [cutout, slider, save, note]}
    photo.change(cut, [photo, work], [work, original, alpha, note], **ways).then(**placing, **ways)
    gr.on([kind.change, colour.change, picture.change], **placing, **ways)
    kind.change(
        lambda kind: [gr.update(visible=kind == name or "hidden") for name in ("Colour", "Picture")], kind,
        [colour, picture], queue=False, **ways,
    )  # fmt: skip


def _several_photos(desk):
    def cut_all(paths, progress=gr.Progress()):  # noqa: B008, Gradio finds it there
        if not paths:
            return _download(None), "Drop some photos first."
        archive, report = desk.cut_all(paths, lambda done, text: progress(done, text))
        return _download(archive), report

    photos = gr.File(label=f"Photos, up to {MAX_PHOTOS}", file_count="multiple", height=220, elem_id="photos")
    start = gr.Button("Cut out all", variant="primary", elem_id="start")
    report = gr.Textbox(label="Report", lines=6, interactive=False, elem_id="report")
    save = gr.DownloadButton("Download ZIP", interactive=False, elem_id="save-all")
    start.click(cut_all, photos, [save, report], api_visibility="private", trigger_mode="once")


def _note(reason):
    return gr.update(value=str(reason), visible=bool(str(reason)))


def _download(file):
    return gr.update(value=file, interactive=file is not None)
