import numpy as np
import pytest

from helpers.metrics.published import EASYPORTRAIT, mean_iou, miou_table, overlap

TRUE = np.array([[0.0, 0.0, 1.0, 1.0]])


def test_background_and_person_are_counted_alike():
    # background: 1 shared of 2; person: 2 shared of 3
    assert overlap(np.array([[0.1, 0.5, 0.5, 1.0]]), TRUE).tolist() == [[1, 2], [2, 3]]


def test_only_the_region_counts():
    assert overlap(1 - TRUE, TRUE, np.array([[True, False, False, False]])).tolist() == [[0, 1], [0, 1]]


def test_the_pixels_of_all_portraits_are_counted_together():
    wrong, right = overlap(1 - TRUE, TRUE), overlap(np.tile(TRUE, (3, 1)), np.tile(TRUE, (3, 1)))
    # each class: 0 of 4 pixels in the first portrait, 6 of 6 in the second
    assert mean_iou([wrong, right]) == pytest.approx(6 / 10)
    assert mean_iou([right]) == 1.0
    assert np.isnan(mean_iou([]))


def test_a_class_that_no_pixel_has_counts_as_found():
    nobody = np.zeros((2, 2))
    assert mean_iou([overlap(nobody, nobody)]) == 1.0


def test_the_table_names_what_each_figure_was_measured_on():
    lines = miou_table({"trained here": 0.985}, "test split of DATA").splitlines()
    figures = [float(line.split(" | ")[1]) for line in lines[2:]]
    assert figures == sorted([0.985, *EASYPORTRAIT.values()], reverse=True)
    assert "| trained here | 0.9850 | test split of DATA |" in lines
    assert "| SegFormer-B0, 384² (published) | 0.9861 | test split of EasyPortrait |" in lines
