"""The report's claims: what is trained for each, the stored results, and what they show.

`VARIANTS` says how each run differs from the report's recipe. `CLAIMS` says which runs are compared.
`python -m helpers.experiments` measures them and stores them in `RESULTS`. Here they are read:

    rows = read_results()
    print(claim_table(rows, 1, "made", "band"))
"""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any, NamedTuple

from helpers.config import Config
from helpers.experiments.statistics import paired
from helpers.files.csv_file import write_csv

RESULTS = Path(__file__).parents[2] / "results" / "claims.csv"
"""The stored results: one line for each run, set of portraits and region."""


REPORT: dict[str, Any] = {
    "network": "u2net_lite", "start": "pretrained", "loss": "report", "edge_weight": 1.0, "edge_width": 7,
    "edge_on": "fused", "schedule": "one_cycle", "max_lr": 1e-3, "truth": "annotations", "precision": "float32",
    "augmentation": "report", "ema": 0.0, "clip": 0.0, "freeze_encoder": False, "coarse": False, "best_by": "loss",
    "patience": 0,
}  # fmt: skip
"""What every run shares with the report, whatever the preset or the machine: fields of `helpers.config.Config`."""


class Enlargement(NamedTuple):
    """No training: predictions of this project's weights, or of the original authors', for large synthetic portraits.

    Attributes:
        thresholded: at .5, before and after they are enlarged, as a segmentation would be; else left continuous.
        size: side of the portraits in pixels. count: how many there are of them.
    """

    thresholded: bool
    size: int = 1920
    count: int = 12  # type: ignore[assignment]  # hides a tuple's method that nobody calls


VARIANTS: dict[str, dict[str, Any] | Enlargement] = {
    "report": {},
    "cross_entropy": {"loss": "cross_entropy"},
    "l1": {"loss": "l1"},
    "edge_0": {"edge_weight": 0.0},
    "edge_4": {"edge_weight": 4.0},
    "edge_10": {"edge_weight": 10.0},
    "edge_on_all": {"edge_on": "all"},
    "width_3": {"edge_width": 3},
    "width_15": {"edge_width": 15},
    "no_annihilation": {"schedule": "no_annihilation"},
    "constant": {"schedule": "constant"},
    "step": {"schedule": "step"},
    "cosine": {"schedule": "cosine"},
    "triangular": {"schedule": "triangular"},
    "rate_found": {"max_lr": "auto"},
    "hard_truth": {},
    "exact_truth": {"truth": "mattes"},
    "random_start": {"start": "random"},
    "full_network": {"start": "random", "network": "u2net"},
    "bfloat16": {"precision": "bfloat16"},
    "knet": {"network": "u2net_knet"},
    "size_320": {"truth": "mattes"},
    "size_720": {"truth": "mattes"},
    "continuous": Enlargement(thresholded=False),
    "thresholded": Enlargement(thresholded=True),
}
"""How each training run differs from `REPORT`, as fields of `helpers.config.Config`; or an `Enlargement`."""

SYNTHETIC_ONLY = {"hard_truth": 2.0, "exact_truth": 2.0, "size_320": 2.0, "size_720": 4.5}
"""Variants that are trained on the synthetic portraits alone, the only ones that have exact mattes.

The network sees them at so many times the preset's size: at 160 pixels a hair is too thin for any truth to show it.
"""

LARGE = ("size_320", "size_720")
"""Variants whose synthetic portraits have twice the preset's size: those of 512 pixels would be enlarged to 720."""


def is_trained(name: str) -> bool:
    """Whether the variant `name` is a training run, not an `Enlargement`."""
    return not isinstance(VARIANTS.get(name), Enlargement)


def config_of(name: str, seed: int, preset: Config) -> Config:
    """The configuration of a variant's training run; sizes, batches and epochs are the preset's."""
    changes = VARIANTS[name]
    if isinstance(changes, Enlargement):
        raise ValueError(f"{name} is measured without training; train one of the other variants")
    size = round(preset.image_size * SYNTHETIC_ONLY.get(name, 1))
    return replace(preset, **REPORT | changes, seed=seed, image_size=size)


class Claim(NamedTuple):
    """A question, and the names of the variants that answer it; the first is what the others are compared with."""

    question: str
    variants: tuple[str, ...]


CLAIMS = {
    1: Claim("RMSE against cross-entropy and L1", ("report", "cross_entropy", "l1")),
    2: Claim(
        "the edge term: its weight λ, on the fused map or on all, its width",
        ("report", "edge_0", "edge_4", "edge_10", "edge_on_all", "width_3", "width_15"),
    ),
    3: Claim(
        "one cycle against other schedules, without annihilation, with the rate found by the range test",
        ("report", "no_annihilation", "constant", "step", "cosine", "triangular", "rate_found"),
    ),
    4: Claim("training on hard masks against exact mattes", ("hard_truth", "exact_truth")),
    5: Claim(
        "a random start against a pre-trained one, and the lite network against the full one",
        ("random_start", "report", "full_network"),
    ),
    6: Claim("continuous against thresholded predictions, enlarged", ("continuous", "thresholded")),
    7: Claim("the report's future work: mixed precision, K-Net", ("report", "bfloat16", "knet")),
    8: Claim("the report's future work: 720² against 320², portraits of 1024 px", ("size_320", "size_720")),
}

METRICS = ("sad", "mse", "mad", "grad", "conn", "iou")
"""Of `helpers.metrics.errors.matting_metrics`, averaged over the portraits. Less is better, except for `iou`."""

REGIONS = {"band": "transition band", "whole": "whole image"}
"""What is measured of a portrait, by the word in the stored results."""

FIELDS = {
    "claim": str, "variant": str, "seed": int, "set": str, "region": str, **dict.fromkeys(METRICS, float),
    "steps": int, "seconds": float, "max_lr": float, "preset": str, "image_size": int, "data": str, "start": str,
    "device": str, "commit": str,
}  # fmt: skip
"""Columns of `RESULTS` and their types.

`claim` lists all claims that use the run, `set` is `made` (exact mattes, test split) or `real` (validation split),
`region` `whole` or `band`. `steps` and `seconds` are those of the training; a range test before it adds seconds, but no
steps. `max_lr` is the rate that was trained with, `image_size` the side the network saw. `data` and `start` name what
was trained on, and the weights it started from.
"""


def read_results(path: Path | str = RESULTS) -> list[dict[str, Any]]:
    """The stored rows, dicts by `FIELDS`. Raises FileNotFoundError, or ValueError if the columns are others."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no results there; measure them: python -m helpers.experiments --claims 1 2 …")
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if reader.fieldnames != list(FIELDS):
            raise ValueError(f"{path}: has the columns {reader.fieldnames}, expected {list(FIELDS)}; move it away")
        return [{name: kind(row[name]) for name, kind in FIELDS.items()} for row in reader]


def add_results(path: Path | str, rows: list[dict[str, Any]]) -> None:
    """Write what `path` holds, and `rows` after it; the file is whole at any moment."""
    write_csv(path, (read_results(path) if Path(path).exists() else []) + rows, FIELDS)


def values_of(
    rows: Iterable[dict[str, Any]], claim: int, portraits: str, region: str, metric: str
) -> dict[str, dict[int, float]]:
    """{variant: {seed: value}} of what is measured for a claim, in its order; `portraits` is `made` or `real`.

    Raises ValueError where there are two values for a seed: tables mix no presets.
    """
    rows = list(rows)
    values = {name: values_by_seed(rows, name, portraits, region, metric) for name in CLAIMS[claim].variants}
    return {name: of_seed for name, of_seed in values.items() if of_seed}


def values_by_seed(
    rows: Iterable[dict[str, Any]], variant: str, portraits: str, region: str, metric: str
) -> dict[int, float]:
    """{seed: value} of one variant; errors as in `values_of`."""
    values: dict[int, float] = {}
    for row in rows:
        if (row["variant"], row["set"], row["region"]) == (variant, portraits, region):
            if row["seed"] in values:
                raise ValueError(f"{variant}, seed {row['seed']}: stored twice; give the rows of one preset, each once")
            values[row["seed"]] = row[metric]
    return values


class Comparison(NamedTuple):
    """One metric of one variant, over seeds.

    Attributes:
        seeds: how many there are. mean: over them. spread: their sample standard deviation, NaN for one seed.
        difference: mean of the differences from the first variant of the claim, each to the same seed; NaN without a
            common seed.
        low, high: its 95 % interval by Student's t, NaN for less than two common seeds.
    """

    seeds: int
    mean: float
    spread: float
    difference: float
    low: float
    high: float


def compare(
    rows: Iterable[dict[str, Any]], claim: int, portraits: str, region: str, metric: str
) -> "dict[str, Comparison]":
    """{variant: `Comparison`} with the first variant of a claim; arguments and errors as in `values_of`."""
    values = values_of(rows, claim, portraits, region, metric)
    baseline = values.get(CLAIMS[claim].variants[0], {})
    return {name: _compared(of_seed, baseline) for name, of_seed in values.items()}


def _compared(of_seed, baseline):
    difference = paired([of_seed[seed] - baseline[seed] for seed in of_seed if seed in baseline])
    spread = stdev(of_seed.values()) if len(of_seed) > 1 else float("nan")
    return Comparison(len(of_seed), mean(of_seed.values()), spread, *difference[:3])


def claim_table(
    rows: Iterable[dict[str, Any]],
    claim: int,
    portraits: str,
    region: str,
    metrics: Sequence[str] = ("sad", "mse", "grad", "conn"),
) -> str:
    """A claim as text: mean ± spread over the seeds (n) of every variant, and the interval of its difference."""
    table = {metric: compare(rows, claim, portraits, region, metric) for metric in metrics}
    lines = [f"claim {claim}: {CLAIMS[claim].question} ({label(portraits)} portraits, {REGIONS[region]})"]
    lines.append(f"{'':15}  n" + "".join(f"  {metric:^37}" for metric in metrics))
    baseline, *_ = CLAIMS[claim].variants
    for name in CLAIMS[claim].variants:
        cells = [table[metric].get(name) for metric in metrics]
        if cells[0] is None:
            lines.append(f"{name:15}  not measured")
            continue
        row = "".join(_cell(cell, name == baseline) for cell in cells if cell)
        lines.append(f"{name:15} {cells[0].seeds:2}{row}")
    return "\n".join(line.rstrip() for line in lines)


def label(portraits: str) -> str:
    """What a set of portraits is called in tables, where the stored results use another word."""
    return {"made": "synthetic"}.get(portraits, portraits)


def _cell(of: Comparison, is_baseline: bool) -> str:
    spread = f"± {of.spread:<7.4f}" if of.seeds > 1 else ""
    interval = "" if is_baseline or of.low != of.low else f"[{of.low:+.4f}, {of.high:+.4f}]"
    return f"  {of.mean:8.4f} {spread:10}{interval:18}"


LEGEND = (
    "sad, grad and conn in thousands; mean ± standard deviation over n seeds. [a, b]: 95 % interval of the difference "
    "from the first line,\nseed by seed, by Student's t. These comparisons are secondary: they get no verdict"
)
"""How to read a `claim_table`, for the line below it."""
