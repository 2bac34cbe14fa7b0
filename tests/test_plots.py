from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from helpers import plots  # noqa: E402
from helpers.datasets.pairs import Pair  # noqa: E402
from helpers.experiments.statistics import Paired  # noqa: E402


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


PHOTO = np.full((20, 30, 3), 100, np.uint8)
ALPHA = np.linspace(0, 1, 600).reshape(20, 30)


def test_a_grid_draws_alphas_between_0_and_1_without_stretching():
    figure = plots.grid([[PHOTO, ALPHA * 0.5], [None, ALPHA]], ("photo", "alpha"))
    axes = figure.axes
    assert len(axes) == 4
    assert axes[1].images[0].get_clim() == (0, 1)
    assert [axis.get_title() for axis in axes[:2]] == ["photo", "alpha"]
    assert not axes[2].images


def test_the_overlay_tints_the_person_only():
    tinted = plots.overlay(PHOTO, np.array([[0.0, 1.0]]).repeat(20, 0).repeat(15, 1), colour=(1, 0, 0))
    assert np.allclose(tinted[0, 0], 100 / 255)
    assert np.allclose(tinted[0, -1], [100 / 255 / 2 + 0.5, 100 / 255 / 2, 100 / 255 / 2])


def test_the_contact_sheet_keeps_whole_rows():
    figure = plots.contact_sheet([PHOTO] * 7, columns=3)
    assert figure.axes[0].images[0].get_array().shape == (40, 90, 3)


def test_loss_curves_average_each_stretch_of_iterations():
    figure = plots.loss_curves({"train": [4.0, 2.0, 1.0, 3.0, 5.0], "val": [[5, 2.5]]}, every=2)
    raw, mean = (axis.lines[0] for axis in figure.axes)
    assert raw.get_ydata().tolist() == [4, 2, 1, 3, 5]
    assert mean.get_ydata().tolist() == [3, 2, 5]
    assert mean.get_xdata().tolist() == [1.5, 3.5, 5]
    assert figure.axes[1].lines[1].get_xydata().tolist() == [[5, 2.5]]


def test_categories_are_counted_by_split():
    def pairs(count, category):
        return [Pair("photo", "truth", category=category)] * count

    splits = {"train": pairs(3, "p3m") + pairs(1100, ""), "val": pairs(2, "p3m"), "test": pairs(1, "cod10k")}
    axis = plots.counts(splits).axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["cod10k", "p3m", "no category"]
    assert [[bar.get_width() for bar in bars] for bars in axis.containers] == [[0, 3, 1100], [0, 2, 0], [1, 0, 0]]
    assert [bar.get_x() for bar in axis.containers[1]] == [0, 3, 1100]
    assert [text.get_text().strip() for text in axis.texts] == ["1", "5", "1,100"]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["train", "val", "test"]


def test_the_annihilation_phase_is_marked_where_rates_fall_below_the_first():
    figure = plots.learning_rates({"one-cycle": [2, 5, 3, 1, 0.5], "constant": [5] * 5})
    span = figure.axes[0].patches[0]
    assert span.get_x() == 3
    assert span.get_width() == 1


def test_the_finest_window_is_where_the_hair_is():
    alpha = np.zeros((50, 60))
    alpha[:, :30] = 1
    alpha[20:30, 40:50:2] = 0.8
    y, x = plots.finest_window(alpha, 14)
    assert y <= 20 and y + 14 >= 30
    assert x <= 40 and x + 14 >= 49
    assert plots.finest_window(alpha, 50)[0] == 0


def test_thumbnails_only_shrink():
    assert plots.thumbnail(PHOTO, 15).shape == (10, 15, 3)
    assert plots.thumbnail(PHOTO, 100).shape == PHOTO.shape


def test_samples_range_test_histogram_legend_and_sky_are_drawn():
    ids = np.full((20, 30), 8, np.uint8)
    assert len(plots.samples([(PHOTO, ids, ALPHA)]).axes) == 4
    assert plots.range_test_curve([1e-4, 1e-3], [2.0, 1.0], 1e-3).axes[0].get_xscale() == "log"
    assert [axis.get_title() for axis in plots.alpha_histogram({"a": ALPHA, "b": ALPHA}).axes] == ["a", "b"]
    assert len(plots.class_legend().axes[0].texts) == 9
    assert plots.lines({"a": ([0, 1], [2, 3])}, "title", "x", "y").axes[0].lines[0].get_ydata().tolist() == [2, 3]
    assert plots.sunset(10, 20).size == (20, 10)


def test_answers_are_drawn_in_units_of_what_matters():
    question = SimpleNamespace(name="2", text="Does it?")
    gain, unknown = Paired(0.02, 0.01, 0.03, 0.001), Paired(float("nan"), float("nan"), float("nan"), 1.0)
    found = [SimpleNamespace(question=question, gain=gain, least=0.01, verdict="better by 0.0200 [0.0100, 0.0300]"),
             SimpleNamespace(question=question, gain=unknown, least=0.01, verdict="not measured")]  # fmt: skip
    [axis] = plots.answers(found).axes
    assert [text.get_text() for text in axis.get_yticklabels()] == ["2  Does it?"] * 2
    assert [text.get_text() for text in axis.texts] == ["not measured"]
    [point] = axis.containers
    assert point.lines[0].get_xydata().tolist() == [[2, 0]] and point.lines[0].get_color() == "#2a9d4a"
    assert point.lines[2][0].get_segments()[0].flatten().tolist() == pytest.approx([1, 0, 3, 0])


def test_the_error_map_is_white_where_right_red_where_missing_blue_where_too_much():
    colours = plots.error_map(np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 0.0]]))
    assert colours.tolist() == [[[1, 1, 1], [1, 0, 0], [0, 0, 1]]]


def test_the_threshold_is_compared_with_the_continuous_matte():
    figure = plots.loss_and_threshold(PHOTO, ALPHA, ALPHA, lam=4.0, width=3, threshold=0.5)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[1] == "weight 1 or 5" and titles[3] == "threshold 0.5"
    assert titles[4] == "error: 0.250, soft 0.000"  # of values evenly spread over 0 to 1


def test_few_pictures_and_few_steps_are_drawn():
    assert plots.contact_sheet([PHOTO] * 3, columns=12).axes[0].images[0].get_array().shape == (20, 90, 3)
    assert not plots.learning_rates({"one-cycle": [1e-3], "constant": [1e-3]}).axes[0].patches


def test_the_loss_before_training_is_the_first_point_of_the_validation():
    figure = plots.loss_curves({"train": [4.0, 2.0], "val": [[2, 2.5]]}, every=2, start=5.0)
    assert figure.axes[0].lines[1].get_xydata().tolist() == [[0, 5], [2, 2.5]]
