"""What every network here expects of its input: normalised RGB, and a square of the size it was trained at.

They stand apart from the configuration because a cutout by ONNX Runtime needs them, and starts faster without it.
"""

from typing import Any

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's mean and standard deviation, for RGB in [0, 1].

The U²-Net code, torchvision's weights and the report (section 4) share them.
"""

SMALLEST, LARGEST = 16, 8192
"""Sides of the square in pixels that a file may ask for. Above, memory would end before the file was found damaged."""


def trained_size(notes: dict[str, Any], otherwise: int = 320) -> int:
    """Side in pixels that a network was trained at, by the notes in its file: {"config": {"image_size": 320, …}, …}.

    `otherwise` if the notes don't say: what U²-Net and the report trained at. Raises ValueError for an impossible side.
    """
    config = notes.get("config", {})
    size = config.get("image_size", otherwise) if isinstance(config, dict) else None
    if type(size) is not int or not SMALLEST <= size <= LARGEST:
        raise ValueError(f"its config tells no image_size from {SMALLEST} to {LARGEST}")
    return size
