"""The verdicts on the report's claims in words and in tables: python -m helpers.experiments.verdicts FILE

Everything is generated from the stored results, so that no sentence can say what the numbers do not.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.experiments.claims import CLAIMS, LEGEND, claim_table, compare, read_results, values_of
from helpers.files.atomic import whole_file

REPORT = Path(__file__).parents[2] / "docs" / "claims.md"
METRICS = ("mad", "mse")
REGIONS = {"band": "transition band", "whole": "whole image"}

LABELS = {"made": "synthetic"}
"""What a set of portraits is called here, where the stored results use another word."""


def sets_in(rows: Sequence[dict]) -> list[str]:
    """The sets of portraits that were measured, in the order of the results."""
    return list(dict.fromkeys(row["set"] for row in rows))


def _label(portraits: str) -> str:
    return LABELS.get(portraits, portraits)


def rows_of(rows: Sequence[dict], preset: str = "experiment") -> list[dict]:
    """The rows of one preset: tables mix no presets. Raises ValueError if there are none."""
    chosen = [row for row in rows if row["preset"] == preset]
    if not chosen:
        raise ValueError(
            f"no results of the preset {preset!r}; measure them: python -m helpers.experiments --claims 1 2 …"
        )
    return chosen


def verdict_table(rows: Sequence[dict], metrics: Sequence[str] = METRICS) -> str:
    """One line for every variant of every claim: how it compares with the claim's first, in the transition band.

    A Markdown table. `better` and `worse` as in `helpers.experiments.claims.compare`; – where no difference is shown.
    """
    sets = sets_in(rows)
    columns = [(portraits, metric) for portraits in sets for metric in metrics]
    lines = ["| claim | variant | against | " + " | ".join(f"{_label(s)}, {m.upper()}" for s, m in columns) + " |"]
    lines.append("|---" * (3 + len(columns)) + "|")
    for number, claim in CLAIMS.items():
        for name in claim.variants[1:]:
            cells = [_word(rows, number, name, portraits, metric) for portraits, metric in columns]
            lines.append(f"| {number} | `{name}` | `{claim.variants[0]}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _word(rows, number, name, portraits, metric, region="band"):
    result = compare(rows, number, portraits, region, metric).get(name)
    if result is None:
        return "not measured"
    return {"none shown": "–"}.get(result.verdict, result.verdict)


def sentences(rows: Sequence[dict], metric: str = "mad") -> list[str]:
    """One sentence for each claim, in words that the verdicts of the transition band decide."""
    return [f"**{number}.** {claim.question}: {_sentence(rows, number, metric)}" for number, claim in CLAIMS.items()]


def _sentence(rows, number, metric):
    baseline, *others = CLAIMS[number].variants
    found = {"better": [], "worse": []}
    silent, measured = [], 0
    for name in others:
        words = {portraits: _word(rows, number, name, portraits, metric) for portraits in sets_in(rows)}
        measured += any(word != "not measured" for word in words.values())
        for verdict, names in found.items():
            places = [_label(portraits) for portraits, word in words.items() if word == verdict]
            if places:
                names.append(f"`{name}` ({' and '.join(places)} portraits)")
        if not {"better", "worse"} & set(words.values()):
            silent.append(f"`{name}`")
    if not measured:
        return "not measured."
    parts = [f"{verdict} than `{baseline}`: {', '.join(names)}" for verdict, names in found.items() if names]
    if silent:
        parts.append(f"no difference shown: {', '.join(silent)}")
    return "; ".join(parts) + "."


def differences(rows: Sequence[dict], metric: str = "mad", region: str = "band") -> dict[str, list[tuple]]:
    """What a figure of all claims draws: {set: [(claim, variant, difference, error, verdict), …]}.

    Difference from the claim's first variant and its standard error, both as parts of the first variant's mean.
    """
    result: dict[str, list[tuple]] = {}
    for portraits in sets_in(rows):
        result[_label(portraits)] = []
        for number, claim in CLAIMS.items():
            compared = compare(rows, number, portraits, region, metric)
            base = compared.get(claim.variants[0])
            for name in claim.variants[1:]:
                if base and name in compared:
                    of = compared[name]
                    result[_label(portraits)].append(
                        (number, name, of.difference / base.mean, of.error / base.mean, of.verdict)
                    )
    return result


def full_report(rows: Sequence[dict]) -> str:
    """docs/claims.md: how it was measured, the sentences, the verdicts, and every table in full."""
    steps, sizes = max(row["steps"] for row in rows), sorted({row["image_size"] for row in rows})
    seeds = sorted({row["seed"] for row in rows})
    parts = [
        "# The report's claims, measured",
        "This file is generated from `results/claims.csv` by `python -m helpers.experiments.verdicts docs/claims.md`; "
        "do not edit it.",
        f"Each training differs from the report's recipe in one thing. Seeds: {', '.join(map(str, seeds))}. At most "
        f"{steps} steps; the network sees {' or '.join(f'{size}²' for size in sizes)} pixels. These are short "
        "trainings on small pictures: they compare ideas and do not rank finished networks.",
        f"How to read the verdicts: {LEGEND}. Of twenty comparisons without any effect one still says better or worse.",
        "## In words",
        "By MAD in the transition band.",
        *sentences(rows),
        "## Verdicts in the transition band",
        verdict_table(rows),
        "## All tables",
    ]
    for number, claim in CLAIMS.items():
        parts.append(f"### {number}. {claim.question}")
        for portraits in sets_in(rows):
            for region in REGIONS:
                if values_of(rows, number, portraits, region, "mad"):
                    table = claim_table(rows, number, portraits, region)
                    parts.append(f"```\n{table.replace(f'({portraits} ', f'({_label(portraits)} ', 1)}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else REPORT
    with whole_file(target) as temporary:
        temporary.write_text(full_report(rows_of(read_results())), encoding="utf-8")
