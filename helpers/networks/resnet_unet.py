"""The ResNet50 U-Net of RMBG-U2NET: ImageNet's encoder, a dilated bridge, four residual decoder blocks, four maps.

RMBG-U2NET is written in Keras, whose ResNet50 halves in the 1×1 convolution before the 3×3 where torchvision's does.
He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; Ronneberger et al., "U-Net", MICCAI 2015.
"""

import torch
import torch.nn.functional as F
from torch import nn

from helpers.u2net import BatchNorm, ConvBlock, load_exactly, probabilities, resize_like

BRIDGE, RATES = 1024, (3, 6, 9)
SKIPS = (512, 256, 64, 3)
"""Channels that the encoder hands to the decoder at 1/8, 1/4, 1/2 of the size and at full size: the image itself."""
WIDTHS = (512, 256, 128, 64)
"""Channels of the decoder blocks, at the same sizes."""
UNUSED = ("layer4.", "fc.")
"""What ImageNet's ResNet50 has below the bridge: its last stage and its classifier."""


def conv_norm(channels: int, out: int, size: int) -> nn.Sequential:
    """Convolution by a size × size kernel and batch norm, without an activation."""
    return nn.Sequential(nn.Conv2d(channels, out, size, padding=size // 2), BatchNorm(out))


class Bridge(nn.Module):
    """Three dilated 3×3 convolutions of one input, side by side, joined by a 1×1: (B, C, H, W) → (B, out, H, W)."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(ConvBlock(channels, out, rate) for rate in RATES)
        self.join = conv_norm(len(RATES) * out, out, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.join(torch.cat([branch(x) for branch in self.branches], dim=1)), inplace=True)


class DecoderBlock(nn.Module):
    """Enlarge to the size of the skip, concatenate, then two 3×3 convolutions beside a 1×1 shortcut.

    (B, below, h, w) and (B, skip, H, W) → (B, out, H, W).
    """

    def __init__(self, below: int, skip: int, out: int) -> None:
        super().__init__()
        self.first = ConvBlock(below + skip, out)
        self.second = conv_norm(out, out, 3)
        self.shortcut = conv_norm(below + skip, out, 1)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        x = torch.cat([resize_like(x, skip), skip], dim=1)
        return F.relu(self.second(self.first(x)) + self.shortcut(x), inplace=True)


class ResNetUNet(nn.Module):
    """53.5 M parameters, 8.5 M of them in `encoder`, which has torchvision's key names. Any size from 16 pixels up."""

    def __init__(self) -> None:
        from torchvision.models import resnet50  # takes a second, which those with a U²-Net need not wait

        super().__init__()
        self.encoder = resnet50(norm_layer=BatchNorm)
        del self.encoder.layer4, self.encoder.avgpool, self.encoder.fc
        self.bridge = Bridge(1024, BRIDGE)
        self.decoder = nn.ModuleList(DecoderBlock(*row) for row in zip((BRIDGE, *WIDTHS), SKIPS, WIDTHS))
        self.sides = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in reversed(WIDTHS))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(B, 3, H, W) normalised images → `[full, half, quarter, eighth]`, each (B, 1, H, W) float32 in [0, 1].

        All are at input size; their names tell the resolution they were computed at, the best comes first.
        """
        encoder = self.encoder
        half = encoder.relu(encoder.bn1(encoder.conv1(x)))
        quarter = encoder.layer1(encoder.maxpool(half))
        eighth = encoder.layer2(quarter)
        maps = [self.bridge(encoder.layer3(eighth))]  # 1/16
        for block, skip in zip(self.decoder, (eighth, quarter, half, x), strict=True):
            maps.append(block(maps[-1], skip))
        logits = [resize_like(side(m), x) for side, m in zip(self.sides, reversed(maps[1:]), strict=True)]
        return probabilities(logits)


def load_imagenet(model: "ResNetUNet", state_dict: dict[str, torch.Tensor]) -> None:
    """Load torchvision's ImageNet weights of ResNet50 into the encoder of `model`, exactly.

    `layer4` and `fc`, which the network has no use for, are left out. Raises ValueError naming every other key that is
    missing, unknown or of another shape; the model is then unchanged.
    """
    load_exactly(model.encoder, {key: value for key, value in state_dict.items() if not key.startswith(UNUSED)})
