import pytest

from helpers.experiments.claims import CLAIMS
from helpers.experiments.verdicts import REPORT, full_report, rows_of, stored_rows


def test_the_protocols_results_are_shown_where_there_are_some():
    old, new = {"preset": "experiment"}, {"preset": "protocol"}
    assert rows_of([old, new, old]) == [new]
    assert rows_of([old, {"preset": "smoke"}]) == [old]
    with pytest.raises(ValueError, match="no results of protocol or experiment; measure them"):
        rows_of([{"preset": "smoke"}])


def test_the_committed_page_is_generated_from_the_committed_results():
    again = "python -m helpers.experiments.verdicts docs/claims.md"
    text = REPORT.read_text(encoding="utf-8")
    assert text == full_report(stored_rows()), f"run {again}"
    for number, claim in CLAIMS.items():
        assert f"### {number}. {claim.question}" in text
    assert "made portraits" not in text
