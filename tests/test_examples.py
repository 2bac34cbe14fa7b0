"""The examples in docstrings do what they say."""

import doctest
import importlib

import pytest
from support import ROOT

MODULES = sorted(path for path in (ROOT / "helpers").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
SHOWN = (
    "helpers.cutout.load_matter",
    "helpers.cutout.over",
    "helpers.losses.rmse",
    "helpers.losses.edge_mask",
    "helpers.schedule.one_cycle",
    "helpers.synthetic.dataset.make_portrait",
)
"""What others call most: these show how."""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_examples_are_true(path):
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted > 0
    assert result.failed == 0, f"{result.failed} of {name}; see the output"


@pytest.mark.parametrize("name", SHOWN)
def test_what_is_called_most_has_an_example(name):
    module, _, function = name.rpartition(".")
    assert ">>> " in getattr(importlib.import_module(module), function).__doc__
