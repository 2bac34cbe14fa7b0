"""The validation table: its errors by hand, its rows, and the places with nobody."""

import numpy as np
import pytest
from PIL import Image
from support import without_truths

from helpers.datasets.splits import VALIDATED, rank_of
from helpers.experiments import validation
from helpers.experiments.validation import empty_means, empty_places, held_out, main, row_of, strong_crops
from helpers.metrics.errors import alpha_errors


class Left:
    """A matter that finds somebody in the left half of every photo."""

    def alpha(self, photo):
        alpha = np.zeros(photo.shape[:2], np.float32)
        alpha[:, : photo.shape[1] // 2] = 1
        return alpha


def half(rows):
    """A truth (40, 40) in the left half, of so many rows."""
    alpha = np.zeros((40, 40), np.uint8)
    alpha[:rows, :20] = 255
    return alpha


def test_errors_are_those_of_the_definitions():
    true = half(40) / 255
    assert alpha_errors(true, true) == (1, 0, 0)
    iou, mad, band = alpha_errors(np.zeros((40, 40)), true)
    assert (iou, mad) == (0, 0.5)
    assert band == pytest.approx(0.5)  # seven columns on each side of the edge
    iou, mad, band = alpha_errors(np.zeros((40, 40)), np.zeros((40, 40)))
    assert (iou, mad) == (1, 0) and np.isnan(band)


def test_a_row_has_the_means_and_the_worst_tenth():
    photo = np.zeros((40, 40, 3), np.uint8)
    row = row_of("half", Left(), [(photo, half(40))] * 19 + [(photo, half(20))])
    assert (row.name, row.count) == ("half", 20)
    assert row.iou == pytest.approx((19 + 0.5) / 20)
    assert row.worst == pytest.approx(0.75)  # of two
    assert row.mad == pytest.approx(0.25 / 20)


def test_strong_crops_are_the_same_every_time(portrait_folder, monkeypatch):
    monkeypatch.setattr(validation, "STRONG_SIZE", 48)
    pairs = held_out(portrait_folder)
    assert {pair.image.parent.name for pair in pairs} == {"test"}
    first, second = (list(strong_crops(pairs)) for _ in range(2))
    assert len(first) == 2 * len(pairs)
    assert all(np.array_equal(a, b) for one, other in zip(first, second) for a, b in zip(one, other))
    assert not np.array_equal(first[0][0], first[1][0])


def test_places_are_those_that_training_keeps_back(tmp_path):
    for number in range(40):
        Image.new("RGB", (10 + number, 8)).save(tmp_path / f"{number}.png")
    kept = [number for number in range(40) if rank_of(str(number)) < VALIDATED]
    assert len(empty_means(Left(), empty_places(tmp_path))) == len(kept) > 0
    assert empty_means(Left(), empty_places(tmp_path)) == pytest.approx(0.5, abs=0.03)


def test_the_table_has_a_line_for_each_set(portrait_folder, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(validation, "load_matter", lambda *_: Left())
    monkeypatch.setattr(validation, "STRONG_SIZE", 48)
    for number in range(40):
        Image.new("RGB", (20, 8)).save(tmp_path / f"{number}.png")
    sets = ["--data", f"made={portrait_folder}", "--strong", f"made={portrait_folder}", "--empty", str(tmp_path)]
    assert main(["weights.pth", *sets]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| made", "| made, strong crops"]
    assert "mean alpha 0.5000, more than 1 % foreground in 100.0%" in lines[-1]


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(SystemExit):
        main(["weights.pth", "--data", f"made={tmp_path / 'nowhere'}"])
    assert main([str(tmp_path / "nowhere.pth"), "--empty", str(tmp_path)]) == 2


def test_validation_photos_count_where_the_test_split_has_no_ground_truths(portrait_folder, tmp_path):
    folder = without_truths(portrait_folder, tmp_path, "test")
    assert {pair.image.parent.name for pair in held_out(folder)} == {"val"}


def test_where_nothing_is_kept_back_it_is_told(portrait_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(validation, "load_matter", lambda *_: Left())
    folder = without_truths(portrait_folder, tmp_path, "val", "test")
    assert main(["weights.pth", "--data", f"made={folder}"]) == 2
    assert f"error: {folder}: no photo with a ground truth is kept out of training" in capsys.readouterr().err
    (tmp_path / "places").mkdir()
    Image.new("RGB", (20, 8)).save(
        tmp_path / "places" / next(f"{n}.png" for n in range(99) if rank_of(str(n)) >= VALIDATED)
    )
    assert main(["weights.pth", "--data", f"made={portrait_folder}", "--empty", str(tmp_path / "places")]) == 2
    with pytest.raises(FileNotFoundError, match="of the 1 places none is kept out of training"):
        empty_places(tmp_path / "places")


def test_without_anything_to_validate_on_it_says_so_and_places_alone_need_no_table(monkeypatch, capsys, tmp_path):
    with pytest.raises(SystemExit):
        main(["weights.pth"])
    assert "nothing to validate on" in capsys.readouterr().err
    monkeypatch.setattr("helpers.experiments.validation.load_matter", lambda *_: Left())
    place = next(f"{n}.png" for n in range(1000) if rank_of(str(n)) < VALIDATED)
    Image.new("RGB", (40, 30)).save(tmp_path / place)
    assert main(["weights.pth", "--empty", str(tmp_path)]) == 0
    assert capsys.readouterr().out == ("1 places with nobody: mean alpha 0.5000, more than 1 % foreground in 100.0%\n")
