"""Run the notebook from the command line, saying where it is: python -m helpers.notebook NOTEBOOK OUT_DIR"""

import base64
import inspect
import io
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat
import torch
from IPython.display import Markdown
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from helpers.files.atomic import whole_file
from helpers.startup import begin


def execute(notebook, out_dir):
    """Execute a notebook in its own folder and write the executed copy into `out_dir`, also if a cell fails.

    Prints each section's heading when it is reached. Raises CellExecutionError for the first cell that fails.
    """
    notebook, out = Path(notebook), Path(out_dir) / Path(notebook).name
    book = nbformat.read(notebook, as_version=4)

    def announce(cell, cell_index):
        heading = cell.source.splitlines()[0] if cell.cell_type == "markdown" and cell.source else ""
        if heading.startswith("## "):
            print(heading.lstrip("# "), flush=True)

    client = NotebookClient(
        book, timeout=None, kernel_name="python3", on_cell_start=announce, coalesce_streams=True,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(notebook.resolve().parent)}},
    )  # fmt: skip
    try:
        client.execute()
    finally:
        _shrink_figures(book)
        with whole_file(out) as temporary:
            nbformat.write(book, temporary)
    return out


def _shrink_figures(book):
    """Store the figures without their opaque alpha channel and as well compressed as PNG can: the same pixels."""
    for output in (output for cell in book.cells for output in cell.get("outputs", [])):
        if encoded := output.get("data", {}).get("image/png"):
            figure, smaller = Image.open(io.BytesIO(base64.b64decode(encoded))), io.BytesIO()
            if figure.mode == "RGBA" and figure.getchannel("A").getextrema() == (255, 255):
                figure = figure.convert("RGB")
            figure.save(smaller, "PNG", optimize=True)
            output["data"]["image/png"] = base64.b64encode(smaller.getvalue()).decode()


def show_source(thing):
    """The source of a function or class as highlighted Markdown, with the file it stands in.

    Shows the code that runs: what the notebook explains cannot differ from what it uses.
    """
    source = inspect.getsource(thing).rstrip()
    return Markdown(f"*{thing.__module__.replace('.', '/')}.py*\n```python\n{source}\n```")


def device_report(runtime):
    """What computes here and with which versions, as plain text."""
    if runtime.device.type == "cuda":
        properties = torch.cuda.get_device_properties(runtime.device)
        chip = f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    else:
        chip = f"{platform.machine()}, {torch.get_num_threads()} threads"
    precision = "float32" if runtime.amp_dtype is None else f"mixed, {runtime.amp_dtype}".replace("torch.", "")
    rows = {"device": f"{runtime.device} ({chip})", "precision": precision, "Python": platform.python_version()}
    rows |= {name: version(name) for name in ("torch", "albumentations", "opencv-python-headless", "numpy")}
    return "\n".join(f"{name:<24}{value}" for name, value in rows.items())


if __name__ == "__main__":
    begin()
    if len(sys.argv) != 3:
        sys.exit("usage: python -m helpers.notebook NOTEBOOK OUT_DIR")
    try:
        execute(*sys.argv[1:])
    except CellExecutionError as error:
        sys.exit(f"{error}\nA cell failed; the notebook as far as it came is in {sys.argv[2]}")
