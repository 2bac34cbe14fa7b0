"""environment.yml and pyproject.toml must ask for the same packages; make takes paths with spaces."""

import os
import shlex
import subprocess
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_conda_users_get_the_same_packages():
    pip = [part["pip"] for part in CONDA["dependencies"] if isinstance(part, dict)]
    assert len(pip) == 1
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]
    assert sorted(pip[0]) == sorted(wanted)


def test_the_tests_bring_every_extra():
    extras = PROJECT["optional-dependencies"]
    for name, packages in extras.items():
        assert set(packages) <= set(extras["test"]), name


def test_conda_brings_nothing_but_python_and_pip():
    outside_pip = [part for part in CONDA["dependencies"] if isinstance(part, str)]
    assert outside_pip == [f"python{PROJECT['requires-python']}", "pip"]
    assert CONDA["name"] == PROJECT["name"]


def test_one_opencv_wheel():
    names = [line for line in PROJECT["dependencies"] if line.startswith("opencv")]
    assert len(names) == 1
    assert names[0].startswith("opencv-python-headless>=")


def test_make_hands_on_a_work_folder_with_spaces_in_its_name():
    command = ["make", "-n", "run", "-o", ".venv/.installed", "PORTRAIT_WORK=/tmp/my work", "PORTRAIT_PRESET=smoke"]
    shown = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=os.environ | {"MAKEFLAGS": ""}
    )
    (run,) = (shlex.split(line) for line in shown.stdout.splitlines() if "helpers.notebook" in line)
    assert run == ["PORTRAIT_PRESET=smoke", ".venv/bin/python", "-m", "helpers.notebook", "Data_Mining_project.ipynb",
                   "/tmp/my work/out"]  # fmt: skip
