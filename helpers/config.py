"""Every number of an experiment in one frozen dataclass, and its four presets."""

import dataclasses
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """The settings of one training run. The defaults are the report's (section 3 of the paper).

    Attributes:
        name: the preset this configuration started from.
        network: `u2net` (44.01 M parameters) or `u2net_lite` (1.13 M).
        image_size: side of the square the network sees, in pixels (32 or more).
        batch_size: images a step.
        epochs: passes over the training images.
        max_lr: peak of the one-cycle learning rate; the report's Adam rate as well.
        loss: `report`, or `notebook` for the published notebook's variant.
        edge_weight: λ, the weight of the transition term (≥ 0).
        edge_width: side of the square that widens the edge mask, in pixels (odd).
        truth: `annotations` (hard masks, as in EasyPortrait) or `mattes` (exact alphas, made data set only).
        checkpoint_every: epochs between the checkpoints that are kept.
        log_every: iterations averaged into one point of the loss curves.
        workers: processes that read and augment images (0: the main process does).
        seed: of the weights, the order of the images and their augmentation.
        synthetic_count: portraits to make when no data set is given (8 or more).
        synthetic_size: their side in pixels.
        download: may fetch the original authors' weights.
    """

    name: str = "paper"
    network: str = "u2net"
    image_size: int = 320
    batch_size: int = 8
    epochs: int = 15
    max_lr: float = 1e-3
    loss: str = "report"
    edge_weight: float = 1.0
    edge_width: int = 7
    truth: str = "annotations"
    checkpoint_every: int = 3
    log_every: int = 200
    workers: int = 4
    seed: int = 0
    synthetic_count: int = 4000
    synthetic_size: int = 512
    download: bool = True

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            accepted = (int, float) if field.type is float else (field.type,)
            if isinstance(value, bool) and field.type is not bool or not isinstance(value, accepted):
                raise ValueError(f"{field.name}={value!r}: expected {field.type.__name__}")
            if field.name in CHOICES and value not in CHOICES[field.name]:
                raise ValueError(f"{field.name}={value!r}: known are {', '.join(CHOICES[field.name])}")
            if field.name in MINIMUM and not MINIMUM[field.name] <= value < float("inf"):
                raise ValueError(f"{field.name}={value!r}: must be a finite number, {MINIMUM[field.name]} or more")
        if not 0 < self.max_lr < float("inf"):
            raise ValueError(f"max_lr={self.max_lr!r}: must be a positive number")
        if self.edge_width % 2 == 0:
            raise ValueError(f"edge_width={self.edge_width!r}: must be odd, so that the mask stays centred on the edge")


CHOICES = {
    "network": ("u2net", "u2net_lite"),
    "loss": ("report", "notebook"),
    "truth": ("annotations", "mattes"),
}
MINIMUM = {
    "image_size": 32, "batch_size": 1, "epochs": 1, "edge_weight": 0, "edge_width": 1, "checkpoint_every": 1,
    "log_every": 1, "workers": 0, "seed": 0, "synthetic_count": 8, "synthetic_size": 64,
}  # fmt: skip

PRESETS = {
    "smoke": Config(
        name="smoke", network="u2net_lite", image_size=64, batch_size=4, epochs=2, checkpoint_every=1, log_every=4,
        workers=0, synthetic_count=40, synthetic_size=128, download=False,
    ),
    "quick": Config(
        name="quick", network="u2net_lite", image_size=96, batch_size=8, epochs=9, log_every=20,
        workers=0, synthetic_count=800, synthetic_size=256,
    ),
    "paper": Config(name="paper"),
    "hires": Config(name="hires", image_size=720, batch_size=4, synthetic_size=1024),
}  # fmt: skip


def load_config(name=None, **overrides):
    """The preset `name`, or the one named by the environment variable PORTRAIT_PRESET, or `quick`.

    `overrides` replace single fields: `load_config("paper", epochs=5)`.
    Raises ValueError with the known names for an unknown preset or field, and for an impossible value.
    """
    name = name or os.environ.get("PORTRAIT_PRESET") or "quick"
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: known are {', '.join(PRESETS)}")
    fields = [field.name for field in dataclasses.fields(Config)]
    for key in overrides:
        if key not in fields:
            raise ValueError(f"unknown field {key!r}: known are {', '.join(fields)}")
    return dataclasses.replace(PRESETS[name], **overrides)


def parse_setting(text):
    """`"epochs=5"` → `("epochs", 5)`, with the type that the field has.

    Raises ValueError for an unknown field, for `name` (choose a preset instead) or a text that is no such value.
    """
    key, separator, value = text.partition("=")
    types = {field.name: field.type for field in dataclasses.fields(Config) if field.name != "name"}
    if not separator or key not in types:
        raise ValueError(f"{text!r}: expected field=value with one of the fields {', '.join(types)}")
    if types[key] is bool:
        if value.lower() not in ("true", "false"):
            raise ValueError(f"{text!r}: expected true or false")
        return key, value.lower() == "true"
    try:
        return key, types[key](value)
    except ValueError:
        raise ValueError(f"{text!r}: expected {types[key].__name__}") from None
