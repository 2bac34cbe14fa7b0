"""The committed notebook: executed from top to bottom, clean, small, and in short cells."""

import itertools
import json
from pathlib import Path

import nbformat
import pytest

PATH = Path(__file__).parent.parent / "Data_Mining_project.ipynb"


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
