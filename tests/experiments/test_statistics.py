import math

import numpy as np
import pytest

from helpers.experiments.statistics import holm, paired


def test_the_interval_and_p_by_hand():
    # mean 2, deviation 1, standard error 1/√3; t for three values and 95 % is 4.3027
    found = paired([1.0, 2.0, 3.0])
    assert found[:3] == pytest.approx((2, 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), abs=1e-4)
    # t = 2√3 = 3.4641 with two degrees of freedom: p = 1 − t/√(t² + 2) = 1 − √(12/14)
    assert found.p == pytest.approx(1 - (12 / 14) ** 0.5)
    assert paired([-1.0, -2.0, -3.0]).p == pytest.approx(found.p)


def test_where_there_is_too_little_nothing_is_claimed():
    assert math.isnan(paired([]).mean) and paired([]).p == 1
    assert paired([0.5])[0] == 0.5 and math.isnan(paired([0.5]).low) and paired([0.5]).p == 1
    assert paired([0.0, 0.0]) == (0, 0, 0, 1)
    assert paired([1.0, 1.0]) == (1, 1, 1, 0)


def test_holm_by_hand():
    # sorted .01, .02, .03, .04 × 4, 3, 2, 1 = .04, .06, .06 (not less than before), .06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1, 1]
    assert holm([]) == []


def test_without_any_effect_one_family_in_twenty_errs():
    """2,000 families of nine comparisons of six seeds without an effect: about 5 % have an error, not 37 %."""
    draws = np.random.default_rng(0).normal(size=(2000, 9, 6))
    errors = [min(holm([paired(list(seeds)).p for seeds in family])) < 0.05 for family in draws]
    assert 0.03 < np.mean(errors) < 0.07
