from helpers.experiments.claims import CLAIMS, FIELDS, read_results
from helpers.experiments.verdicts import REPORT, differences, full_report, rows_of, sentences, verdict_table


def rows(**values):
    """Rows of three seeds by `variant=(mad, mad, mad)`, for one set and the band."""
    blank = {name: kind() for name, kind in FIELDS.items()}
    return [
        {**blank, "variant": name, "seed": seed, "set": "real", "region": "band", "mad": mad, "mse": mad, "steps": 10,
         "image_size": 64, "preset": "experiment"}
        for name, mads in values.items() for seed, mad in enumerate(mads)
    ]  # fmt: skip


ROWS = rows(report=(0.10, 0.11, 0.12), l1=(0.05, 0.06, 0.07), cross_entropy=(0.2, 0.1, 0.12))


def test_the_table_says_better_worse_or_nothing_by_the_numbers():
    lines = verdict_table(ROWS, ["mad"]).splitlines()
    assert "| 1 | `l1` | `report` | better |" in lines
    assert "| 1 | `cross_entropy` | `report` | – |" in lines
    assert "| 2 | `edge_4` | `report` | not measured |" in lines
    worse = verdict_table(rows(report=(0.1, 0.11, 0.12), l1=(0.2, 0.21, 0.22)), ["mad"])
    assert "| 1 | `l1` | `report` | worse |" in worse


def test_the_sentences_say_what_the_table_says():
    first = sentences(ROWS)[0]
    assert first.endswith("better than `report`: `l1` (real portraits); no difference shown: `cross_entropy`.")
    assert sentences(ROWS)[5].endswith(": not measured.")


def test_portraits_that_were_drawn_are_called_synthetic():
    drawn = [row | {"set": "made"} for row in ROWS]
    assert "| synthetic, MAD |" in verdict_table(drawn, ["mad"])
    assert "`l1` (synthetic portraits)" in sentences(drawn)[0]
    assert list(differences(drawn)) == ["synthetic"]
    assert "(synthetic portraits, transition band)" in full_report(drawn) and "made" not in full_report(drawn)


def test_differences_are_parts_of_the_baseline():
    [found] = [row for row in differences(ROWS)["real"] if row[1] == "l1"]
    assert found[:2] == (1, "l1") and abs(found[2] + 0.05 / 0.11) < 1e-9 and found[4] == "better"


def test_the_committed_page_is_generated_from_the_committed_results():
    again = "python -m helpers.experiments.verdicts docs/claims.md"
    assert REPORT.read_text(encoding="utf-8") == full_report(rows_of(read_results())), f"run {again}"
    for number, claim in CLAIMS.items():
        assert f"### {number}. {claim.question}" in REPORT.read_text(encoding="utf-8")
