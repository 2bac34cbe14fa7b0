import base64
import io
import tempfile
import textwrap

import nbformat
import numpy as np
import pytest
from jupyter_client.manager import start_new_kernel
from nbclient.exceptions import CellExecutionError
from PIL import Image

from helpers.devices import best_runtime
from helpers.losses import rmse
from helpers.notebook import device_report, execute, explain_missing_names, explore, main, show_source, writable_folder


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
    assert capsys.readouterr().out.startswith("[ 1/1] 1 A section ")


def test_a_place_that_cannot_be_written_to_is_named_before_the_first_cell_runs(tmp_path):
    ran, out = tmp_path / "ran", tmp_path / "out"
    write_notebook(tmp_path / "lesson.ipynb", f"open({str(ran)!r}, 'w').close()")
    out.write_text("a file where the folder should be")
    with pytest.raises(OSError, match=str(out)):
        execute(tmp_path / "lesson.ipynb", out)
    assert not ran.exists()


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
    assert markdown.startswith(
        "*helpers/losses.py*\n```python\ndef rmse(pred: Tensor, true: Tensor, mask: Tensor | None = None) -> Tensor:"
    )
    assert "(pred - true) ** 2" in markdown
    assert markdown.endswith("\n```")


def test_the_device_report_names_device_precision_and_versions():
    report = device_report(best_runtime("cpu"))
    for word in ("cpu", "precision", "torch", "albumentations", "opencv"):
        assert word in report


def test_a_cell_that_runs_too_early_is_told_in_a_sentence(tmp_path):
    setup = "from helpers.notebook import explain_missing_names\nexplain_missing_names()"
    write_notebook(tmp_path / "lesson.ipynb", setup, "print(train_loader)")
    with pytest.raises(CellExecutionError):
        execute(tmp_path / "lesson.ipynb", tmp_path / "out")
    cell = nbformat.read(tmp_path / "out" / "lesson.ipynb", 4).cells[2]
    text = "".join(output.get("text", "") for output in cell.outputs)
    assert text.startswith("'train_loader' does not exist yet. Run the cells above this one first")
    assert "Traceback" not in text


def test_a_fault_inside_a_module_keeps_its_traceback(tmp_path):
    (tmp_path / "faulty.py").write_text("def broken():\n    return missing\n")
    setup = "from helpers.notebook import explain_missing_names\nexplain_missing_names()"
    write_notebook(tmp_path / "lesson.ipynb", setup, "import faulty\nfaulty.broken()")
    with pytest.raises(CellExecutionError, match="faulty.py"):
        execute(tmp_path / "lesson.ipynb", tmp_path / "out")


def test_paths_in_the_environment_are_meant_from_where_the_command_was_given(tmp_path, monkeypatch):
    (tmp_path / "lessons").mkdir()
    write_notebook(tmp_path / "lessons" / "lesson.ipynb", "import os\nprint(os.environ['PORTRAIT_DATA'])")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PORTRAIT_DATA", "mine/photos")
    out = execute("lessons/lesson.ipynb", "out")
    assert out.is_file() and nbformat.read(out, 4).cells[1].outputs[0].text == f"{tmp_path / 'mine' / 'photos'}\n"


def test_outside_of_a_notebook_there_is_nothing_to_explain():
    explain_missing_names()


@pytest.mark.parametrize("name", ["new/folder", "grün é 写真"])
def test_a_folder_that_can_be_written_to_is_made_and_taken(name, tmp_path, capsys):
    assert writable_folder(tmp_path / name) == tmp_path / name
    assert list((tmp_path / name).iterdir()) == [] and capsys.readouterr().out == ""


def test_a_folder_that_cannot_be_written_to_is_told_and_replaced(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    other = writable_folder(tmp_path / "file" / "folder")
    assert other.parent == tmp_path and other.name.startswith("portrait-matting-") and other.is_dir()
    assert "cannot be written to" in capsys.readouterr().out
    assert writable_folder(tmp_path / "file" / "folder") == other  # what was written there is found again
    other.rmdir()
    other.write_text("somebody else's")
    third = writable_folder(tmp_path / "file" / "folder")
    assert third != other and third.is_dir()


def test_a_kernel_that_dies_is_told_in_a_sentence(tmp_path, capsys):
    write_notebook(tmp_path / "lesson.ipynb", "print('first')", "import os; os._exit(1)")
    assert main([str(tmp_path / "lesson.ipynb"), str(tmp_path / "out")]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert "process has died" in line and line.endswith(str(tmp_path / "out"))
    assert nbformat.read(tmp_path / "out" / "lesson.ipynb", 4).cells[1].outputs[0].text == "first\n"


def test_without_sliders_the_starting_values_are_drawn(monkeypatch):
    monkeypatch.setenv("PORTRAIT_STATIC", "1")
    assert explore(lambda **values: values, lam=(1.0, 0.0), width=(7, 3)) == {"lam": 1.0, "width": 7}


def test_sliders_begin_at_the_starting_values_and_draw_again(monkeypatch):
    widgets = pytest.importorskip("ipywidgets")
    monkeypatch.delenv("PORTRAIT_STATIC", raising=False)
    monkeypatch.setattr("helpers.notebook.get_ipython", object)
    sliders, drawn = {}, []
    monkeypatch.setattr(widgets, "interact", lambda draw, **made: sliders.update(made) or draw(lam=0.0))
    explore(lambda **values: drawn.append(values), lam=(1.0, 0.0, 4.0))
    assert sliders["lam"].value == 1.0 and list(sliders["lam"].options) == [0.0, 1.0, 4.0]
    assert drawn == [{"lam": 0.0}]


def test_a_kernel_with_sliders_draws_one_figure_beside_them(monkeypatch):
    """The real widgets, and a drawing function without a name, as the notebook hands over.

    By the messages of the kernel. nbclient would answer those of the widgets itself, and now and then misses the
    kernel's reply then: sending on its socket hides that something has come, and it waits for ever.
    """
    pytest.importorskip("ipywidgets")
    monkeypatch.delenv("PORTRAIT_STATIC", raising=False)
    source = """
        from functools import partial
        import matplotlib.pyplot as plt
        from helpers.notebook import explore

        def draw(title, lam):
            figure, axes = plt.subplots(figsize=(1, 1))
            axes.set_title(f"{title} {lam}")
            return figure

        explore(partial(draw, "lambda"), lam=(1.0, 0.0, 4.0))"""
    messages = []
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        reply = client.execute_interactive(
            textwrap.dedent(source), output_hook=messages.append, allow_stdin=False, timeout=600
        )
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["content"]["status"] == "ok"
    beside, into, states = None, [], []
    for message in messages:
        content = message["content"]
        if message["msg_type"] in ("comm_open", "comm_msg"):
            states.append(content["data"].get("state", {}))
            beside = states[-1].get("msg_id", beside)  # what is shown next goes into this widget, with "" nowhere
        elif "image/png" in content.get("data", {}):
            into.append(beside)
    assert len(into) == 1 and into[0]
    assert [state["index"] for state in states if "index" in state] == [1]  # 1.0 of 0, 1 and 4
