"""Keeps tests, the notebook's among them, away from the data, checkpoints and cutouts of the user's own runs."""

import os
import tempfile


def pytest_configure(config):
    os.environ["PORTRAIT_PRESET"] = "smoke"
    for name in ("PORTRAIT_DATA", "PORTRAIT_PHOTOS"):
        os.environ.pop(name, None)
    config.portrait_work = tempfile.TemporaryDirectory(prefix="portrait-")
    os.environ["PORTRAIT_WORK"] = config.portrait_work.name


def pytest_unconfigure(config):
    config.portrait_work.cleanup()
