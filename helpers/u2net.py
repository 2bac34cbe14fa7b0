"""U²-Net built from a table of its stages, and the original authors' weights in and out.

Qin et al., "U²-Net: Going deeper with nested U-structure for salient object detection", Pattern Recognition 106 (2020).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.devices import Runtime, forward_layout
from helpers.network_input import DEVIATION, MEAN


def normalise(images: Tensor) -> Tensor:
    """(B, 3, H, W) uint8 RGB → float input of the network: scaled to 0–1, minus ImageNet's mean, over its deviation.

    Always divides by 255, never by the photo's own maximum: a dark photo stays dark, in training and inference alike.
    """
    mean, deviation = (torch.tensor(values, device=images.device).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    return (images.float() / 255 - mean) / deviation


def outputs_of(model: nn.Module, images: Tensor, runtime: Runtime) -> list[Tensor]:
    """What `model` answers to (B, 3, H, W) uint8 RGB images, in the precision and best layout of `runtime`."""
    images = normalise(images.to(runtime.device, non_blocking=True))
    layout = runtime.memory_format if torch.is_grad_enabled() else forward_layout(runtime.device)
    with runtime.autocast():
        return model(images.contiguous(memory_format=layout))


class Stage(NamedTuple):
    """One row of the network's table (figure 5 of the U²-Net paper).

    `dilated` blocks ("RSU-4F") keep the resolution and widen the view by dilation instead of pooling.
    """

    name: str
    height: int
    mid: int
    out: int
    dilated: bool = False


FULL = (
    Stage("En_1", 7, 32, 64),
    Stage("En_2", 6, 32, 128),
    Stage("En_3", 5, 64, 256),
    Stage("En_4", 4, 128, 512),
    Stage("En_5", 4, 256, 512, dilated=True),
    Stage("En_6", 4, 256, 512, dilated=True),
    Stage("De_5", 4, 256, 512, dilated=True),
    Stage("De_4", 4, 128, 256),
    Stage("De_3", 5, 64, 128),
    Stage("De_2", 6, 32, 64),
    Stage("De_1", 7, 16, 64),
)
"""Six encoder stages and five decoder stages of the full network."""

LITE = tuple(stage._replace(mid=16, out=64) for stage in FULL)
"""The small network ("U²-Net-p"): the same stages, 16 channels inside and 64 out everywhere."""

TABLES = {"u2net": FULL, "u2net_lite": LITE}


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that also trains on a single value per channel, where there is no variance to divide by.

    A 32-pixel image is one pixel wide at the bottom; alone in its batch it is normalised by the running statistics.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.training and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        return super().forward(x)


class ConvBlock(nn.Module):
    """3×3 convolution, batch norm, ReLU: (B, C, H, W) → (B, out, H, W)."""

    def __init__(self, channels: int, out: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 3, padding=dilation, dilation=dilation)
        self.norm = BatchNorm(out)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)), inplace=True)


def pool(x: Tensor) -> Tensor:
    """Halve height and width, rounding up, so that odd sizes lose no row."""
    return F.max_pool2d(x, 2, stride=2, ceil_mode=True)


def resize_like(x: Tensor, target: Tensor) -> Tensor:
    """Bilinear to the height and width of `target`."""
    if x.shape[2:] == target.shape[2:]:
        return x
    return F.interpolate(x, size=target.shape[2:], mode="bilinear", align_corners=False)


class RSU(nn.Module):
    """Residual U-block: a small U-Net whose output is added to its input (section 3.1 of the U²-Net paper).

    (B, channels, H, W) → (B, out, H, W). `height` counts the levels; the lowest is dilated instead of pooled, and
    with `dilated` (RSU-4F) all are, with doubling rates.
    """

    def __init__(self, channels: int, height: int, mid: int, out: int, dilated: bool = False) -> None:
        super().__init__()
        rates = [2**level for level in range(height)] if dilated else [1] * (height - 1) + [2]
        self.dilated = dilated
        self.entry = ConvBlock(channels, out)
        self.down = nn.ModuleList(ConvBlock(mid if i else out, mid, rate) for i, rate in enumerate(rates))
        self.up = nn.ModuleList(ConvBlock(2 * mid, mid if i else out, rate) for i, rate in enumerate(rates[:-1]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        levels: list[Tensor] = []
        for i, block in enumerate(self.down):
            pooled = 0 < i < len(self.down) - 1 and not self.dilated
            levels.append(block(pool(levels[-1]) if pooled else levels[-1] if levels else x))
        inner = levels.pop()
        for block, level in zip(reversed(self.up), reversed(levels), strict=True):
            inner = block(torch.cat([resize_like(inner, level), level], dim=1))
        return inner + x


class U2Net(nn.Module):
    """A U-Net of residual U-blocks, with a map from every decoder stage and from the deepest encoder stage.

    Parameters
    ----------
    table : sequence of Stage
        11 stages: 6 of the encoder, then 5 of the decoder. `FULL` and `LITE` are the two published networks.

    Notes
    -----
    Figure 5 of the U²-Net paper. Called with (B, 3, H, W) normalised images of any height and width from 32 pixels up,
    it returns seven maps `[fused, side1, …, side6]`, each (B, 1, H, W) in [0, 1].
    """

    def __init__(self, table: Sequence[Stage]) -> None:
        super().__init__()
        self.table = tuple(table)
        encoder, decoder = self.table[:6], self.table[6:]
        widths = [3] + [stage.out for stage in encoder]
        self.encoder = nn.ModuleList(RSU(width, *stage[1:]) for width, stage in zip(widths, encoder))
        self.decoder = nn.ModuleList()
        below = encoder[-1].out
        for stage, level in zip(decoder, reversed(encoder[:-1])):
            self.decoder.append(RSU(below + level.out, *stage[1:]))
            below = stage.out
        outs = [stage.out for stage in reversed(decoder)] + [encoder[-1].out]
        self.sides = nn.ModuleList(nn.Conv2d(out, 1, 3, padding=1) for out in outs)
        self.fuse = nn.Conv2d(len(outs), 1, 1)

    @classmethod
    def full(cls) -> "U2Net":
        """The network of the report: 44.01 M parameters."""
        return cls(FULL)

    @classmethod
    def lite(cls) -> "U2Net":
        """The small network: 1.13 M parameters."""
        return cls(LITE)

    def encode(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised images → what each encoder stage gives: six (B, C, h, w), the first of H × W."""
        return levels_of(self.encoder, x)

    def features(self, x: Tensor, finest: int = 0) -> list[Tensor]:
        """(B, 3, H, W) normalised images → what each decoder stage gives: six (B, C, h, w), from the coarsest up.

        The first is the deepest encoder stage's, the last has the size of the input. The `finest` last ones are left
        out.
        """
        levels = self.encode(x)
        maps = [levels.pop()]
        decoder = self.decoder[: len(self.decoder) - finest]
        for stage, level in zip(decoder, reversed(levels[finest:]), strict=True):
            maps.append(stage(torch.cat([resize_like(maps[-1], level), level], dim=1)))
        return maps

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised images → `[fused, side1, …, side6]`, each (B, 1, H, W) float32 in [0, 1]."""
        sides = self.side_logits(x)
        return probabilities([self.fuse(torch.cat(sides, dim=1)), *sides])

    def side_logits(self, x: Tensor, finest: int = 0) -> list[Tensor]:
        """(B, 3, H, W) normalised images → logits of the side outputs from the finest up, each (B, 1, H, W).

        The `finest` first ones are left out, and what only they need is not computed.
        """
        maps = reversed(self.features(x, finest))
        return [resize_like(side(m), x) for side, m in zip(self.sides[finest:], maps, strict=True)]


def levels_of(stages: Iterable[nn.Module], x: Tensor) -> list[Tensor]:
    """What each encoder stage gives, each (B, C, h, w): the first of `x`, each other of the one before, pooled."""
    levels: list[Tensor] = []
    for stage in stages:
        levels.append(stage(pool(levels[-1]) if levels else x))
    return levels


def probabilities(maps: Sequence[Tensor]) -> list[Tensor]:
    """Logits → float32 in [0, 1]; float32 before the sigmoid, as bfloat16 has only three digits between 0.5 and 1."""
    return [torch.sigmoid(logits.float()) for logits in maps]


def _official_names(model: U2Net) -> dict[str, str]:
    """The keys of our state dict → those of the original code.

    For example `encoder.0.entry.conv.weight` → `stage1.rebnconvin.conv_s1.weight`.
    """
    blocks = {}
    stages = [(f"encoder.{i}", f"stage{i + 1}", stage) for i, stage in enumerate(model.table[:6])]
    stages += [(f"decoder.{i}", f"stage{5 - i}d", stage) for i, stage in enumerate(model.table[6:])]
    for own, official, stage in stages:
        blocks[f"{own}.entry"] = f"{official}.rebnconvin"
        blocks |= {f"{own}.down.{i}": f"{official}.rebnconv{i + 1}" for i in range(stage.height)}
        blocks |= {f"{own}.up.{i}": f"{official}.rebnconv{i + 1}d" for i in range(stage.height - 1)}
    prefixes = {f"{own}.conv": f"{official}.conv_s1" for own, official in blocks.items()}
    prefixes |= {f"{own}.norm": f"{official}.bn_s1" for own, official in blocks.items()}
    prefixes |= {f"sides.{i}": f"side{i + 1}" for i in range(len(model.sides))} | {"fuse": "outconv"}
    return {key: f"{prefixes[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}" for key in model.state_dict()}


def to_official(model: U2Net) -> dict[str, Tensor]:
    """The state dict of `model` under the key names of the original code."""
    names = _official_names(model)
    return {names[key]: tensor for key, tensor in model.state_dict().items()}


def load_official(model: U2Net, state_dict: Mapping[str, Tensor]) -> None:
    """Load weights of the original U²-Net code, such as `u2net.pth`.

    Parameters
    ----------
    model : U2Net
    state_dict : mapping of str to Tensor
        Under the key names of the original code, such as `stage1.rebnconvin.conv_s1.weight`.

    Raises
    ------
    ValueError
        Names every key that is missing, unknown or of another shape; the model is then unchanged.

    Notes
    -----
    `to_official` is the way back; both together change nothing.
    """
    load_exactly(model, state_dict, _official_names(model))


def load_exactly(model: nn.Module, state_dict: Mapping[str, Tensor], names: dict[str, str] | None = None) -> None:
    """Load a state dict that has the keys of `model` and no others, or their translations by a dict `names`.

    Accepts files with all of batch norm's `num_batches_tracked` counters (as u2net_human_seg.pth) or with none of them
    (as u2net.pth). Raises ValueError naming every other key that is missing, unknown or of another shape; the model is
    then unchanged.
    """
    own = model.state_dict()
    names = names or {key: key for key in own}
    counters = {given for name, given in names.items() if name.endswith("num_batches_tracked")}
    missing = set(names.values()) - set(state_dict)
    if missing >= counters:
        missing -= counters
    problems = [f"missing: {key}" for key in sorted(missing)]
    problems += [f"unknown: {key}" for key in sorted(set(state_dict) - set(names.values()))]
    for name, given in names.items():
        if given in state_dict and state_dict[given].shape != own[name].shape:
            problems.append(f"{given}: {tuple(state_dict[given].shape)} instead of {tuple(own[name].shape)}")
    if problems:
        shown = "; ".join(problems[:10]) + (f"; and {len(problems) - 10} more" if len(problems) > 10 else "")
        raise ValueError(
            f"these weights do not fit the network: {shown}; take a whole file of this network, or choose the network "
            "that the file belongs to"
        )
    model.load_state_dict({name: state_dict.get(given, own[name]) for name, given in names.items()})
