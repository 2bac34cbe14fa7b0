"""Every number of an experiment in one frozen dataclass, and its presets."""

import dataclasses
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """The settings of one training run. The defaults are the report's (section 3 of the paper).

    Attributes:
        name: the preset this configuration started from.
        network: `u2net` (44.01 M parameters), `u2net_lite` (1.13 M), `u2net_knet` (the lite one with
            K-Net's head) or `resnet50_unet` (RMBG-U2NET's).
        image_size: side of the square the network sees, in pixels (32 or more).
        batch_size: images a step, over all processes.
        micro_batch: images that a process computes at once, to save memory (0: all of its share of the batch). Batch
            norm sees these together; gradients are summed up to the batch.
        epochs: passes over the training images.
        schedule: `one_cycle`, or `plateau`: a tenth of the rate after 5 epochs without improvement.
        max_lr: peak of the one-cycle learning rate, the report's Adam rate as well; `auto`: by the range test.
        clip: longest gradient that is not shortened (0: any).
        ema: decay of the running average of the weights, such as .999, that is validated and kept (0: none).
        freeze_encoder: train the decoder only, for small data sets; needs weights to start from.
        loss: `report`, `notebook` for the published notebook's variant, `cross_entropy`, or `l1`, whose edges are sharper.
        edge_weight: λ, the weight of the transition term (≥ 0).
        edge_width: side of the square that widens the edge mask, in pixels (odd).
        rough_width: the same for the unknown band of rough masks, in which nothing counts.
        augmentation: `report`, or `strong` for use on anybody's photos: any framing, tilt and light, blurred faces.
        truth: `annotations` (hard masks, as in EasyPortrait), or `mattes` (exact alphas) where a data set has them.
        best_by: what the best checkpoint is chosen by: `loss`, `mse`, `mad` or `iou` on the validation images.
        patience: epochs without improvement of it after which training stops (0: never; not with one-cycle).
        checkpoint_every: epochs between the checkpoints that are kept.
        log_every: iterations averaged into one point of the loss curves.
        tensorboard: writes scalars and validation images for TensorBoard.
        workers: processes that read and augment images (0: the main process does).
        precision: `auto` takes what the device is fast at; `float32`, `bfloat16` or `float16` decide.
        seed: of the weights, the order of the images and their augmentation.
        synthetic_count: portraits to make when no data set is given (8 or more).
        synthetic_size: their side in pixels.
        download: may fetch the original authors' weights.
    """

    name: str = "paper"
    network: str = "u2net"
    image_size: int = 320
    batch_size: int = 8
    micro_batch: int = 0
    epochs: int = 15
    schedule: str = "one_cycle"
    max_lr: float | str = 1e-3
    clip: float = 0.0
    ema: float = 0.0
    freeze_encoder: bool = False
    loss: str = "report"
    edge_weight: float = 1.0
    edge_width: int = 7
    rough_width: int = 15
    augmentation: str = "report"
    truth: str = "annotations"
    best_by: str = "loss"
    patience: int = 0
    checkpoint_every: int = 3
    log_every: int = 200
    tensorboard: bool = False
    workers: int = 4
    precision: str = "auto"
    seed: int = 0
    synthetic_count: int = 4000
    synthetic_size: int = 512
    download: bool = True

    def __post_init__(self):
        for name, kind in KINDS.items():
            value = getattr(self, name)
            if name == "max_lr" and value == AUTO:
                continue
            accepted = (int, float) if kind is float else (kind,)
            if isinstance(value, bool) and kind is not bool or not isinstance(value, accepted):
                raise ValueError(f"{name}={value!r}: expected {kind.__name__}")
            if name in CHOICES and value not in CHOICES[name]:
                raise ValueError(f"{name}={value!r}: known are {', '.join(CHOICES[name])}")
            if name in MINIMUM and not MINIMUM[name] <= value < float("inf"):
                raise ValueError(f"{name}={value!r}: must be a finite number, {MINIMUM[name]} or more")
            if name in ODD and value % 2 == 0:
                raise ValueError(f"{name}={value!r}: must be odd, so that the mask stays centred on the edge")
        if self.max_lr != AUTO and not 0 < self.max_lr < float("inf"):
            raise ValueError(f"max_lr={self.max_lr!r}: must be a positive number, or {AUTO}")
        if self.ema >= 1:
            raise ValueError(f"ema={self.ema!r}: must be below 1, such as 0.999; at 1 the average would never move")
        self._refuse_contradictions()

    @property
    def highest_is_best(self):
        """Whether more of what `best_by` names is better."""
        return self.best_by == "iou"

    def _refuse_contradictions(self):
        if self.network != "resnet50_unet" and self.image_size < 32:
            raise ValueError(f"image_size={self.image_size} is too small for network={self.network}: 32 or more")
        if self.micro_batch > self.batch_size:
            raise ValueError(f"micro_batch={self.micro_batch} is more than batch_size={self.batch_size} to split")
        if self.patience and self.schedule == "one_cycle":
            raise ValueError(
                f"patience={self.patience} contradicts schedule=one_cycle, whose last steps are its best: "
                "set schedule=plateau or patience=0"
            )


MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's mean and standard deviation, for RGB in [0, 1]: what every network here expects of its input.

The U²-Net code, torchvision's weights and the report (section 4) share them. They stand here because a cutout by ONNX
Runtime needs them and does without torch.
"""

AUTO = "auto"
KINDS = {field.name: float if field.name == "max_lr" else field.type for field in dataclasses.fields(Config)}
"""The type of every field; `max_lr` may be `AUTO` instead of a number."""
ODD = ("edge_width", "rough_width")
CHOICES = {
    "network": ("u2net", "u2net_lite", "u2net_knet", "resnet50_unet"),
    "schedule": ("one_cycle", "plateau"),
    "loss": ("report", "notebook", "cross_entropy", "l1"),
    "augmentation": ("report", "strong"),
    "truth": ("annotations", "mattes"),
    "best_by": ("loss", "mse", "mad", "iou"),
    "precision": ("auto", "float32", "bfloat16", "float16"),
}
MINIMUM = {
    "image_size": 16, "batch_size": 1, "micro_batch": 0, "epochs": 1, "clip": 0, "ema": 0, "edge_weight": 0,
    "edge_width": 1, "rough_width": 1, "patience": 0, "checkpoint_every": 1, "log_every": 1, "workers": 0, "seed": 0,
    "synthetic_count": 8, "synthetic_size": 64,
}  # fmt: skip

LATEST, BEST, FINAL = "latest.pth", "best.pth", "final_model_ckpt.pth"
"""The checkpoints of a run, by name; those of epochs have a number."""

LARGEST = 8192
"""Pixels a side that a file may ask for; above that, memory would end before it was found to be damaged."""

PRESETS = {
    "smoke": Config(
        name="smoke", network="u2net_lite", image_size=64, batch_size=4, epochs=2, checkpoint_every=1, log_every=4,
        workers=0, synthetic_count=40, synthetic_size=128, download=False,
    ),
    "quick": Config(
        name="quick", network="u2net_lite", image_size=160, batch_size=8, epochs=3, max_lr=2e-4, log_every=10,
        workers=0, synthetic_count=400, synthetic_size=256,
    ),
    "paper": Config(name="paper"),
    "experiment": Config(
        name="experiment", network="u2net_lite", image_size=64, batch_size=8, epochs=1, log_every=20,
        workers=0, synthetic_count=400, synthetic_size=256,
    ),
    "hires": Config(name="hires", image_size=720, batch_size=4, synthetic_size=1024),
    "rmbg": Config(
        name="rmbg", network="resnet50_unet", image_size=512, batch_size=64, epochs=100, schedule="plateau",
        max_lr=1e-6, loss="cross_entropy", edge_weight=0.0, patience=20,
    ),
    "rmbg_sample": Config(
        name="rmbg_sample", network="resnet50_unet", image_size=16, batch_size=2, epochs=10, schedule="plateau",
        max_lr=1e-2, loss="cross_entropy", edge_weight=0.0, patience=20,
    ),
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


def trained_size(notes, otherwise=320):
    """Side in pixels that a network was trained at, by the notes in its file: {"config": {"image_size": 320, …}, …}.

    `otherwise` if they don't tell: what U²-Net and the report trained at. Raises ValueError for what is no such side.
    """
    config = notes.get("config", {})
    size = config.get("image_size", otherwise) if isinstance(config, dict) else None
    if type(size) is not int or not MINIMUM["image_size"] <= size <= LARGEST:
        raise ValueError(f"its config tells no image_size from {MINIMUM['image_size']} to {LARGEST}")
    return size


def parse_setting(text):
    """`"epochs=5"` → `("epochs", 5)`, with the type that the field has.

    Raises ValueError for an unknown field, for `name` (choose a preset instead) or a text that is no such value.
    """
    key, separator, value = text.partition("=")
    types = {field: kind for field, kind in KINDS.items() if field != "name"}
    if not separator or key not in types:
        raise ValueError(f"{text!r}: expected field=value with one of the fields {', '.join(types)}")
    if types[key] is bool:
        if value.lower() not in ("true", "false"):
            raise ValueError(f"{text!r}: expected true or false")
        return key, value.lower() == "true"
    if key == "max_lr" and value == AUTO:
        return key, AUTO
    try:
        return key, types[key](value)
    except ValueError:
        raise ValueError(f"{text!r}: expected {types[key].__name__}") from None
