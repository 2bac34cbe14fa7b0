"""What runs, what is loaded and what is installed: nothing that a file from elsewhere could turn into code."""

import ast
import re
import tomllib

import pytest
from conftest import ROOT

from helpers.pretrained import ENCODERS, SOURCES

CODE = sorted(path for folder in ("helpers", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
REFUSED = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "pickle.load",
           "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open", "joblib.load", "yaml.load",
           "torch.hub.load", "runpy.run_path"}  # fmt: skip
MODULES = {"pickle", "marshal", "shelve", "dill", "joblib"}


def calls(source):
    """(dotted name, keywords) of every call in a Python source, and `import NAME` of what it imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        elif isinstance(node, ast.Import):
            yield from ((f"import {name.name.split('.')[0]}", {}) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield f"import {(node.module or '').split('.')[0]}", {}


def faults(source):
    """What in a Python source could run code from a file or a name: a list of lines."""
    found = []
    for name, keywords in calls(source):
        if name in REFUSED or name.removeprefix("import ") in MODULES:
            found.append(name)
        if name == "torch.load" and keywords.get("weights_only") != "True":
            found.append("torch.load without weights_only=True")
        if keywords.get("allow_pickle", "False") != "False" or keywords.get("shell", "False") != "False":
            found.append(f"{name} with a pickle or a shell")
        if keywords.get("trust_remote_code") == "True":
            found.append(f"{name} with code from elsewhere")
    return found


@pytest.mark.parametrize("source", [
    "eval(text)", "import pickle", "from pickle import load", "torch.load(path)", "torch.load(p, weights_only=False)",
    "np.load(path, allow_pickle=True)", "subprocess.run(f'rm {name}', shell=True)", "os.system('ls')", "exec(code)",
])  # fmt: skip
def test_the_test_finds_what_it_looks_for(source):
    assert faults(source)


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_runs_code_from_a_file(path):
    assert faults(path.read_text(encoding="utf-8")) == []


def test_the_notebook_neither():
    import nbformat

    book = nbformat.read(ROOT / "Data_Mining_project.ipynb", as_version=4)
    sources = [cell.source for cell in book.cells if cell.cell_type == "code"]
    assert not any(re.search(r"^\s*[!%]", source, re.MULTILINE) for source in sources)  # no shell, no magic
    assert [fault for source in sources for fault in faults(source)] == []


def test_every_dependency_has_a_range_that_was_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = project["dependencies"] + [each for extra in project["optional-dependencies"].values() for each in extra]
    assert len(wanted) > 10
    for requirement in wanted:
        assert re.fullmatch(r"[\w-]+(\[\w+\])?(==[\d.]+|>=[\d.]+,<\d+)", requirement), requirement


def test_every_download_is_known_by_its_hash():
    for file in [*SOURCES.values(), *ENCODERS.values()]:
        assert re.fullmatch(r"[0-9a-f]{64}" if file in SOURCES.values() else r"[0-9a-f]{8,64}", file.sha256)
        assert file.places and all(place.startswith("https://") for place in file.places)
