"""The web page: `from helpers.app import page; page().launch()` in a notebook, `python -m helpers.app` elsewhere."""

from typing import Any

__all__ = ["page"]


def __getattr__(name: str) -> Any:
    # Only the page needs gradio, which may not be installed.
    if name == "page":
        from helpers.app.interface import page

        return page
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
