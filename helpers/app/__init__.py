"""The web page: `from helpers.app import page; page().launch()` in a notebook, `python -m helpers.app` elsewhere."""

__all__ = ["page"]


def __getattr__(name):
    # Only who opens the page needs gradio, which an installation may lack.
    if name == "page":
        from helpers.app.interface import page

        return page
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
