import pytest

from helpers.experiments.answers import QUESTIONS, answer_table, answers, pace, scale
from helpers.experiments.by_photo import COMPARED as PHOTO_BY_PHOTO
from helpers.experiments.claims import CLAIMS, FIELDS, VARIANTS


def rows(metric, portraits, region, steps=730, **values):
    """Rows by `variant=(value of seed 0, value of seed 1, …)`."""
    blank = {name: kind() for name, kind in FIELDS.items()} | {"steps": steps, "image_size": 160, "preset": "protocol"}
    return [
        blank | {"variant": name, "seed": seed, "set": portraits, "region": region, metric: value}
        for name, of_seeds in values.items()
        for seed, value in enumerate(of_seeds)
    ]


def answer(name, given):
    return next(found for found in answers(given) if found.question.name == name)


SIX = (0.90, 0.91, 0.92, 0.91, 0.90, 0.92)


def shifted(by, wobble=0.0001):
    return tuple(value + by + wobble * (-1) ** seed for seed, value in enumerate(SIX))


def test_a_clear_gain_is_better_by_its_interval():
    found = answer("1a", rows("iou", "real", "whole", report=shifted(0.02), cross_entropy=SIX))
    # differences .0201, .0199, …: mean .02, deviation .0001095, error .0000447, t 2.5706: ± .000115
    assert found.gain[:3] == pytest.approx((0.02, 0.019885, 0.020115), abs=1e-6)
    assert found.verdict == "better by 0.0200 [0.0199, 0.0201]" and found.seeds == 6


def test_less_error_is_a_gain_and_more_is_a_loss():
    assert answer("3", rows("mad", "real", "whole", report=SIX, constant=shifted(0.02))).verdict.startswith("better by")
    worse = answer("3", rows("mad", "real", "whole", report=shifted(0.02), constant=SIX))
    assert worse.verdict == "worse by 0.0200 [0.0199, 0.0201]" and worse.gain.mean == pytest.approx(-0.02)


def test_a_narrow_interval_around_nothing_is_no_difference():
    found = answer("1b", rows("iou", "real", "whole", report=shifted(0.0, 0.001), l1=SIX))
    assert found.verdict == "no difference larger than 0.0030"


def test_a_wide_interval_decides_nothing():
    given = rows("iou", "real", "whole", report=shifted(0.004, 0.01), l1=SIX)
    assert answer("1b", given).verdict == "not decided"
    few = [row for row in given if row["seed"] < 2]
    assert answer("1b", few).verdict == "not decided (2 of 6 seeds)"
    assert answer("1b", []).verdict == "not measured"


def test_fewer_seeds_than_the_protocol_asks_for_decide_nothing():
    given = rows("iou", "real", "whole", report=shifted(0.02), cross_entropy=SIX)
    few = [row for row in given if row["seed"] < 5]
    assert answer("1a", few).p < 0.05
    assert answer("1a", few).verdict == "not decided (5 of 6 seeds)"


def test_what_is_significant_alone_may_not_be_among_all_questions():
    # differences 1, 2, 3, …: p = .011 alone, × 11 comparisons = .12
    values = tuple(0.9 + gain for gain in (0.01, 0.05, 0.02, 0.00, 0.03, 0.01))
    found = answer("1a", rows("iou", "real", "whole", report=values, cross_entropy=(0.9,) * 6))
    assert found.gain.p < 0.05 <= found.p == pytest.approx(found.gain.p * len(QUESTIONS))
    assert found.verdict == "not decided"


def test_the_least_difference_may_be_a_share():
    found = answer("6", rows("grad", "made", "band", continuous=(1.0, 1.0), thresholded=(2.0, 4.0)))
    assert found.least == pytest.approx(0.05 * 3) and found.gain.mean == pytest.approx(2)


def test_every_question_asks_for_what_is_measured():
    assert len({question.name for question in QUESTIONS}) == len(QUESTIONS)
    for question in QUESTIONS:
        assert {question.variant, question.against} <= {*VARIANTS, *PHOTO_BY_PHOTO}
        compared = [*(claim.variants for claim in CLAIMS.values()), PHOTO_BY_PHOTO]
        assert any({question.variant, question.against} <= set(variants) for variants in compared)


def test_the_table_has_a_line_for_each_question():
    lines = answer_table(rows("iou", "real", "whole", report=shifted(0.02), cross_entropy=SIX)).splitlines()
    assert len(lines) == 2 + len(QUESTIONS)
    assert lines[2].startswith("| 1a | Is RMSE better than cross-entropy? | IOU, whole image, real | 6 | +0.0200 [")
    assert lines[2].endswith("| < 0.001 | better by 0.0200 [0.0199, 0.0201] |")  # a p value is never 0
    assert lines[3].endswith("| 0 | – | 1.000 | not measured |")


def test_the_pace_of_a_claims_variants_is_told():
    def rows(variant, seed, seconds):
        return [
            {"variant": variant, "seed": seed, "seconds": seconds, "steps": 10, "region": region} for region in "ab"
        ]

    stored = [*rows("report", 0, 10.0), *rows("report", 1, 20.0), *rows("random_start", 0, 5.0), *rows("l1", 0, 1.0)]
    assert pace(stored, 5) == "seconds a step, perhaps beside other work: random_start 0.50, report 1.50"
    assert pace(stored[4:], 5) == ""  # nothing to compare it with
    assert pace([row | {"steps": 0} for row in stored], 5) == ""


def test_small_trainings_are_called_a_demonstration():
    large = "Trained for at most 730 steps, on 160² pixels, with 6 seeds."
    assert scale(rows("iou", "real", "whole", report=SIX)) == large
    assert "a demonstration, not a measurement" in scale(rows("iou", "real", "whole", report=SIX, steps=115))
    assert "a demonstration" in scale(rows("iou", "real", "whole", report=SIX[:3]))
    assert (
        scale([*rows("iou", "real", "whole", report=SIX), *rows("grad", "made", "band", steps=0, continuous=(1.0,))])
        == large
    )
