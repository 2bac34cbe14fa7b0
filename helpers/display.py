"""What a notebook needs to print: the source of an object, and what this machine is."""

import inspect
import platform
from importlib.metadata import version

import torch
from IPython.display import Markdown


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
