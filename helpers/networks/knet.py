"""The lite U²-Net with K-Net's head: one kernel for the person and one for the background, refined in three rounds.

Zhang et al., "K-Net: Towards unified image segmentation", NeurIPS 2021. The report names K-Net as future work.

A kernel is a vector of as many numbers as a pixel has features. Its product with the features of every pixel is a map.
A plain network learns its kernels once, for all pictures: they are the weights of its last convolution. K-Net starts
with such kernels and then fits them to the picture at hand, by what they found in it.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.u2net import LITE, Stage, U2Net, load_official, probabilities

KERNELS = 2
"""The person and the background, in this order."""

ROUNDS = 3
"""Times that the kernels are refined, as in the paper."""

HEADS = ("side", "outconv.")
"""How the names of U²-Net's own side outputs and of their fusion begin: K-Net's head stands in their place."""


def apply_kernels(kernels: Tensor, features: Tensor) -> Tensor:
    """Kernels (B or 1, N, C) on features (B, C, H, W) → logits (B, N, H, W)."""
    return (kernels @ features.flatten(2)).unflatten(2, features.shape[2:])


def gather_features(masks: Tensor, features: Tensor) -> Tensor:
    """Group feature assembly (section 3.2): what each mask (B, N, H, W) covers of features (B, C, H, W) → (B, N, C).

    The paper takes the sum over all pixels. We divide it by their number, as our pictures differ in size.
    """
    masks = masks.flatten(2)
    return masks @ features.flatten(2).transpose(1, 2) / masks.shape[2]


def person_logits(logits: Tensor) -> Tensor:
    """Logits (B, 2, H, W) of person and background → (B, 1, H, W): its sigmoid is the person's softmax."""
    person, background = logits.chunk(2, dim=1)
    return person - background


class AdaptiveUpdate(nn.Module):
    """Adaptive kernel update (section 3.2): gates decide how far the picture's features change the kernels.

    Kernels (B, N, C) and gathered features (B, N, C) → (B, N, C).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.from_features, self.from_kernels = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.new, self.old = normed(channels), normed(channels)
        self.new_gate, self.old_gate = normed(channels), normed(channels)
        self.joined = normed(channels)

    def forward(self, kernels: Tensor, gathered: Tensor) -> Tensor:
        both = self.from_features(gathered) * self.from_kernels(kernels)
        new_share, old_share = torch.sigmoid(self.new_gate(both)), torch.sigmoid(self.old_gate(both))
        return F.relu(self.joined(new_share * self.new(gathered) + old_share * self.old(kernels)))


class Interaction(nn.Module):
    """Kernel interaction (section 3.2): each kernel learns what the others have found, by self-attention.

    One head, as there are two kernels only. (B, N, C) → (B, N, C).
    """

    def __init__(self, channels: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(channels, channels) for _ in range(3))
        self.out, self.norm = nn.Linear(channels, channels), nn.LayerNorm(channels)
        self.wide, self.narrow = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        self.last_norm = nn.LayerNorm(channels)
        self.scale = channels**-0.5

    def forward(self, kernels: Tensor) -> Tensor:
        closeness = self.query(kernels) @ self.key(kernels).transpose(1, 2) * self.scale  # (B, N, N)
        kernels = self.norm(kernels + self.out(torch.softmax(closeness, dim=2) @ self.value(kernels)))
        return self.last_norm(kernels + self.narrow(F.relu(self.wide(kernels))))


class Round(nn.Module):
    """One round of K-Net (section 3.2): gather, update, interact, and look again with the new kernels."""

    def __init__(self, channels: int):
        super().__init__()
        self.update, self.interact = AdaptiveUpdate(channels), Interaction(channels)
        self.look = normed(channels)
        self.to_kernels = nn.Linear(channels, channels)

    def forward(self, features: Tensor, kernels: Tensor, logits: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, C, H, W), kernels (B or 1, N, C), logits (B, N, H, W) → the new kernels, the new logits."""
        gathered = gather_features(torch.softmax(logits, dim=1), features)
        kernels = self.interact(self.update(kernels, gathered))
        return kernels, apply_kernels(self.to_kernels(F.relu(self.look(kernels))), features)


def normed(channels: int) -> nn.Sequential:
    """A linear layer and layer norm."""
    return nn.Sequential(nn.Linear(channels, channels), nn.LayerNorm(channels))


class U2NetKNet(nn.Module):
    """The lite U²-Net's encoder and decoder under K-Net's head: 1.39 M parameters. Any size from 32 pixels up."""

    def __init__(self, table: tuple[Stage, ...] = LITE):
        super().__init__()
        self.body = U2Net(table)
        self.body.sides = nn.ModuleList()
        self.body.fuse = nn.Identity()  # type: ignore[assignment]  # the head takes the place of the convolution
        channels = table[-1].out
        self.kernels = nn.Parameter(torch.randn(1, KERNELS, channels) * channels**-0.5)
        self.rounds = nn.ModuleList(Round(channels) for _ in range(ROUNDS))

    @property
    def encoder(self) -> nn.ModuleList:
        """U²-Net's six encoder stages, which `freeze_encoder` keeps as they are."""
        return self.body.encoder

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) normalised images → `[round 3, round 2, round 1, start]`, each (B, 1, H, W) in [0, 1].

        All are float32, at input size, and supervised: the last round's map is the network's answer and comes first.
        """
        features = self.body.features(x)[-1]
        kernels, maps = self.kernels, [apply_kernels(self.kernels, features)]
        for one in self.rounds:
            kernels, logits = one(features, kernels, maps[-1])
            maps.append(logits)
        return probabilities([person_logits(logits) for logits in reversed(maps)])


def load_body(model: U2NetKNet, weights: dict[str, Tensor]) -> None:
    """Start from the weights of a lite U²-Net: encoder and decoder, exactly; the head stays as it is.

    Raises ValueError naming every key that is missing, unknown or of another shape; the model is then unchanged.
    """
    load_official(model.body, {key: value for key, value in weights.items() if not key.startswith(HEADS)})
