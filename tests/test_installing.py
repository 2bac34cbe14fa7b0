import sys
from importlib.metadata import version

from helpers import installing
from helpers.installing import install_missing, missing_packages


def project(folder, *dependencies):
    path = folder / "pyproject.toml"
    path.write_text(f"[project]\ndependencies = {list(dependencies)!r}\n", encoding="utf-8")
    return path


def test_nothing_is_missing_where_the_tests_run():
    assert missing_packages() == []


def test_absent_packages_and_other_versions_are_missing(tmp_path):
    wanted = [f"numpy=={version('numpy')}", "numpy<1", "no-such-package-of-anybody>=2"]
    assert missing_packages(project(tmp_path, *wanted)) == wanted[1:]


def test_only_what_is_missing_is_installed(tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(installing.subprocess, "run", lambda command, check: commands.append(command))
    assert install_missing(project(tmp_path, "numpy>=1")) == []
    assert commands == []
    assert install_missing(project(tmp_path, "numpy>=1", "absent-package>=2")) == ["absent-package>=2"]
    assert commands == [[sys.executable, "-m", "pip", "install", "--quiet", "absent-package>=2"]]
