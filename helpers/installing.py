"""Install what this project needs and is missing, and nothing else: for Colab, Kaggle and other ready environments."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def missing_packages(project: str | Path = PROJECT) -> list[str]:
    """The dependencies in a pyproject.toml that are not installed, or are there in another version than it asks for."""
    from packaging.requirements import Requirement  # comes with matplotlib and with Jupyter; pip has it as well

    wanted = map(Requirement, tomllib.loads(Path(project).read_text(encoding="utf-8"))["project"]["dependencies"])
    return [str(requirement) for requirement in wanted if not _satisfied(requirement)]


def _satisfied(requirement: Any) -> bool:
    try:
        found = re.sub(r"\+.*", "", version(requirement.name))  # 2.10.0+cu128 is 2.10.0
    except PackageNotFoundError:
        return False
    return requirement.specifier.contains(found, prereleases=True)


def install_missing(project: str | Path = PROJECT) -> list[str]:
    """Install `missing_packages` by pip, and return them. Raises CalledProcessError if pip fails."""
    missing = missing_packages(project)
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *missing], check=True)
    return missing
