"""The last step: is the new network better? Measured on the photos kept out, as one HTML file."""

import base64
import html
import io
import json
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from helpers.cutout import Matter, load_matter
from helpers.datasets.pairs import Pair, read_pair
from helpers.files.atomic import whole_file
from helpers.mine.card import card_of
from helpers.mine.lesson import Lesson
from helpers.mine.measure import FEWEST, FIGURES, LEVEL, errors_on, interval, shrunk
from helpers.mine.project import Project
from helpers.mine.propose import tinted
from helpers.mine.verdict import Measured, Verdict, verdict_of
from helpers.mine.words import command, counted

REPORT, WEIGHTS, CARD, NUMBERS = "report.html", "mine.safetensors", "mine.md", "report.json"
SHOWN = 10
"""Photos of a kind that are shown."""

LONGEST = 220
"""Longer side in pixels of a picture in the report."""

KINDS = {
    "small in the picture": lambda photo, alpha: alpha.mean() < 0.15 * 255,
    "close up": lambda photo, alpha: alpha.mean() > 0.5 * 255,
    "dark": lambda photo, alpha: photo.mean() < 70,
    "several people or parts": lambda photo, alpha: _parts(alpha) > 1,
    "bright": lambda photo, alpha: photo.mean() > 170,
}
"""Kinds of photos, by photo (H, W, 3) and right matte (H, W), both uint8; a photo may be of several."""


def measure(old: Matter, finished: dict[str, Path], pairs: list[Pair]) -> Measured:
    """The old network and the two trained ones on the photos kept out."""
    (before, first), (half, _), (after, last) = (
        errors_on(matter, pairs) for matter in (old, load_matter(finished["half"]), load_matter(finished["all"]))
    )
    return Measured(before, half, after, list(zip(first, last, strict=True)))


def kinds_of(lesson: Lesson, iou: NDArray[np.float64]) -> dict[str, tuple[int, int, float]]:
    """{kind: (photos trained on, photos kept out, their mean IoU)} of the kinds that occur among those kept out."""
    trained = [_kinds(pair) for pair in lesson.checked + lesson.proposed]
    kept_out = [_kinds(pair) for pair in lesson.kept_out]
    table = {}
    for kind in KINDS:
        places = [place for place, kinds in enumerate(kept_out) if kind in kinds]
        if places:
            table[kind] = (sum(kind in kinds for kinds in trained), len(places), float(iou[places].mean()))
    return table


def _kinds(pair: Pair) -> set[str]:
    photo, alpha = _small(pair)
    return {kind for kind, fits in KINDS.items() if fits(photo, alpha)}


def _small(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    photo, alpha = read_pair(pair, least=LONGEST)
    return shrunk(photo, LONGEST), shrunk(alpha, LONGEST)


def _parts(alpha: NDArray[np.uint8]) -> int:
    """Parts of the person that are more than a twentieth of the largest."""
    _, _, boxes, _ = cv2.connectedComponentsWithStats((alpha > 127).astype(np.uint8))
    areas = boxes[1:, cv2.CC_STAT_AREA]
    return int((areas > areas.max() / 20).sum()) if len(areas) else 0


def write_report(
    project: Project, lesson: Lesson, measured: Measured, start: Path, finished: dict[str, Path]
) -> Verdict:
    """Write the report, the numbers and, if the new network is better, its weights and their card; the verdict.

    A network that is not better is written nowhere but in its training's folder, and weights that an earlier report
    wrote stay.
    """
    from helpers.export.files import write_safetensors
    from helpers.networks.weights import read_checkpoint

    config = read_checkpoint(finished["all"])["config"]
    kinds = kinds_of(lesson, measured.after[:, 0])
    verdict = verdict_of(measured, kinds)
    table = {
        name: {figure: str(interval(errors[:, column])) for column, figure in enumerate(FIGURES)}
        for name, errors in zip(("before", "half of the photos", "all photos"), measured[:3], strict=True)
    }
    facts = {
        "date": date.today().isoformat(), "started_from": start.name, "network": config["network"],
        "image_size": config["image_size"], "epochs": config["epochs"], "trained": _trained(config),
        "recipe": {key: config[key] for key in ("augmentation", "loss", "max_lr", "batch_size", "ema", "seed")},
        "checked": len(lesson.checked), "unchecked proposals": len(lesson.proposed), "kept_out": len(lesson.kept_out),
        "errors": table, "better": verdict.is_better, "verdict": [verdict.better, verdict.more],
    }  # fmt: skip
    if verdict.is_better:
        write_safetensors(finished["all"], project.work / WEIGHTS)
        with whole_file(project.work / CARD) as temporary:
            temporary.write_text(card_of(facts), encoding="utf-8")
    with whole_file(project.work / NUMBERS) as temporary:
        temporary.write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    text = _page(project, lesson, measured, facts, kinds)
    with whole_file(project.work / REPORT) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return verdict


def _trained(config: dict) -> str:
    """What a training of this configuration changed, in words."""
    if config.get("coarse"):
        return "the stages at a quarter of the size and below"
    return "the decoder" if config["freeze_encoder"] else "all weights"


def commands(project: Project) -> list[str]:
    """How to cut out with the new weights, and to export them."""
    weights = project.work / WEIGHTS
    return [
        command("helpers.cutout", "PHOTOS", "-o", "OUT", "--weights", weights),
        command("helpers.export", weights, "mine.onnx"),
    ]


def _page(
    project: Project,
    lesson: Lesson,
    measured: Measured,
    facts: dict,
    kinds: dict[str, tuple[int, int, float]],
) -> str:
    """The report as HTML, its pictures inside."""
    mattes = measured.mattes
    change = [float(cv2.absdiff(before, after).mean()) for before, after in mattes]
    orders = {
        "Most changed": sorted(range(len(mattes)), key=lambda place: -change[place])[:SHOWN],
        "Worst with the new network": sorted(range(len(mattes)), key=lambda place: measured.after[place, 0])[:SHOWN],
    }
    sections = []
    for title, places in orders.items():
        rows = "".join(_row(lesson.kept_out[place], *mattes[place], measured, place) for place in places)
        sections.append(f"<h2>{title}</h2><table><tr><th>photo<th>right<th>before<th>after</tr>{rows}</table>")
    numbers = "".join(
        f"<tr><th>{name}" + "".join(f"<td>{cells[figure]}" for figure in FIGURES) + "</tr>"
        for name, cells in facts["errors"].items()
    )
    kinds_rows = "".join(
        f"<tr><th>{html.escape(kind)}<td>{trained}<td>{kept}<td>{iou:.4f}</tr>"
        for kind, (trained, kept, iou) in kinds.items()
    )
    better, more = map(html.escape, facts["verdict"])
    use = "".join(f"<pre>{html.escape(line)}</pre>" for line in commands(project)) if facts["better"] else (
        "<p>No new weight file was written: go on with the network you have.</p>"
    )  # fmt: skip
    return f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>My network: report</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em}}
td,th{{padding:.3em .8em;text-align:left;vertical-align:top;border-bottom:1px solid #ddd}}
pre{{background:#eee;padding:.6em;overflow:auto}}
.verdict{{font-size:1.2em;border-left:4px solid #2a6f97;padding-left:1em}}
</style>
<h1>My network</h1>
<div class="verdict"><p>{better}</p><p>{more}</p></div>
<h2>Before and after</h2>
<p>Means over {counted(facts["kept_out"])} never trained on; in brackets, from {FEWEST} photos on, the interval that
holds {LEVEL} % of the means when the photos are resampled. IoU: larger is better. MAD, and MAD in the band of 15 pixels
around the edge: smaller is better.</p>
<table><tr><th>network<th>IoU<th>MAD<th>MAD in the band</tr>{numbers}</table>
<h2>What it was trained on</h2>
<p>{counted(facts["checked"])} that you corrected or confirmed, {counted(facts["unchecked proposals"], "proposal")} of
the old network that nobody has looked at. Started from {html.escape(facts["started_from"])} ({facts["network"]},
{facts["image_size"]}²), {facts["epochs"]} epochs, {facts["trained"]} trained.
{facts["date"]}.</p>
<table><tr><th>kind of photo<th>trained on<th>kept out<th>IoU after</tr>{kinds_rows}</table>
<h2>How to use it</h2>{use}
{"".join(sections)}
</html>
"""


def _row(pair: Pair, before: NDArray[np.uint8], after: NDArray[np.uint8], measured: Measured, place: int) -> str:
    photo, true = _small(pair)
    images = [_picture(photo, alpha) for alpha in (np.full_like(true, 255), true, before, after)]
    notes = ("", "", f"IoU {measured.before[place, 0]:.4f}", f"IoU {measured.after[place, 0]:.4f}")
    cells = "".join(f"<td>{image}<br>{note}" for image, note in zip(images, notes, strict=True))
    return f"<tr>{cells}</tr><tr><td colspan=4>{html.escape(pair.image.name)}</tr>"


def _picture(photo: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> str:
    """A small picture as an <img> with its bytes inside."""
    stream = io.BytesIO()
    picture = Image.fromarray(tinted(photo, alpha, LONGEST))
    picture.save(stream, "JPEG", quality=85)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" width="{picture.width}" height="{picture.height}" alt="">'
