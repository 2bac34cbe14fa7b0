"""The answers to the report's questions, by docs/protocol.md: one primary comparison for each, paired by seed."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from helpers.experiments.claims import CLAIMS, REGIONS, label, values_by_seed
from helpers.experiments.statistics import Paired, holm, paired

SEEDS = 6
"""Seeds that the protocol asks for."""

STEPS = 450
"""Steps of training below which a run is a demonstration of the code, not a measurement."""

SIGNIFICANT = 0.05
"""The p value after Holm's correction below which a difference counts."""


class Question(NamedTuple):
    """A question of the protocol and its primary comparison.

    Attributes:
        name: the claim, such as `1a`. text: the question.
        variant, against: names of `helpers.experiments.claims.VARIANTS`, or of `helpers.experiments.by_photo`; asked is
            whether the first is better.
        metric, region, portraits: what is compared, as in `helpers.experiments.claims.FIELDS`.
        least: the smallest difference worth caring about; with `is_share` a share of the mean of `against`.
    """

    name: str
    text: str
    variant: str
    against: str
    metric: str
    region: str
    portraits: str
    least: float
    is_share: bool = False


QUESTIONS = (
    Question("1a", "Is RMSE better than cross-entropy?", "report", "cross_entropy", "iou", "whole", "real", 0.003),
    Question("1b", "Is RMSE better than absolute error?", "report", "l1", "iou", "whole", "real", 0.003),
    Question("2", "Does the edge term sharpen the edge?", "report", "edge_0", "mad", "band", "made", 0.003),
    Question("3", "Is one-cycle better than a constant rate?", "report", "constant", "mad", "whole", "real", 0.001),
    Question("4", "Do exact mattes teach more than hard masks?", "exact_truth", "hard_truth", "mad", "band", "made",
             0.003),
    Question("5", "Are pre-trained weights a better start?", "report", "random_start", "iou", "whole", "real", 0.003),
    Question("6", "Is a continuous answer better than a thresholded one?", "continuous", "thresholded", "grad", "band",
             "made", 0.05, is_share=True),
    Question("bf16", "Is bfloat16 as good as float32?", "bfloat16", "report", "iou", "whole", "real", 0.003),
    Question("720²", "Does the network cut out better at 720²?", "size_720", "size_320", "mad", "band", "made", 0.003),
    Question("int8", "Are eight-bit integers as good as float32?", "int8", "exact", "mad", "whole", "real", 0.001),
    Question("K-Net", "Does K-Net's head cut out better?", "knet", "report", "iou", "whole", "real", 0.003),
)  # fmt: skip
"""The primary comparisons of docs/protocol.md: seed by seed, and photo by photo for eight-bit integers."""


class Answer(NamedTuple):
    """The answer to a question.

    Attributes:
        seeds: how many pairs there are: seeds that both variants have, or photos.
        gain: by how much the variant is better (negative: worse), with its interval and p value without correction.
        p: the p value after Holm's correction over all primary comparisons.
        least: the smallest difference worth caring about, in units of the metric.
        verdict: in words, made from these numbers.
    """

    question: Question
    seeds: int
    gain: Paired
    p: float
    least: float
    verdict: str


def answers(rows: Iterable[dict[str, Any]]) -> list[Answer]:
    """The `Answer` to each of `QUESTIONS` by rows of one preset."""
    rows = list(rows)
    measured = [_gain(rows, question) for question in QUESTIONS]
    corrected = holm([gain.p for _, gain, _ in measured])
    return [
        Answer(question, seeds, gain, p, least, _verdict(seeds, gain, p, least))
        for question, (seeds, gain, least), p in zip(QUESTIONS, measured, corrected)
    ]


def _gain(rows: list[dict[str, Any]], question: Question) -> tuple[int, Paired, float]:
    """How many seeds both variants have, the gain over them, and the smallest gain worth caring about."""
    first, second = (
        values_by_seed(rows, name, question.portraits, question.region, question.metric)
        for name in (question.variant, question.against)
    )
    seeds = [seed for seed in first if seed in second]
    sign = 1 if question.metric == "iou" else -1
    scale = sum(second.values()) / len(second) if question.is_share and second else 1.0
    return len(seeds), paired([sign * (first[seed] - second[seed]) for seed in seeds]), question.least * scale


def _verdict(seeds: int, gain: Paired, p: float, least: float) -> str:
    """The protocol's words for a gain."""
    if seeds == 0:
        return "not measured"
    if seeds < SEEDS:
        return f"not decided ({seeds} of {SEEDS} seeds)"
    is_small = -least < gain.low and gain.high < least
    if p < SIGNIFICANT:
        low, high = sorted((abs(gain.low), abs(gain.high)))
        found = f"{'better' if gain.mean > 0 else 'worse'} by {abs(gain.mean):.4f} [{low:.4f}, {high:.4f}]"
        return f"{found}, less than {least:.4f}" if is_small else found
    if is_small:
        return f"no difference larger than {least:.4f}"
    return "not decided"


def answer_table(rows: Iterable[dict[str, Any]]) -> str:
    """The answers as a Markdown table."""
    lines = [
        "| claim | question | compared by | pairs | gain, 95 % interval | p, corrected | answer |",
        "|---" * 7 + "|",
    ]
    for answer in answers(rows):
        question, gain = answer.question, answer.gain
        interval = "–" if gain.low != gain.low else f"{gain.mean:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}]"
        p = f"{answer.p:.3f}" if answer.p >= 0.001 else "< 0.001"
        lines.append(
            f"| {question.name} | {question.text} | {question.metric.upper()}, {REGIONS[question.region]}, "
            f"{label(question.portraits)} | {answer.seeds} | {interval} | {p} | {answer.verdict} |"
        )
    return "\n".join(lines)


def pace(rows: Iterable[dict[str, Any]], claim: int) -> str:
    """A line with the seconds of a training step of the variants of a claim, means over seeds; "" for less than two.

    A range test before the training counts as well.
    """
    rows, parts = list(rows), []
    for name in CLAIMS[claim].variants:
        runs = {row["seed"]: row["seconds"] / row["steps"] for row in rows if row["variant"] == name and row["steps"]}
        if runs:
            parts.append(f"{name} {sum(runs.values()) / len(runs):.2f}")
    return f"seconds a step, perhaps beside other work: {', '.join(parts)}" if len(parts) > 1 else ""


def scale(rows: Iterable[dict[str, Any]]) -> str:
    """How large the trainings were, and whether that is the protocol's scale."""
    rows = list(rows)
    trained = [row for row in rows if row["steps"]]
    steps = max((row["steps"] for row in trained), default=0)
    sizes = " or ".join(f"{size}²" for size in sorted({row["image_size"] for row in trained}))
    seeds = len({row["seed"] for row in trained})
    done = f"Trained for at most {steps} steps, on {sizes} pixels, with {seeds} seed{'s' * (seeds != 1)}."
    if steps < STEPS or seeds < SEEDS:
        done += (
            f" The protocol asks for {STEPS} steps or more and {SEEDS} seeds: what compares trainings is a "
            "demonstration, not a measurement."
        )
    return done
