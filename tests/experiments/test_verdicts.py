import pytest

from helpers.experiments.claims import CLAIMS
from helpers.experiments.verdicts import REPORT, full_report, rows_of, stored_rows


def three(preset, variant="report"):
    return [{"preset": preset, "variant": variant, "seed": seed} for seed in range(3)]


def test_the_protocols_results_are_shown_where_there_are_enough():
    old, new, other = three("experiment"), three("protocol"), {"preset": "protocol", "variant": "l1", "seed": 3}
    assert rows_of([*old, *new, other, *old]) == [*new, other]
    assert rows_of([*old, *new[:2], other, *three("smoke")]) == old
    with pytest.raises(ValueError, match="no results of protocol or experiment with 3 seeds; measure them"):
        rows_of([*new[:2], other, *three("smoke")])


def test_what_trains_nothing_is_shown_by_the_protocol_even_where_the_trainings_are_not():
    old, new = (three(preset, "continuous") + three(preset, "thresholded") for preset in ("experiment", "protocol"))
    trained = three("experiment")
    assert rows_of([*trained, *old, *new]) == [*trained, *new]
    assert rows_of([*old, *trained, *new[:2]]) == [*trained, *old]
    assert rows_of([*trained, *new[:2]]) == trained


def test_the_committed_page_is_generated_from_the_committed_results():
    again = "python -m helpers.experiments.verdicts docs/claims.md"
    text = REPORT.read_text(encoding="utf-8")
    assert text == full_report(stored_rows()), f"run {again}"
    for number, claim in CLAIMS.items():
        assert f"### {number}. {claim.question}" in text
    for section in text.split("\n### ")[1:]:
        assert section.split("\n\n")[1].startswith(("```\nclaim", "Not measured yet."))
    assert "made portraits" not in text
