"""Paths in arguments: an empty one is refused by every command that takes one."""

import argparse
import ast
import re
from pathlib import Path

import pytest
from support import ROOT

from helpers.files.arguments import not_empty, path


@pytest.mark.parametrize("kind, value", [(not_empty, "a/b"), (path, Path("a/b"))])
def test_a_path_is_taken_and_an_empty_one_refused(kind, value):
    assert kind("a/b") == value
    with pytest.raises(argparse.ArgumentTypeError, match="the path is empty; name a file or folder"):
        kind("")


def test_no_command_takes_a_path_in_another_way():
    """`Path("")` is the current folder, and `if options.weights` takes an empty text for none."""
    plain = []
    for file in (ROOT / "helpers").rglob("*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_argument":
                kinds = [word.value.id for word in call.keywords if word.arg == "type"]
                names = any(
                    word.arg == "metavar" and re.search("FILE|DIR|PATH", ast.unparse(word.value))
                    for word in call.keywords
                )
                if kinds == ["Path"] or names and not kinds:
                    plain.append(ast.unparse(call.args[0]))
    assert plain == []
