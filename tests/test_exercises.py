"""The exercises: every solution is right, typical mistakes are told with their reason, and nothing raises."""

import re
from pathlib import Path

import albumentations as A
import nbformat
import numpy as np
import pytest
import torch
from support import ROOT

from helpers.config import load_config
from helpers.exercises import CHECKS, check
from helpers.u2net import LITE

SOLUTIONS = (ROOT / "exercises" / "solutions.py").read_text(encoding="utf-8")
NAMES = {1: "my_config", 2: "person_share", 3: "half_size", 4: "turned", 5: "my_table", 6: "everywhere",
         7: "warm_up_and_decay", 8: "my_loss", 9: "best_epoch", 10: "iou", 11: "my_photo"}  # fmt: skip
"""The name that each exercise asks for."""


def solution(number):
    """The code of one solution, as it stands in the file."""
    return re.search(rf"# %% {number}\n(.*?)(?=\n+# %%|\Z)", SOLUTIONS, re.DOTALL)[1].strip()


def answered(number, answer, capsys):
    check(number, answer)
    return capsys.readouterr().out


@pytest.mark.parametrize("number", CHECKS)
def test_every_solution_is_right(number, capsys):
    namespace = {}
    exec(solution(number), namespace)
    assert answered(number, namespace[NAMES[number]], capsys).startswith(f"Exercise {number}: right. ")


@pytest.mark.parametrize("transform", [
    A.Rotate(limit=15), A.Rotate(limit=15, p=1), A.Rotate(limit=5), A.SafeRotate(limit=15), A.Affine(rotate=(-15, 15)),
])  # fmt: skip
def test_other_ways_to_turn_are_right_too(transform, capsys):
    assert answered(4, lambda: [transform], capsys).startswith("Exercise 4: right. ")


def mean_factor(steps):
    return [1.0] * steps


WRONG = [
    (1, "smoke", "load_config"),
    (1, load_config("quick", image_size=96, epochs=1), "'quick'"),
    (1, load_config("smoke", image_size=64, epochs=1), "64 pixels"),
    (1, load_config("smoke", image_size=96, epochs=2), "2 epochs"),
    (1, load_config("smoke", image_size=96, epochs=1, network="u2net"), "network is 'u2net'.*'u2net_lite'"),
    (1, load_config("smoke", image_size=96, epochs=1, batch_size=40), "batch_size is 40.*: 4"),
    (2, lambda classes: classes.mean(), "mean class number"),
    (2, lambda classes: (classes == 1).mean(), "class 1 alone"),
    (2, lambda classes: (classes == 0).mean(), "background"),
    (2, 0.4375, "A function"),
    (3, lambda hard: hard[::2, ::2], "0 or 1"),
    (3, lambda hard: hard, "2 × 2"),
    (3, lambda hard: np.full((2, 2), hard.mean()), "means of the 2 × 2 blocks"),
    (4, lambda: [], "list of albumentations"),
    (4, lambda: [A.GaussianBlur(p=1)], "nothing turns"),
    (4, lambda: [A.HorizontalFlip()], "nothing turns"),
    (4, lambda: [A.VerticalFlip()], "180°"),
    (4, lambda: [A.Rotate(limit=180, p=1)], r"turns by 1\d\d°"),
    (4, lambda: [A.Rotate(limit=20)], "turns by (17|18|19|20)°"),
    (4, lambda: [A.Rotate(limit=(5, 15))], "same direction"),
    (4, lambda: [A.Resize(64, 64)], "size"),
    (4, lambda: [A.Lambda(image=lambda image, **_: image[:, ::-1].copy())], "mask does not"),
    (5, LITE, "not fewer than 900,000"),
    (5, 3, "raised TypeError"),
    (6, lambda: torch.zeros(1, 1, 32, 32), "0%"),
    (6, lambda: torch.zeros(32, 32), r"\(32, 32\)"),
    (6, lambda: 2 * torch.rand(1, 1, 32, 32), "between 0 and 1"),
    (7, mean_factor, "first tenth"),
    (7, lambda steps: [0.5] * steps, "not 1"),
    (7, lambda steps: mean_factor(steps - 1), "not 99"),
    (7, lambda steps: [min((step + 1) / 10, 1 - (step - 9) / 180) for step in range(steps)], "close to 0"),
    (8, lambda outputs, alpha: (outputs[0] - alpha).abs().mean(), "dict"),
    (8, lambda outputs, alpha: {"total": (outputs[0] - alpha).abs().mean()}, "no gradient. All seven"),
    (8, lambda outputs, alpha: {"total": sum((o - alpha).abs().mean().item() for o in outputs)}, "no gradient: do not"),
    (8, lambda outputs, alpha: {"total": -sum((o - alpha).abs().mean() for o in outputs)}, "perfect answer"),
    (8, lambda outputs, alpha: {"total": sum((o - alpha).abs() for o in outputs)}, "one number"),
    (9, lambda history: history["train"].index(min(history["train"])) + 1, "training loss"),
    (9, lambda history: min(range(4), key=lambda i: history["val"][i][1]), "counted from 1"),
    (9, lambda history: 1, "not 1"),
    (10, lambda pred, true: ((pred >= 0.5) == (true >= 0.5)).mean(), "equal pixels"),
    (10, lambda pred, true: ((pred >= 0.5) & (true >= 0.5)).sum() / ((pred >= 0.5) | (true >= 0.5)).sum(), "empty"),
    (11, "no such photo.jpg", "no such photo.jpg"),
]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore::UserWarning")
@pytest.mark.parametrize("number, answer, reason", WRONG, ids=[f"{row[0]}-{row[2][:20]}" for row in WRONG])
def test_a_wrong_answer_is_told_with_its_reason(number, answer, reason, capsys):
    said = answered(number, answer, capsys)
    assert said.startswith(f"Exercise {number}: not right. ")
    assert re.search(reason, said)


@pytest.mark.parametrize("number", CHECKS)
def test_what_is_not_solved_yet_is_no_mistake(number, capsys):
    said = f"Exercise {number}: not solved yet.\n"
    assert answered(number, None, capsys) == said
    if number not in (1, 5, 11):
        assert answered(number, lambda *_: None, capsys) == said


@pytest.mark.parametrize("number", CHECKS)
def test_whatever_a_students_code_raises_is_an_answer(number, capsys):
    def broken(*_):
        raise ZeroDivisionError("division by zero")

    assert answered(number, broken, capsys).startswith(f"Exercise {number}: not right. ")


def test_the_notebook_shows_these_solutions_hidden_and_asks_for_each_name():
    cells = nbformat.read(ROOT / "Data_Mining_project.ipynb", as_version=4).cells
    shown = {}
    for cell in cells:
        if found := re.search(r"\*\*Exercise (\d+)\.\*\*", cell.source):
            shown[int(found[1])] = re.search(r"<details>.*```python\n(.*?)\n```\n\n</details>", cell.source, re.DOTALL)[
                1
            ]
    assert shown == {number: solution(number) for number in CHECKS}
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    for number, name in NAMES.items():
        assert f"check({number}, {name})" in code


def test_the_teachers_page_has_every_exercise():
    page = (Path(ROOT) / "docs" / "teaching.md").read_text(encoding="utf-8")
    for number, name in NAMES.items():
        assert re.search(rf"\| {number} \|.*`{name}`", page)
