import base64
import io

import nbformat
import numpy as np
import pytest
from nbclient.exceptions import CellExecutionError
from PIL import Image

from helpers.devices import best_runtime
from helpers.losses import rmse
from helpers.notebook import device_report, execute, show_source


def write_notebook(path, *sources):
    new = nbformat.v4
    cells = [new.new_markdown_cell("## 1 A section\nmore"), *(new.new_code_cell(source) for source in sources)]
    nbformat.write(new.new_notebook(cells=cells), path)


def test_the_executed_copy_lands_in_the_folder_and_sections_are_announced(tmp_path, capsys):
    write_notebook(tmp_path / "lesson.ipynb", "print(6 * 7)")
    out = execute(tmp_path / "lesson.ipynb", tmp_path / "out")
    assert out == tmp_path / "out" / "lesson.ipynb"
    assert nbformat.read(out, 4).cells[1].outputs[0].text == "42\n"
    assert nbformat.read(tmp_path / "lesson.ipynb", 4).cells[1].outputs == []
    assert capsys.readouterr().out == "1 A section\n"


def test_a_failing_cell_is_raised_and_the_copy_shows_how_far_it_came(tmp_path):
    write_notebook(tmp_path / "lesson.ipynb", "print('before')", "1 / 0", "print('after')")
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(tmp_path / "lesson.ipynb", tmp_path / "out")
    cells = nbformat.read(tmp_path / "out" / "lesson.ipynb", 4).cells
    assert cells[1].outputs[0].text == "before\n"
    assert cells[2].outputs[0].ename == "ZeroDivisionError"
    assert cells[3].outputs == []


FIGURE = """import io
import numpy as np
from IPython.display import Image as Shown
from PIL import Image
pixels = np.zeros((40, 60, 4), np.uint8)
pixels[..., 3] = {opacity}
pixels[:20, :30, 0] = np.arange(30)
file = io.BytesIO()
Image.fromarray(pixels).save(file, "PNG", compress_level=1)
Shown(file.getvalue())"""


@pytest.mark.parametrize("opacity, mode", [(255, "RGB"), (100, "RGBA")])
def test_figures_keep_their_pixels_and_lose_an_opaque_alpha_channel(opacity, mode, tmp_path):
    write_notebook(tmp_path / "lesson.ipynb", FIGURE.format(opacity=opacity))
    [output] = nbformat.read(execute(tmp_path / "lesson.ipynb", tmp_path / "out"), 4).cells[1].outputs
    figure = Image.open(io.BytesIO(base64.b64decode(output["data"]["image/png"])))
    pixels = np.array(figure.convert("RGBA"))
    assert figure.mode == mode
    assert (pixels[:20, :30, 0] == np.arange(30)).all()
    assert (pixels[..., 3] == opacity).all() and not pixels[20:, :, :3].any()


def test_show_source_shows_the_code_that_runs_and_its_file():
    markdown = show_source(rmse).data
    assert markdown.startswith("*helpers/losses.py*\n```python\ndef rmse(pred: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:")
    assert "(pred - true) ** 2" in markdown
    assert markdown.endswith("\n```")


def test_the_device_report_names_device_precision_and_versions():
    report = device_report(best_runtime("cpu"))
    for word in ("cpu", "precision", "torch", "albumentations", "opencv"):
        assert word in report
