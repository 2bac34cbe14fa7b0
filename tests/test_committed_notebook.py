"""The committed notebook: executed from top to bottom, clean, small, and in short cells."""

import ast
import itertools
import json
import os
import re
import shutil
import subprocess
import sys

import nbformat
import pytest
from support import ROOT

from helpers.experiments.claims import CLAIMS
from helpers.notebook import TABLE_MARK, TIME_MARK, time_table
from helpers.progress import in_words, read_times

PATH = ROOT / "Data_Mining_project.ipynb"


@pytest.fixture(scope="module")
def cells():
    return nbformat.read(PATH, as_version=4).cells


@pytest.fixture(scope="module")
def code(cells):
    return [cell for cell in cells if cell.cell_type == "code"]


def test_it_was_executed_top_to_bottom(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_its_outputs_hold_no_error_no_widget_and_no_path_of_a_machine(code):
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"stream", "display_data", "execute_result"}
    text = json.dumps(outputs)
    for forbidden in ("widget-view", "/home/", "/tmp/", "/root/", "/work/", "Traceback"):
        assert forbidden not in text


def test_it_is_small_and_has_no_metadata_of_its_run(code):
    assert PATH.stat().st_size < 1_500_000
    assert all(set(cell.metadata) <= {"tags"} for cell in code)


def test_its_cells_are_short_and_explained(cells, code):
    lengths = sorted(sum(bool(line.strip()) for line in cell.source.splitlines()) for cell in code)
    assert lengths[len(lengths) // 2] <= 6
    assert lengths[int(len(lengths) * 0.9)] <= 22
    runs = [len(list(group)) for kind, group in itertools.groupby(cells, lambda c: c.cell_type) if kind == "code"]
    assert max(runs) <= 2


def test_it_shows_its_results_as_pictures(code):
    pictures = [output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 15


def test_its_twelve_sections_are_there(cells):
    headings = [line for cell in cells if cell.cell_type == "markdown" for line in cell.source.splitlines()]
    numbers = [line.split()[1] for line in headings if line.startswith("## ")]
    assert numbers == [str(i) for i in range(1, 13)]


def test_nothing_is_defined_twice(code):
    """Names of functions; a loop variable or a figure's rows may come again."""
    trees = [ast.parse(cell.source) for cell in code]
    names = [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    imports = [
        (alias.asname or alias.name)
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    ]
    assert len(names) == len(set(names))
    assert len(imports) == len(set(imports))


def test_no_sentence_and_no_assertion_holds_a_verdict_on_the_reports_claims(cells):
    variants = {name for claim in CLAIMS.values() for name in claim.variants} - {
        "report",
        "constant",
        "step",
        "l1",
        "continuous",
        "thresholded",
    }
    for cell in cells:
        assert not [name for name in variants if f"`{name}`" in cell.source or f'"{name}"' in cell.source]


def test_each_section_says_its_time_and_the_table_its_cost_as_measured(cells):
    seconds = {row["section"]: row["seconds"] for row in read_times() if row["preset"] == "quick"}
    for cell in cells:
        title = cell.source.splitlines()[0].lstrip("# ")
        if title in seconds:
            assert TIME_MARK not in cell.source or f"{TIME_MARK} {in_words(seconds[title])}.*" in cell.source
        if TABLE_MARK in cell.source:
            assert cell.source.endswith(f"{TABLE_MARK}\n{time_table()}")
    assert sum(TIME_MARK in cell.source for cell in cells) == 11 and any(TABLE_MARK in cell.source for cell in cells)


def run_bare(source, folder, **variables):
    """Run code in a bare copy of the environment: every package is there, but not this project's."""
    paths = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PORTRAIT_", "PYTHON"))}
    environment |= {"PYTHONPATH": os.pathsep.join(paths), "NO_ALBUMENTATIONS_UPDATE": "1"} | variables
    command = [sys.executable, "-S", "-c", source]  # -S: no links from there to the project's own folder
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return done.stdout


FOUND = "\nimport helpers\nprint('found', helpers.__file__)"


def test_the_first_cell_copies_the_project_where_it_is_absent(code, tmp_path):
    if not shutil.which("git"):
        pytest.skip("git is not installed")
    origin, bare = tmp_path / "origin", tmp_path / "bare"
    shutil.copytree(ROOT / "helpers", origin / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", origin)
    bare.mkdir()
    shutil.copy(PATH, bare)
    git = ["git", "-C", str(origin), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    said = run_bare(code[0].source + FOUND, bare, PORTRAIT_REPOSITORY=str(origin))
    assert "installed: nothing, all packages are here" in said
    assert f"found {bare / 'portrait-matting' / 'helpers' / '__init__.py'}" in said
    again = run_bare(code[0].source + FOUND, bare, PORTRAIT_REPOSITORY=str(tmp_path / "gone"))
    assert f"found {bare / 'portrait-matting' / 'helpers' / '__init__.py'}" in again


@pytest.mark.parametrize("place", [".", "docs"])
def test_the_first_cell_does_nothing_where_the_project_is(place, code):
    said = run_bare(code[0].source + FOUND, ROOT / place, PORTRAIT_REPOSITORY="/nowhere")
    assert said == f"found {ROOT / 'helpers' / '__init__.py'}\n"


def test_badges_lead_to_the_address_that_the_first_cell_copies_from(code):
    address = re.search(r'"https://github.com/([^"]+)"', code[0].source)[1]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"https://colab.research.google.com/github/{address}/blob/main/{PATH.name}" in readme
    assert f"https://mybinder.org/v2/gh/{address}/main?labpath={PATH.name}" in readme
