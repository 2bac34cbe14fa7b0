"""Imports point one way: each package of helpers/ builds on those below it, and none on one that builds on it."""

import ast
import re
from graphlib import TopologicalSorter

from support import ROOT

FLOORS = (
    {"config", "devices", "files", "network_input", "startup"},
    {"augment", "datasets", "losses", "networks", "schedule", "u2net"},
    {"cutout", "metrics", "samples", "synthetic"},
    {"export", "soft_labels", "training"},
    {"mine"},
    {"app"},
    {"experiments"},
    {"exercises", "installing", "notebook", "plots", "progress"},
)
"""The packages and modules of helpers/, from the ground up. On one floor they may import each other, in no circle."""

FLOOR_OF = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in sorted((ROOT / "helpers").rglob("*.py"))}


def imports_of(path):
    """The modules of helpers/ that a file imports anywhere in it, inside functions as well."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names if node.module in MODULES)


def is_program(module):
    """Commands stand above everything: no module imports them."""
    return module.endswith(".__main__")


GRAPH = {module: set(imports_of(path)) for module, path in MODULES.items()}


def part_of(module):
    return module.split(".")[1]


def test_every_part_has_its_floor():
    assert {part_of(module) for module in MODULES if module != "helpers"} == set(FLOOR_OF)


def test_no_module_imports_one_of_a_higher_floor():
    upwards = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        if not is_program(module)
        for other in others
        if other != "helpers" and FLOOR_OF[part_of(module)] < FLOOR_OF[part_of(other)]
    ]
    assert not upwards


def test_the_list_of_modules_is_complete_and_each_builds_on_those_above_it():
    page = (ROOT / "docs" / "modules.md").read_text(encoding="utf-8")
    rows = [re.findall(r"`(\w+)/?`", row) for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)]
    assert sorted(name for row in rows for name in row) == sorted(FLOOR_OF)
    row_of = {name: number for number, row in enumerate(rows) for name in row}
    downwards = [
        f"{module} imports {other}"
        for module, others in GRAPH.items()
        if module != "helpers" and not is_program(module)
        for other in others
        if other != "helpers" and row_of[part_of(module)] < row_of[part_of(other)]
    ]
    assert not downwards


def test_nothing_imports_a_command():
    assert not [
        f"{module} imports {other}" for module, others in GRAPH.items() for other in others if is_program(other)
    ]


def test_modules_import_each_other_in_no_circle():
    TopologicalSorter(GRAPH).prepare()  # raises CycleError, naming the circle


def test_packages_import_each_other_in_no_circle():
    packages = {}
    for module, others in GRAPH.items():
        if module != "helpers" and not is_program(module):
            own = packages.setdefault(part_of(module), set())
            own |= {part_of(other) for other in others if other != "helpers"} - {part_of(module)}
    TopologicalSorter(packages).prepare()
