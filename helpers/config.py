"""The settings of an experiment in one frozen dataclass, and the presets."""

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from helpers.network_input import DEVIATION, LARGEST, MEAN, SMALLEST, trained_size

__all__ = [
    "AUTO", "BEST", "Config", "DEVIATION", "FINAL", "LARGEST", "LATEST", "MEAN", "PRESETS", "SMALLEST",
    "load_config", "parse_setting", "trained_size",
]  # fmt: skip

AUTO = "auto"

COARSE = ("u2net_lite", "u2net")
"""The networks that can be trained by their coarse stages alone (`helpers.networks.coarse`)."""

LATEST, BEST, FINAL = "latest.pth", "best.pth", "final_model_ckpt.pth"
"""The checkpoints of a run, by name; those of epochs have a number."""

Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _in_one_line(init: Callable[..., None]) -> Callable[..., None]:
    """`init` of the configuration, but what pydantic refuses becomes a ValueError of one line, field by field."""

    @functools.wraps(init)
    def checked(self: "Config", *values: Any, **fields: Any) -> None:
        try:
            init(self, *values, **fields)
        except ValidationError as error:
            faults = {str(fault["loc"][0]) if fault["loc"] else "": fault for fault in error.errors()}
            raise ValueError("; ".join(_refusal(name, fault) for name, fault in faults.items())) from None

    return checked


def _refusal(name: str, fault: Any) -> str:
    if fault["type"] == "value_error":  # raised by the configuration itself
        return str(fault["ctx"]["error"])
    if name not in field_rules():
        return f"unknown field {name!r}: known are {', '.join(field_rules())}"
    return f"{name}={fault['input']!r}: expected {allowed(name)}"


@dataclass(frozen=True, config={"strict": True, "extra": "forbid"})
class Config:
    """The settings of one training run. The defaults are the report's (section 3 of the paper).

    A value that cannot be meant raises a ValueError that names the field, the value, and what is allowed.

    Attributes:
        name: the preset this configuration started from.
        network: `u2net` (44.01 M parameters), `u2net_lite` (1.13 M), `u2net_knet` (the lite one with K-Net's head) or
            `resnet50_unet` (RMBG-U2NET's).
        start: the weights to start from, unless a file is named: `random` (a ResNet U-Net's encoder has ImageNet's
            where they can be had), `pretrained` (the original authors', for a ResNet U-Net ImageNet's in its encoder),
            or `own` (this project's).
        image_size: side of the square the network sees, in pixels (32 or more).
        batch_size: images a step, over all processes.
        micro_batch: images that a process computes at once, to save memory (0: all of its share of the batch). Batch
            norm sees these together; gradients are summed up to the batch.
        epochs: passes over the training images.
        schedule: of the learning rate, a name in `helpers.schedule.SCHEDULES`: `one_cycle` is the report's; `plateau`
            takes a tenth of the rate after 5 epochs without improvement.
        max_lr: peak of the one-cycle learning rate, the report's Adam rate as well; `auto`: by the range test.
        clip: longest gradient that is not shortened (0: any).
        ema: decay of the running average of the weights, such as .999, that is validated and kept (0: none).
        freeze_encoder: train the decoder only, for small data sets, and keep the statistics of all batch norms; needs
            weights to start from.
        coarse: train only the stages of a U²-Net at a quarter of the size and below, by their own maps: on a CPU five
            times as many pictures in the same time with `u2net_lite`; needs weights to start from.
        loss: `report`, `notebook` for the published notebook's, `cross_entropy`, or `l1`, whose edges are sharper. The
            last two put another error in the place of the report's RMSE, in the transition term as well.
        edge_weight: λ, the weight of the transition term (≥ 0). Default: the loss's own, 4 for `notebook`, else 1.
        edge_width: side of the square that widens the edge mask, in pixels (odd).
        edge_on: the map or maps that the transition term looks at, `fused` or `all`. `notebook` always looks at all.
        rough_width: side of the square for the unknown band of rough masks, in which nothing counts (odd).
        augmentation: `report`, or `strong` for use on anybody's photos: any framing, tilt and light, blurred faces.
        truth: `annotations` (hard masks, as in EasyPortrait), or `mattes` (exact alphas) where a data set has them.
        best_by: what the best checkpoint is chosen by: `loss`, `mse`, `mad` or `iou` on the validation images.
        patience: epochs without improvement of it after which training stops (0: never). Only `plateau` and `constant`
            rates go with it: the others are planned up to the last step.
        checkpoint_every: epochs between the checkpoints that are kept.
        log_every: iterations averaged into one point of the loss curves.
        tensorboard: writes scalars and validation images for TensorBoard.
        workers: processes that read and augment images (0: the main process does).
        precision: `auto` takes what the device is fast at; `float32`, `bfloat16` or `float16` decide.
        seed: of the weights, the order of the images and their augmentation.
        synthetic_count: portraits to draw when no data set is given (8 or more).
        synthetic_size: their side in pixels.
        download: may fetch published weights.
    """

    name: str = "paper"
    network: Literal["u2net", "u2net_lite", "u2net_knet", "resnet50_unet"] = "u2net"
    start: Literal["random", "pretrained", "own"] = "random"
    image_size: Annotated[int, Field(ge=SMALLEST)] = 320
    batch_size: Positive = 8
    micro_batch: Natural = 0
    epochs: Positive = 15
    schedule: Literal[
        "one_cycle", "plateau", "no_annihilation", "constant", "step", "cosine", "triangular"
    ] = "one_cycle"  # fmt: skip
    max_lr: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["auto"] = 1e-3
    clip: Weight = 0.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    freeze_encoder: bool = False
    coarse: bool = False
    loss: Literal["report", "notebook", "cross_entropy", "l1"] = "report"
    edge_weight: Weight = None  # type: ignore[assignment]  # replaced by a number in __post_init__
    edge_width: Positive = 7
    edge_on: Literal["fused", "all"] = "fused"
    rough_width: Positive = 15
    augmentation: Literal["report", "strong"] = "report"
    truth: Literal["annotations", "mattes"] = "annotations"
    best_by: Literal["loss", "mse", "mad", "iou"] = "loss"
    patience: Natural = 0
    checkpoint_every: Positive = 3
    log_every: Positive = 200
    tensorboard: bool = False
    workers: Natural = 4
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    synthetic_count: Annotated[int, Field(ge=8)] = 4000
    synthetic_size: Annotated[int, Field(ge=64)] = 512
    download: bool = True

    def __post_init__(self) -> None:
        if self.edge_weight is None:
            object.__setattr__(self, "edge_weight", 4.0 if self.loss == "notebook" else 1.0)
        for name in ("edge_width", "rough_width"):
            if getattr(self, name) % 2 == 0:
                raise ValueError(
                    f"{name}={getattr(self, name)}: must be odd, so that the mask stays centred on the edge"
                )
        if self.network != "resnet50_unet" and self.image_size < 32:
            raise ValueError(f"image_size={self.image_size} is too small for network={self.network}: 32 or more")
        if self.coarse and self.network not in COARSE:
            raise ValueError(f"coarse=true contradicts network={self.network}: take {' or '.join(COARSE)}")
        if self.coarse and self.freeze_encoder:
            raise ValueError("coarse=true contradicts freeze_encoder=true, as it trains the encoder: set one of them")
        if self.micro_batch > self.batch_size:
            raise ValueError(f"micro_batch={self.micro_batch} is more than batch_size={self.batch_size} to split")
        if self.patience and self.schedule not in ("plateau", "constant"):
            raise ValueError(
                f"patience={self.patience} contradicts schedule={self.schedule}, which is planned up to its last step: "
                "set schedule=plateau or patience=0"
            )

    @property
    def highest_is_best(self) -> bool:
        """Whether more of what `best_by` names is better."""
        return self.best_by == "iou"


Config.__init__ = _in_one_line(Config.__init__)  # type: ignore[method-assign]


@functools.cache
def field_rules() -> dict[str, dict[str, Any]]:
    """The type, choices and bounds of each field, as JSON Schema."""
    return TypeAdapter(Config).json_schema()["properties"]


def allowed(name: str) -> str:
    """The values that a field may have, in words."""
    words = {"integer": "a whole number", "number": "a finite number", "boolean": "true or false", "string": "a text"}
    values = []
    for rule in field_rules()[name].get("anyOf", [field_rules()[name]]):
        if "enum" in rule or "const" in rule:
            values.append(", ".join(rule.get("enum", [rule.get("const")])))
            continue
        text = words[rule["type"]]
        text += f", {rule['minimum']:g} or more" if "minimum" in rule else ""
        text += f" above {rule['exclusiveMinimum']:g}" if "exclusiveMinimum" in rule else ""
        text += f" and below {rule['exclusiveMaximum']:g}" if "exclusiveMaximum" in rule else ""
        values.append(text)
    return ("one of " if "enum" in field_rules()[name] else "") + " or ".join(values)


PRESETS = {
    "smoke": Config(
        name="smoke", network="u2net_lite", image_size=64, batch_size=4, epochs=2, checkpoint_every=1, log_every=4,
        workers=0, synthetic_count=40, synthetic_size=128, download=False,
    ),
    "quick": Config(
        name="quick", network="u2net_lite", start="own", image_size=256, batch_size=8, epochs=2, max_lr=2e-5,
        freeze_encoder=True, log_every=10, workers=0, synthetic_count=300, synthetic_size=256,
    ),
    "paper": Config(name="paper"),
    "experiment": Config(
        name="experiment", network="u2net_lite", image_size=64, batch_size=8, epochs=1, log_every=20,
        workers=0, synthetic_count=400, synthetic_size=256,
    ),
    "protocol": Config(
        name="protocol", network="u2net_lite", image_size=160, batch_size=8, epochs=2, log_every=20, workers=0,
        synthetic_count=2572, synthetic_size=512, seed=5,
    ),
    "hires": Config(name="hires", image_size=720, batch_size=4, synthetic_size=1024),
    "mine": Config(
        name="mine", network="u2net_lite", batch_size=8, epochs=20, max_lr=3e-4, ema=0.99, loss="l1",
        augmentation="strong", truth="mattes", best_by="mad", checkpoint_every=1000, workers=0, download=False,
    ),
    "rmbg": Config(
        name="rmbg", network="resnet50_unet", image_size=512, batch_size=64, epochs=100, schedule="plateau",
        max_lr=1e-6, loss="cross_entropy", edge_weight=0.0, patience=20,
    ),
    "rmbg_sample": Config(
        name="rmbg_sample", network="resnet50_unet", image_size=16, batch_size=2, epochs=10, schedule="plateau",
        max_lr=1e-2, loss="cross_entropy", edge_weight=0.0, patience=20,
    ),
}  # fmt: skip


def load_config(name: str | None = None, **overrides: Any) -> Config:
    """The configuration of a preset.

    Parameters
    ----------
    name : str, optional
        A name in `PRESETS`. Default: the environment variable PORTRAIT_PRESET, or `quick`.
    **overrides
        Fields of `Config` to replace. Another `loss` brings its own λ, unless `edge_weight` is given too.

    Returns
    -------
    Config

    Raises
    ------
    ValueError
        For an unknown preset or field, with the known ones, and for an impossible value.

    Examples
    --------
    >>> load_config("paper", epochs=5).epochs
    5
    >>> load_config("paper", loss="notebook").edge_weight
    4.0
    """
    name = name or os.environ.get("PORTRAIT_PRESET") or "quick"
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: known are {', '.join(PRESETS)}")
    preset = dataclasses.asdict(PRESETS[name])
    if overrides.get("loss", preset["loss"]) != preset["loss"]:
        del preset["edge_weight"]
    return Config(**preset | overrides)


def parse_setting(text: str) -> tuple[str, Any]:
    """`"epochs=5"` → `("epochs", 5)`, with the type that the field has.

    Raises ValueError for an unknown field, for `name` (choose a preset instead) or a text that is no such value.
    """
    key, separator, value = text.partition("=")
    types = {field: kind for field, kind in get_type_hints(Config, include_extras=True).items() if field != "name"}
    if not separator or key not in types:
        raise ValueError(f"{text!r}: expected field=value with one of the fields {', '.join(types)}")
    is_switch = types[key] is bool
    try:
        if is_switch and value.lower() not in ("true", "false"):
            raise ValueError
        return key, TypeAdapter(types[key]).validate_strings(value)
    except ValueError:
        raise ValueError(f"{text!r}: expected {allowed(key)}") from None
