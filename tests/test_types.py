"""All that is public has types: mypy checks them, and this test asks for them."""

import ast

import pytest
from support import ROOT

SHORT = {"train_step"}
"""The notebook shows its source, which has no room for types: `loss_of`, which it calls, has the same."""

MODULES = sorted((ROOT / "helpers").rglob("*.py"))


def public_functions(body, prefix=""):
    for node in body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, f"{prefix}{node.name}.")


def untyped(name, function):
    """The arguments of a function that have no type, and its result."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    for argument in filter(None, named):
        if argument.annotation is None and argument.arg not in ("self", "cls"):
            yield f"{name}({argument.arg})"
    if function.returns is None:
        yield f"{name} → ?"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_functions_have_types(path):
    functions = public_functions(ast.parse(path.read_text(encoding="utf-8")).body)
    assert not [missing for name, function in functions if name not in SHORT for missing in untyped(name, function)]
