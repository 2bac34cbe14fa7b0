"""What runs, what is loaded and what is installed: nothing that a file from elsewhere could turn into code."""

import ast
import re
import tomllib
from importlib.metadata import PackageNotFoundError, version

import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from support import ROOT

from helpers.networks.pretrained import ENCODERS, SOURCES

CODE = sorted(path for folder in ("helpers", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
REFUSED = {"eval", "exec", "compile", "__import__", "os.system", "os.popen", "subprocess.getoutput", "pickle.load",
           "pickle.loads", "pickle.Unpickler", "marshal.loads", "shelve.open", "joblib.load", "yaml.load",
           "torch.hub.load", "runpy.run_path"}  # fmt: skip
MODULES = {"pickle", "marshal", "shelve", "dill", "joblib"}
ADVISORIES = {
    "torch": ("2.10", "CVE-2026-24747, CVE-2025-32434: with weights_only=True, too, a checkpoint could run code"),
    "pillow": ("12.3", "GHSA-62p4-gmf7-7g93 and nine more: bombs not seen, pictures that write past the buffer"),
    "opencv-python-headless": ("4.8.1.78", "CVE-2023-4863: WebP pictures could run code"),
    "onnx": ("1.21", "CVE-2026-27489, CVE-2026-34446: models could have other files read"),
    "gradio": ("6.16", "GHSA-j36p-7w88-g82j, CVE-2026-48545, CVE-2026-28414: files handed out, sessions fixed"),
    "tqdm": ("4.66.3", "CVE-2024-34062: arguments of its command were run as code"),
    "pyyaml": ("5.4", "CVE-2020-14343: files could run code"),
}
"""What was published up to November 2026 about the packages used, and the version that mends it."""


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


@pytest.fixture(scope="module")
def wanted():
    """The requirements of pyproject.toml, those of the extras among them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(each) for each in project["dependencies"] + [each for extra in extras for each in extra]]


def test_every_dependency_has_a_range_that_was_tested(wanted):
    assert len(wanted) > 10
    for requirement in wanted:
        assert re.fullmatch(r"==[\d.]+|<\d+,>=[\d.]+", str(requirement.specifier)), requirement


def test_what_is_installed_lies_in_these_ranges(wanted):
    found = 0
    for requirement in wanted:
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:  # of an extra that is not there, or not for this machine
            continue
        assert requirement.specifier.contains(installed, prereleases=True), (requirement, installed)
        found += 1
    assert found > 10


def test_no_range_reaches_down_to_a_version_with_a_published_hole(wanted):
    checked = set()
    for requirement in wanted:
        mended, hole = ADVISORIES.get(requirement.name, ("0", ""))
        lowest = min(Version(each.version) for each in requirement.specifier if each.operator in (">=", "=="))
        assert lowest >= Version(mended), hole
        checked.add(requirement.name)
    assert checked >= ADVISORIES.keys()


def test_every_download_is_known_by_its_hash():
    for file in [*SOURCES.values(), *ENCODERS.values()]:
        assert re.fullmatch(r"[0-9a-f]{64}" if file in SOURCES.values() else r"[0-9a-f]{8,64}", file.sha256)
        assert file.places and all(place.startswith("https://") for place in file.places)
