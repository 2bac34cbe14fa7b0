"""The page docs/claims.md, generated from the stored results: python -m helpers.experiments.verdicts FILE

No sentence can say what the numbers do not.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from helpers.experiments.answers import answer_table, scale
from helpers.experiments.claims import CLAIMS, LEGEND, REGIONS, claim_table, read_results, values_of
from helpers.files.atomic import whole_file

REPORT = Path(__file__).parents[2] / "docs" / "claims.md"

PRESETS = ("protocol", "experiment")
"""Presets whose results are shown: the first of which there are any."""


def rows_of(rows: Sequence[dict], presets: Sequence[str] = PRESETS) -> list[dict]:
    """The rows of one preset, the first of `presets` with results: tables mix none. Raises ValueError without any."""
    for preset in presets:
        if chosen := [row for row in rows if row["preset"] == preset]:
            return chosen
    raise ValueError(
        f"no results of {' or '.join(presets)}; measure them: python -m helpers.experiments --claims 1 2 …"
    )


def full_report(rows: Sequence[dict]) -> str:
    """The page: how it was measured, the answers, and every table in full."""
    commits, devices = (sorted({row[name] for row in rows}) for name in ("commit", "device"))
    parts = [
        "# The report's claims, measured",
        "This file is generated from `results/claims.csv` by `python -m helpers.experiments.verdicts docs/claims.md`; "
        "do not edit it. [protocol.md](protocol.md) says what is asked and what counts as an answer. Each training "
        "differs from the report's recipe in one thing.",
        scale(rows),
        f"Commits: {', '.join(commits)}. Devices: {', '.join(devices)}. Each row of the CSV has its own, with its seed "
        "and its seconds.",
        "## Answers",
        "A gain is positive where the first variant is better. Holm's correction counts all primary comparisons.",
        answer_table(rows),
        "## All tables",
        LEGEND.replace("\n", " ") + ".",
    ]
    for number, claim in CLAIMS.items():
        parts.append(f"### {number}. {claim.question}")
        for portraits in dict.fromkeys(row["set"] for row in rows):
            for region in REGIONS:
                if values_of(rows, number, portraits, region, "mad"):
                    tables = [claim_table(rows, number, portraits, region, metrics) for metrics in (
                        ("mad", "mse", "iou"), ("sad", "grad", "conn"))]  # fmt: skip
                    tables[1] = "\n".join(tables[1].splitlines()[1:])
                    parts.append("```\n" + "\n\n".join(tables) + "\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else REPORT
    with whole_file(target) as temporary:
        temporary.write_text(full_report(rows_of(read_results())), encoding="utf-8")
