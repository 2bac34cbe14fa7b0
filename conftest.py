"""Keeps tests, the notebook's among them, away from the user's own runs; prints what `make trust` found."""

import os
import tempfile

import pytest

SURVIVED = pytest.StashKey()


def pytest_addoption(parser):
    parser.addoption("--long", action="store_true", help="tests/faults as `make trust` runs them: more of everything")


def pytest_configure(config):
    os.environ["PORTRAIT_PRESET"] = "smoke"
    os.environ["PORTRAIT_STATIC"] = "1"  # figures in the place of sliders
    for name in ("PORTRAIT_DATA", "PORTRAIT_PHOTOS", "PORTRAIT_SKIP_TRAINING"):
        os.environ.pop(name, None)
    config.portrait_work = tempfile.TemporaryDirectory(prefix="portrait-")
    os.environ["PORTRAIT_WORK"] = config.portrait_work.name
    os.environ["PORTRAIT_CACHE"] = os.path.join(config.portrait_work.name, "cache")
    config.stash[SURVIVED] = []


def pytest_unconfigure(config):
    config.portrait_work.cleanup()


@pytest.fixture(scope="session")
def long(pytestconfig):
    """Whether the long version was asked for."""
    return pytestconfig.getoption("--long")


@pytest.fixture
def survived(pytestconfig):
    """`survived(what, tried, outcome)` adds a line to the table of `make trust`; call it after the last assertion."""
    return lambda what, tried, outcome: pytestconfig.stash[SURVIVED].append((what, tried, outcome))


def pytest_terminal_summary(terminalreporter, config):
    """The table of docs/survives.md, as Markdown."""
    if rows := config.stash[SURVIVED]:
        lines = ["| fault | tried | outcome |", "|---|---|---|", *(f"| {' | '.join(map(str, row))} |" for row in rows)]
        terminalreporter.write_line("\n".join(["", *lines]))
