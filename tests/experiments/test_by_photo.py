"""Two weight files compared photo by photo."""

import numpy as np
import pytest
from support import without_truths

from helpers.cutout import load_matter
from helpers.datasets.pairs import read_pair
from helpers.experiments import by_photo
from helpers.experiments.answers import answers
from helpers.experiments.by_photo import compare, main, rows_by_photo, store
from helpers.experiments.validation import held_out


def row(number, exact, int8):
    return {"set": "selfies", "photo": f"{number}.jpg", "exact": exact, "int8": int8, "commit": "abc"}


def answer(path):
    return next(found for found in answers(rows_by_photo(path)) if found.question.name == "int8")


def test_every_held_out_photo_is_measured_by_both_files(portrait_folder, random_weights):
    rows = compare(random_weights, random_weights, [portrait_folder])
    pairs = held_out(portrait_folder)
    assert [found["photo"] for found in rows] == [pair.image.name for pair in pairs]
    photo, true = read_pair(pairs[0])
    expected = np.abs(load_matter(random_weights, "cpu").alpha(photo) - true / 255).mean()
    assert rows[0]["exact"] == rows[0]["int8"] == pytest.approx(expected, abs=1e-6)


def test_the_answer_is_paired_by_photo(tmp_path):
    path = tmp_path / "int8.csv"
    # int8 is worse by .0001 or .0003, turn by turn: mean .0002, far within .001, and significant
    store(
        [
            row(number, 0.01 * (number % 7), 0.01 * (number % 7) + 0.0001 + 0.0002 * (number % 2))
            for number in range(40)
        ],
        path,
    )
    found = answer(path)
    assert found.seeds == 40
    assert found.gain.mean == pytest.approx(-0.0002)
    assert found.verdict == "worse by 0.0002 [0.0002, 0.0002], less than 0.0010"
    store([row(number, 0.02, 0.02 + 0.0001 * (-1) ** number) for number in range(40)], path)
    assert answer(path).verdict == "no difference larger than 0.0010"


def test_without_a_file_nothing_is_measured(tmp_path):
    assert answer(tmp_path / "missing.csv").verdict == "not measured"


def test_the_command_stores_what_it_measured(portrait_folder, random_weights, tmp_path, capsys):
    out = tmp_path / "int8.csv"
    assert main([str(random_weights), str(random_weights), "--real", str(portrait_folder), "--out", str(out)]) == 0
    assert f"{len(held_out(portrait_folder))} photos: MAD" in capsys.readouterr().out
    assert len(rows_by_photo(out)) == 2 * len(held_out(portrait_folder))
    assert main(["nowhere.onnx", str(random_weights), "--real", str(portrait_folder), "--out", str(out)]) == 1
    assert "error: nowhere.onnx: no such file" in capsys.readouterr().err


def test_what_is_stored_stays_where_nothing_is_compared(portrait_folder, random_weights, tmp_path, capsys, monkeypatch):
    out = tmp_path / "int8.csv"
    out.write_text("stored")
    folder = without_truths(portrait_folder, tmp_path, "val", "test")
    command = [str(random_weights), str(random_weights), "--real", str(folder), "--out", str(out)]
    assert main(command) == 1
    assert "no photo with a ground truth is kept out of training" in capsys.readouterr().err

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(by_photo, "compare", stopped)
    assert main(command) == 130
    assert "interrupted; nothing is stored" in capsys.readouterr().err
    assert out.read_text() == "stored"


def test_a_place_that_cannot_be_written_is_told(monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setattr(by_photo, "compare", lambda *_: [])
    assert main(["a", "b", "--real", ".", "--out", str(tmp_path / "file" / "int8.csv")]) == 1
    assert "error: " in capsys.readouterr().err
